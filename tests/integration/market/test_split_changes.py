"""Splits that are amended, withdrawn, or contradict recorded trades: every reader follows, with one value."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest

from functions.market_api import handler as market_function
from tests.support.moto_state import table
from tests.support.system import MARKET_TABLE, System, authorized
from tests.support.trading import FEED, Account, account, day, quote, refused, split
from trimtab.runtime.dynamodb.outbox import events_of

OPS = {**FEED, "subject": "ops@example.com"}


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio with 10 AAPL, bought for 1000.00 on day 1."""
    mine = account(system)
    mine.record("a", "BUY", 10, 1000, 1)
    return mine


def amend(system: System, at: int, ratio: Any, per: Any = 1) -> Any:
    """Amend the split of AAPL of a day."""
    body = {"ratio": ratio, "per": per, "reason": "wrong ratio"}
    return system.http("PATCH", f"/assets/AAPL/splits/{day(at)[:10]}", body, authorizer=OPS)


def withdraw(system: System, at: int) -> Any:
    """Withdraw the split of AAPL of a day."""
    query = {"reason": "another symbol"}
    return system.http("DELETE", f"/assets/AAPL/splits/{day(at)[:10]}", query=query, authorizer=OPS)


def values(mine: Account) -> tuple[str, str, str, str]:
    """Return the quantity of AAPL, and its value as holdings, portfolio and returns tell it."""
    holding = mine.holding()
    returns = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    portfolio = mine.system.http("GET", mine.home).json
    valued = portfolio["valuation"]["value"] if "valuation" in portfolio else "0.00"
    unrealised = Decimal(returns["unrealised"]) + Decimal(holding["cost_basis"])
    return f"{Decimal(holding['quantity']).normalize():f}", holding["market_value"] or "0.00", valued, str(unrealised)


def log() -> list[Any]:
    """Return the entries of the split log, oldest first."""
    items = boto3.client("dynamodb").scan(TableName=MARKET_TABLE)["Items"]
    return sorted(
        (item for item in items if item["sk"]["S"].startswith("SPLIT_LOG#")), key=lambda item: item["sk"]["S"]
    )


def test_an_amended_and_a_withdrawn_split_are_followed_by_every_reader(mine: Account) -> None:
    quote(mine.system, 100, at=1.5)
    assert split(mine.system, 2, 5).status == 200
    quote(mine.system, 20, at=3)
    mine.record("b", "BUY", 1, 20, 4)  # the stored holding includes the split
    assert values(mine) == ("51", "1020.00", "1020.00", "1020.00")
    answer = amend(mine.system, 2, 4)
    assert (answer.status, answer.json["splits"][0]["ratio"]) == (200, "4")
    assert values(mine) == ("41", "820.00", "820.00", "820.00")
    mine.record("c", "BUY", 1, 20, 5)
    assert withdraw(mine.system, 2).json["splits"] == []
    assert values(mine) == ("12", "240.00", "240.00", "240.00")
    assert split(mine.system, 2, 5).status == 200, "a person may enter the split again"
    assert values(mine) == ("52", "1040.00", "1040.00", "1040.00")


def test_changes_of_a_split_have_audit_records_and_events(mine: Account) -> None:
    split(mine.system, 2, 5)
    assert amend(mine.system, 2, 4).status == amend(mine.system, 2, 4).status == 200
    withdraw(mine.system, 2)
    refused(withdraw(mine.system, 2), 404, "not_found")
    refused(amend(mine.system, 2, 4), 404, "not_found")
    assert [(entry["action"]["S"], entry.get("reason", {}).get("S")) for entry in log()] == [
        ("entered", None),
        ("amended", "wrong ratio"),
        ("withdrawn", "another symbol"),
    ]
    assert [entry["actor"]["S"] for entry in log()[1:]] == ["ops@example.com"] * 2
    published = [event for record in table(MARKET_TABLE).stream_shard.items for event in events_of(record.to_json())]
    assert [(event["type"], event["data"]["ratio"]) for event in published] == [
        ("split.entered", "5"),
        ("split.amended", "4"),
        ("split.withdrawn", "4"),
    ]


