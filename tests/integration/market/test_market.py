"""Quotes and splits: the newest quote wins, a split is entered once for its day, both by the platform alone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.support.system import MARKET_TABLE, System, authorized
from tests.support.trading import FEED, account, day, quote, refused, split
from trimtab.kernel.clock import format_time

AT = {"symbol": "AAPL", "price": 1, "as_of": day(1)}


def store(system: System, *quotes: Any, **options: Any) -> Any:
    """The answer to these quotes."""
    return system.http("POST", "/quotes", {"quotes": list(quotes)}, **{"authorizer": FEED, **options})


def outdated(at: float, stored_at: float | None) -> dict[str, Any]:
    """Return what an answer says of a quote of AAPL on a day of January that is older than the stored one."""
    times = [moment and format_time(datetime.fromisoformat(day(moment))) for moment in (at, stored_at)]
    return {"symbol": "AAPL", "as_of": times[0], "stored_as_of": times[1]}


def known() -> list[Any]:
    """Return the stored quotes."""
    return boto3.client("dynamodb").scan(TableName=MARKET_TABLE)["Items"]


def test_the_newest_quote_wins_whatever_order_they_come_in(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", 1, 1, 1)
    assert store(system, AT | {"price": 5, "as_of": day(5)}, AT).json == {
        "accepted": 1,
        "held": [],
        "outdated": [outdated(1, None)],
    }
    assert system.process_quotes() == 1
    assert quote(system, 4, at=4).json == {"accepted": 0, "held": [], "outdated": [outdated(4, 5)]}
    assert mine.holding()["price"] == "5.000000000"
    quote(system, "6.000000001", at=5.1)
    assert mine.holding()["price"] == "6.000000001"


@pytest.mark.usefixtures("fast_moto")
def test_quotes_that_are_dropped_are_counted(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    newer = AT | {"price": 5, "as_of": day(5)}
    for quotes in ((newer,), (AT, newer | {"symbol": "MSFT"})):  # of the second two, one is older than what is known
        store(system, *quotes)
        system.process_quotes()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    assert [(line["QuotesStored"], line["QuotesDiscarded"]) for line in lines if "QuotesStored" in line] == [
        ([1], [0]),
        ([1], [1]),
    ]


def test_a_quote_leaves_the_splits_and_a_split_leaves_the_quote(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", 10, 100, 1)
    split(system, 2, 2)
    quote(system, 7, at=9)
    split(system, 3, 3)
    quote(system, 8, at=10)
    holding = mine.holding()
    assert (holding["quantity"], holding["price"], holding["cost_basis"]) == ("60.000000000", "8.000000000", "100.00")


def test_a_split_is_entered_once_for_its_day(system: System) -> None:
    entered = split(system, 5, 4)
    assert entered.json == {
        "symbol": "AAPL",
        "splits": [{"effective_at": "2024-01-06T00:00:00.000000Z", "ratio": "4", "per": "1"}],
    }
    assert split(system, 5, "4.0").json == entered.json
    refused(split(system, 5, 5), 409, "split_exists")
    assert [entry["ratio"] for entry in split(system, 1, 1, 3).json["splits"]] == ["1", "4"]


@pytest.mark.parametrize("scope", ["market:read", "trades:write trades:read portfolios:write", ""])
def test_writing_asks_for_the_scope(system: System, scope: str) -> None:
    caller = authorized(scope=scope)
    assert store(system, AT, authorizer=caller).status == 403
    path = "/assets/AAPL/splits/2024-01-02"
    assert system.http("PUT", path, {"ratio": 2}, authorizer=caller).status == 403
    assert known() == []


LATE = (datetime.now(UTC) + timedelta(days=1)).isoformat()
BAD_QUOTES: list[tuple[str, Any, int]] = [
    ("none", {"quotes": []}, 400),
    ("501", {"quotes": [AT] * 501}, 400),
    ("nothing", {}, 400),
    ("price 0", {"quotes": [AT | {"price": 0}]}, 400),
    ("negative", {"quotes": [AT, AT | {"price": -1}]}, 400),
    ("19 decimals", {"quotes": [AT | {"price": "1.0000000000000000001"}]}, 400),
    ("Cyrillic", {"quotes": [AT | {"symbol": "\u0410"}]}, 400),
    ("no time", {"quotes": [AT | {"as_of": None}]}, 400),
    ("no offset", {"quotes": [AT | {"as_of": "2024-01-01T00:00:00"}]}, 400),
    ("unknown field", {"quotes": [AT | {"x": 1}]}, 400),
    ("ahead", {"quotes": [AT | {"symbol": "A"}, AT | {"as_of": LATE}]}, 422),
    ("oversize", {"quotes": [], "x": "y" * 256 * 1024}, 413),
]


@pytest.mark.parametrize(("body", "status"), [bad[1:] for bad in BAD_QUOTES], ids=[bad[0] for bad in BAD_QUOTES])
def test_bad_quotes_are_refused_as_a_whole(system: System, body: Any, status: int) -> None:
    assert system.http("POST", "/quotes", body, authorizer=FEED).status == status
    assert known() == []


@pytest.mark.parametrize(
    "on", ["0", "1654646400", "2024-02-30", "2024-1-2", "yesterday", "\uff12\uff10\uff12\uff14-01-02"]
)
def test_a_day_is_written_as_a_date_and_nothing_else(system: System, on: str) -> None:
    assert system.http("PUT", f"/assets/AAPL/splits/{on}", {"ratio": 2}, authorizer=FEED).status in {400, 404}
    assert known() == []


@pytest.mark.parametrize(
    "body", [{"ratio": 0}, {"ratio": -1}, {"ratio": 1_000_001}, {"per": 2}, {"ratio": 2, "per": 0}]
)
def test_a_ratio_is_positive_and_has_an_end(system: System, body: Any) -> None:
    assert system.http("PUT", "/assets/AAPL/splits/2024-01-02", body, authorizer=FEED).status == 400
    assert known() == []
