"""Splits and portfolios: a split requests new checks, and a contradicted portfolio waits for a person."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from functions.analytics_on_valuation_requested import handler as valuation_function
from tests.support.analytics import sent_mails
from tests.support.balancing import Balancing
from tests.support.moto_state import fast_transactions, waiting
from tests.support.system import System, sqs_record
from tests.support.trading import FEED, Account, day

BAND = {"band": {"type": "absolute", "value": 1}}


@pytest.fixture
def mine(system: System) -> Iterator[Balancing]:
    """A portfolio of 50 AAPL and 50 MSFT at 100 each, bought on the first day, with a band of 1 point."""
    with fast_transactions():
        market = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50}, policy=BAND)))
        body = {"ref_id": "deposit", "type": "deposit", "amount": 10_000, "executed_at": day(0)}
        assert system.http("POST", f"{market.account.home}/cash", body).status == 201
        for symbol in ("AAPL", "MSFT"):
            assert market.account.record(symbol, "BUY", 50, 5000, 1, symbol=symbol).status == 201
        market.move(AAPL=100, MSFT=100)
        market.move(AAPL=100, MSFT=100)
        assert market.rebalances() == []
        yield market


def enter(mine: Balancing, ratio: int, per: int) -> None:
    """Enter a split of AAPL that took effect on day 2, and settle; no quote follows."""
    path = f"/assets/AAPL/splits/{day(2)[:10]}"
    assert mine.system.http("PUT", path, {"ratio": ratio, "per": per}, authorizer=FEED).status == 200
    mine.system.process_quotes()
    mine.settle()


def withdraw(mine: Balancing) -> None:
    """Withdraw the split of AAPL, and settle."""
    path = f"/assets/AAPL/splits/{day(2)[:10]}"
    assert mine.system.http("DELETE", path, query={"reason": "wrong"}, authorizer=FEED).status == 200
    mine.system.process_quotes()
    mine.settle()


def test_a_split_that_is_entered_late_is_traded_without_a_further_quote(mine: Balancing) -> None:
    """50 AAPL become 55: 52.38 % of the value, outside the band of 1 point."""
    enter(mine, 11, 10)
    assert [(rebalance["status"], rebalance["trigger"]) for rebalance in mine.rebalances()] == [("COMPLETED", "price")]
    assert mine.quantities()["AAPL"] == Decimal("52.5")


def test_the_next_quote_after_a_change_of_the_splits_requests_a_check_wherever_the_price_is(mine: Balancing) -> None:
    """A quote of 100 lies inside the bounds, which are those of the units before the split."""
    mine.account.record("sold", "SELL", 1, 100, 3)
    mine.settle()
    path = f"/assets/AAPL/splits/{mine.at.date()}"
    assert mine.system.http("PUT", path, {"ratio": 11, "per": 10}, authorizer=FEED).status == 200
    mine.system.process_quotes()
    mine.settle()
    mine.quote(AAPL=100, MSFT=100)
    assert waiting(mine.system.checks_url)


def test_every_reader_of_holdings_counts_a_split_that_is_entered_late(mine: Balancing) -> None:
    """Of 100 AAPL after the split, 10 are sold: 90 at a price of 100 are 60 % of 15,000."""
    system, home = mine.system, mine.account.home
    mine.account.record("sold", "SELL", 10, 1000, 3)
    rules = [{"rule_id": "drift", "kind": "drift_above", "threshold": 1}]
    assert system.http("PUT", f"{home}/alert-rules", {"rules": rules}).status == 200
    assert system.http("PUT", f"{home}/contacts", {"emails": ["ada@example.com"]}).status == 200
    path = f"/assets/AAPL/splits/{day(2)[:10]}"
    assert system.http("PUT", path, {"ratio": 2}, authorizer=FEED).status == 200
    planned = system.http("POST", f"{home}/rebalances", {"dry_run": True}).json
    assert planned["weights"]["AAPL"]["before"] == "60.0000"
    sectors = system.http("GET", f"{home}/sectors").json
    assert sectors["value"] == "15000.00", sectors
    names = {"tenant_id": "demo", "portfolio_id": home.rpartition("/")[2]}
    request = json.dumps({"schema_version": 1, "type": "valuation.requested", **names})
    assert system.invoke_worker(sqs_record(request), worker=valuation_function) == set()
    system.process_valuations()
    assert system.http("GET", f"{home}/alert-rules").json["rules"][0]["is_on"]
    assert system.http("POST", f"{home}/reports", {"month": "2024-01"}).status == 202
    system.process_reports()
    text = sent_mails()[-1].get_body(("plain",))
    assert text is not None
    assert ["AAPL", "90"] in [line.split()[:2] for line in text.get_content().splitlines()]


def test_a_portfolio_that_a_split_contradicts_waits_for_a_person(mine: Balancing) -> None:
    mine.account.record("sold", "SELL", 10, 1000, 3)
    mine.settle()
    enter(mine, 1, 20)  # 2.5 were left of 50, and 10 were sold
    assert mine.rebalances() == []
    reason = mine.last_check()["reason"]
    assert (reason["code"], reason["details"]["oversold"]) == ("split_contradicted", ["AAPL"])
    listed = mine.system.http("GET", "/portfolios", query={"attention": "true"}).json["items"]
    assert [entry["code"] for entry in listed[0]["attention"]] == ["split_contradicted"]
    rejected = mine.run("now")
    assert (rejected["status"], rejected["reason"]["code"]) == ("REJECTED", "split_contradicted")
    withdraw(mine)
    assert mine.last_check()["reason"]["code"] != "split_contradicted"