def test_a_split_is_changed_by_the_platform_alone_and_has_to_change_something(mine: Account) -> None:
    split(mine.system, 2, 5)
    path = f"/assets/AAPL/splits/{day(2)[:10]}"
    refused(amend(mine.system, 2, 3, 3), 422, "no_split")
    refused(split(mine.system, 9, 2, 2), 422, "no_split")
    assert mine.system.http("DELETE", path, authorizer=OPS).status == 400, "the reason is missing"
    reader = authorized(scope="market:read")
    assert mine.system.http("DELETE", path, query={"reason": "x"}, authorizer=reader).status == 403
    assert mine.holding()["quantity"] == "50.000000000"


def test_an_amendment_that_the_prices_contradict_is_refused(mine: Account) -> None:
    quote(mine.system, 100, at=1.5)
    split(mine.system, 2, 5)
    quote(mine.system, 20, at=3)
    refused(amend(mine.system, 2, 1, 5), 422, "split_contradicted")


def test_the_provider_does_not_enter_a_withdrawn_split_again(mine: Account) -> None:
    split(mine.system, 2, 5)
    withdraw(mine.system, 2)
    on = datetime.fromisoformat(day(2)).date()
    market_function.operations().enter_provided_split("AAPL", on, Decimal(5), Decimal(1))
    assert mine.holding()["quantity"] == "10.000000000"


def test_a_price_held_for_a_wrong_split_is_accepted_when_the_split_is_withdrawn(mine: Account) -> None:
    quote(mine.system, 100, at=1)
    split(mine.system, 2, 10)
    assert quote(mine.system, 101, at=3).json["held"]
    withdraw(mine.system, 2)
    mine.system.process_quotes()
    assert values(mine) == ("10", "1010.00", "1010.00", "1010.00")


def test_a_split_that_contradicts_recorded_sells_gives_one_value_in_every_reader_and_a_flag(mine: Account) -> None:
    """10 become 1, of which 4 were sold: nothing is left, and 3 sold units are missing."""
    mine.record("b", "SELL", 4, 440, 3)
    quote(mine.system, 100, at=4)
    assert values(mine) == ("6", "600.00", "600.00", "600.00")
    split(mine.system, 2, 1, 10)
    assert values(mine) == ("0", "0.00", "0.00", "0.00")
    assert mine.holding()["oversold"] == "3.000000000"
    on = {"as_of": day(5)[:10]}
    assert mine.system.http("GET", f"{mine.home}/cumulative-returns", query=on).json["unrealised"] == "0.00"
    withdraw(mine.system, 2)
    assert (values(mine), mine.holding()["oversold"]) == (("6", "600.00", "600.00", "600.00"), "0.000000000")


def test_a_withdrawn_split_that_recorded_sells_need_is_flagged_too(mine: Account) -> None:
    split(mine.system, 2, 4)
    mine.record("b", "SELL", 30, 900, 3)
    quote(mine.system, 25, at=4)
    assert values(mine) == ("10", "250.00", "250.00", "250.00")
    withdraw(mine.system, 2)
    assert values(mine) == ("0", "0.00", "0.00", "0.00")
    assert mine.holding()["oversold"] == "20.000000000"


def test_trades_that_a_split_contradicts_are_corrected_one_by_one(mine: Account) -> None:
    mine.record("b", "SELL", 4, 440, 3)
    mine.record("c", "SELL", 2, 220, 4)
    quote(mine.system, 1000, at=5)
    split(mine.system, 2, 1, 10)
    assert mine.holding()["oversold"] == "5.000000000"
    refused(mine.record("d", "SELL", 1, 100, 6), 422, "insufficient_quantity")
    refused(mine.correct("b", quantity="4.5"), 422, "insufficient_quantity")
    assert mine.correct("b", quantity="0.4").status == 200
    assert mine.holding()["oversold"] == "1.400000000"
    assert mine.correct("c", quantity="0.2").status == 200
    assert mine.holding()["oversold"] == "0.000000000"
    assert values(mine) == ("0.4", "400.00", "400.00", "400.00")


def test_the_view_of_a_quote_hides_withdrawn_splits(mine: Account) -> None:
    quote(mine.system, 100, at=1)
    split(mine.system, 2, 4)
    withdraw(mine.system, 2)
    read = mine.system.http("GET", "/quotes/AAPL", authorizer=authorized(scope="market:read")).json
    assert (read["splits"], date.fromisoformat(read["as_of"][:10])) == ([], datetime(2024, 1, 2, tzinfo=UTC).date())
