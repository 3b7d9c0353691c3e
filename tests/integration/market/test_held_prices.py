"""Implausible prices over HTTP: held, released, withdrawn, with one alert an episode; and splits in both directions."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.market_on_night import handler as night_function
from tests.support.faults import injecting
from tests.support.moto_state import table, waiting
from tests.support.system import MARKET_TABLE, System, authorized
from tests.support.trading import FEED, account, day, quote, refused
from trimtab.contracts.bars import Bar
from trimtab.market.adapters.bars import BarStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.dynamodb.outbox import events_of

OPS = {**FEED, "subject": "ops@example.com"}
APPLE = {"name": "Apple Inc.", "exchange": "XNAS"}


def enter(system: System, **members: Any) -> None:
    """Enter AAPL as an asset of the Nasdaq."""
    assert system.http("PUT", "/assets/AAPL", APPLE | members, authorizer=FEED).status == 200


def read(system: System) -> Any:
    """Return the quote of AAPL as the API shows it."""
    answer = system.http("GET", "/quotes/AAPL", authorizer=authorized(scope="market:read"))
    assert answer.status == 200, answer.text
    return answer.json


def release(system: System, price: Any) -> Any:
    """Release the held price of AAPL."""
    return system.http("POST", "/quotes/AAPL/release", {"price": price}, authorizer=OPS)


def withdraw(system: System, at: float, reason: str = "pence for pounds") -> Any:
    """Withdraw the price of AAPL of a day."""
    return system.http("DELETE", "/quotes/AAPL", query={"as_of": day(at), "reason": reason}, authorizer=OPS)


def split(system: System, on: str, ratio: int) -> Any:
    """Enter a split of AAPL."""
    return system.http("PUT", f"/assets/AAPL/splits/{on}", {"ratio": ratio}, authorizer=FEED)


def store_bars(closes: dict[date, int]) -> None:
    """Store bars of AAPL."""
    prices = {on: Decimal(close) for on, close in closes.items()}
    bars = [
        Bar("AAPL", on, price, price, price, price, Decimal(7), None, None, None, "file", 1)
        for on, price in prices.items()
    ]
    BarStore(dynamodb_client(), MARKET_TABLE).put_bars(bars)


def events() -> list[tuple[str, Any]]:
    """Return the types and the data of all events of the market."""
    records = [record.to_json() for record in table(MARKET_TABLE).stream_shard.items]
    return [(event["type"], event["data"]) for record in records for event in events_of(record)]


def test_a_price_a_hundred_times_higher_is_held_named_in_the_answer_and_told_once(system: System) -> None:
    quote(system, 100, at=1)
    answer = quote(system, 10_000, at=2).json
    assert (answer["accepted"], answer["outdated"]) == (0, [])
    (held,) = answer["held"]
    assert (held["symbol"], held["price"], held["reason"], held["expected"]) == ("AAPL", "10000", "price_jump", "100")
    quote(system, 10_050, at=3)
    known = read(system)
    assert (known["price"], known["as_of"], known["held"]["price"]) == ("100", day(1)[:19] + ".000000Z", "10050")
    assert known["age_seconds"] > 0
    assert [type for type, _ in events()] == ["price.held", "alert.raised"]
    ((_, _), (_, alert)) = events()
    assert (alert["rule"], alert["title"]) == ("price_held", "Price of AAPL held: 10000 after 100")


def test_a_held_price_is_not_valued(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", 10, 1000, 1)
    quote(system, 100, at=2)
    quote(system, 10_000, at=3)
    assert mine.holding()["market_value"] == "1000.00"


def test_quotes_that_come_straight_to_the_queue_are_judged_too(system: System) -> None:
    quote(system, 100, at=1)
    system.http("POST", "/quotes", {"quotes": [{"symbol": "AAPL", "price": 1, "as_of": day(2)}]}, authorizer=FEED)
    (message,) = waiting(system.quotes_url)
    assert '"price":"1"' in message.body.replace(" ", "")
    system.process_quotes()
    assert (read(system)["price"], read(system)["held"]["price"]) == ("100", "1")


def test_a_person_releases_a_held_price_and_the_watches_are_matched(system: System) -> None:
    quote(system, 100, at=1)
    quote(system, 10_000, at=2)
    refused(release(system, 9_999), 409, "not_held")
    released = release(system, "10000.00").json
    assert (released["price"], released["held"], released["previous"]["price"]) == ("10000", None, "100")
    assert len(waiting(system.quotes_url)) == 1, "the worker matches the watches"
    system.process_quotes()
    assert read(system)["price"] == "10000"
    assert events()[-1] == (
        "price.released",
        {
            "symbol": "AAPL",
            "price": "10000",
            "as_of": day(2)[:19] + ".000000Z",
            "source": "unnamed",
            "actor": "ops@example.com",
            "reason": None,
        },
    )


def test_a_release_that_ends_before_the_message_is_sent_is_mended_by_its_repetition(system: System) -> None:
    quote(system, 100, at=1)
    quote(system, 10_000, at=2)
    with mock.patch("trimtab.market.adapters.quote_queue.send_message", side_effect=OSError):
        assert release(system, 10_000).status == 500
    assert (read(system)["price"], waiting(system.quotes_url)) == ("10000", [])
    assert release(system, 10_000).status == 200
    assert len(waiting(system.quotes_url)) == 1


def test_a_wrong_quote_is_withdrawn_with_an_audit_record_and_does_not_come_back(system: System) -> None:
    quote(system, 100, at=1)
    quote(system, 130, at=2)
    restored = withdraw(system, 2).json
    assert (restored["price"], restored["as_of"][:10]) == ("100", day(1)[:10])
    assert withdraw(system, 2).json["price"] == "100", "a repetition withdraws nothing more"
    (outdated,) = quote(system, 130, at=2).json["outdated"]
    assert (outdated["symbol"], outdated["as_of"][:10], outdated["stored_as_of"][:10]) == (
        "AAPL",
        day(2)[:10],
        day(1)[:10],
    )
    assert read(system)["price"] == "100"
    quote(system, 104, at=3)
    assert read(system)["price"] == "104"
    (audit,) = (item for item in _items() if item["sk"]["S"].startswith("PRICE_LOG#"))
    assert (audit["action"]["S"], audit["actor"]["S"], audit["reason"]["S"]) == (
        "withdrawn",
        "ops@example.com",
        "pence for pounds",
    )
    refused(withdraw(system, 77), 409, "no_price_of_that_time")


def _items() -> list[Any]:
    return list(boto3.client("dynamodb").scan(TableName=MARKET_TABLE)["Items"])


def test_a_correction_of_the_same_time_is_stored(system: System) -> None:
    quote(system, 100, at=1)
    quote(system, 101, at=2)
    assert quote(system, 110, at=2).json == {"accepted": 1, "held": [], "outdated": []}
    assert (read(system)["price"], read(system)["previous"]["price"]) == ("110", "100")
    quote(system, 101, at=2)
    assert read(system)["price"] == "110", "a late delivery of the corrected price changes nothing"


@pytest.mark.parametrize("limit", [None, 5])
def test_an_asset_has_its_own_limit_from_the_next_quote_on(system: System, limit: int | None) -> None:
    for number in range(3):
        quote(system, 100 + number, at=1 + number / 100)
    enter(system, max_jump_percent=limit)
    quote(system, 110 if limit else 10_000, at=1.05)
    assert (read(system)["held"] is not None) is (limit is not None)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_symbol_without_a_price_is_not_found_and_a_reader_changes_nothing(system: System, method: str) -> None:
    path = "/quotes/NONE" + ("/release" if method == "POST" else "")
    options: dict[str, Any] = {"query": {"as_of": day(1), "reason": "x"}} if method == "DELETE" else {}
    body = {"price": 1} if method == "POST" else None
    refused(system.http(method, path, body, authorizer=OPS, **options), 404, "not_found")
    if method != "GET":
        reader = authorized(scope="market:read portfolios:write operator")
        assert system.http(method, path, body, authorizer=reader, **options).status == 403


def test_the_common_quote_costs_one_update_and_no_read(system: System) -> None:
    enter(system)
    noon = datetime(2026, 11, 20, 17, tzinfo=UTC) - datetime(2024, 1, 1, tzinfo=UTC)
    start = noon / timedelta(days=1)
    for number in range(2):
        quote(system, 100 + number, at=start + number / 1e4)
    body = {"quotes": [{"symbol": "AAPL", "price": 103, "as_of": day(start + 0.001)}]}
    system.http("POST", "/quotes", body, authorizer=FEED)
    with injecting() as faults:
        system.process_quotes()
        calls = [name for name in faults.operations if name in {"UpdateItem", "GetItem", "BatchGetItem", "PutItem"}]
    assert calls == ["UpdateItem"]
    assert (read(system)["price"], read(system)["previous"]["price"]) == ("103", "101")


# Splits and closes ---------------------------------------------------------------------------------------------------


def test_a_split_takes_effect_at_the_opening_of_the_first_session_of_its_day(system: System) -> None:
    enter(system)
    assert split(system, "2024-07-04", 4).json["splits"][0]["effective_at"] == "2024-07-05T13:30:00.000000Z"
    assert split(system, "2024-12-02", 2).json["splits"][-1]["effective_at"] == "2024-12-02T14:30:00.000000Z"


def test_a_split_that_explains_the_held_price_releases_it(system: System) -> None:
    quote(system, 100, at=1)
    quote(system, "25.5", at=2)
    assert read(system)["held"]["price"] == "25.5"
    assert split(system, day(2)[:10], 4).status == 200
    system.process_quotes()
    assert (read(system)["price"], read(system)["held"]) == ("25.5", None)


def test_a_split_five_sessions_early_holds_the_price_that_does_not_follow(system: System) -> None:
    quote(system, 100, at=1)
    assert split(system, day(3)[:10], 10).status == 200
    held = quote(system, 101, at=3.5).json["held"]
    assert [(each["reason"], each["expected"]) for each in held] == [("split_contradicted", "10")]
    assert quote(system, "10.1", at=8).json["accepted"] == 1
    assert (read(system)["price"], read(system)["held"]) == ("10.1", None)


def test_a_split_that_the_prices_around_it_contradict_is_refused(system: System) -> None:
    enter(system)
    store_bars({date(2024, 6, 6): 100, date(2024, 6, 7): 102, date(2024, 6, 10): 101})
    refused(split(system, "2024-06-10", 10), 422, "split_contradicted")
    store_bars({date(2024, 6, 10): 10})
    assert split(system, "2024-06-10", 10).status == 200


@pytest.fixture
def at_three() -> Iterator[None]:
    """Set the clock of the night to 03:00 UTC after a Friday."""
    with mock.patch.object(night_function, "utc_now", return_value=datetime(2024, 6, 8, 3, tzinfo=UTC)):
        yield


@pytest.mark.usefixtures("at_three")
def test_a_stored_close_at_the_level_releases_the_held_price(system: System) -> None:
    enter(system)
    friday = (datetime(2024, 6, 7, 17, tzinfo=UTC) - datetime(2024, 1, 1, tzinfo=UTC)) / timedelta(days=1)
    quote(system, 100, at=friday - 1)
    quote(system, 180, at=friday)
    assert read(system)["held"]["price"] == "180"
    sessions = {date(2024, 6, 7) - timedelta(days=back): 178 for back in range(20)}
    for on in sessions:
        text = "symbol,open,high,low,close,volume\nAAPL,178,178,178,178,10"
        boto3.client("s3").put_object(Bucket="bars", Key=f"daily/{on}.csv", Body=text.encode())
    system.run_night()
    assert waiting(system.quotes_url)
    system.process_quotes()
    assert (read(system)["price"], read(system)["held"]) == ("180", None)
