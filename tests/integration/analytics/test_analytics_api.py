"""Figures of a portfolio through the real functions: from old trades and stored bars to returns and pictures."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from unittest import mock
from xml.etree import ElementTree as ET

import boto3
import pytest

from functions.analytics_api import app as analytics_app
from functions.analytics_api import requests as analytics_requests
from functions.analytics_on_valuation_requested import handler as valuation_function
from functions.portfolios_api import trades as trade_routes
from tests.support.analytics import Past, enter_assets, rising, store_bars, trading_days
from tests.support.moto_state import snapshot
from tests.support.system import PUBLIC_URL, authorized, in_process_system
from tests.support.trading import FEED
from trimtab.analytics.schemas.standing import BASIS

FIRST, LAST = date(2026, 9, 1), date(2026, 11, 19)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAYS = trading_days(FIRST, LAST)


@contextmanager
def invested() -> Iterator[Past]:
    """Ten thousand put in on the first day and half of it invested; ALFA rises 0.5 % a day, BETA stands still."""
    with ExitStack() as stack:
        system = stack.enter_context(in_process_system())
        for module in (valuation_function, analytics_app, trade_routes):
            stack.enter_context(mock.patch.object(module, "utc_now", return_value=NOW))
        enter_assets(system, {"ALFA": "energy", "BETA": "utilities", "SPY": None})
        store_bars({"ALFA": rising(DAYS, 100, 0.005), "BETA": rising(DAYS, 50, 0), "SPY": rising(DAYS, 500, 0.001)})
        it = Past(system, system.portfolio("1", {"ALFA": 50, "BETA": 50}))
        it.cash("d", "deposit", 10_000, FIRST)
        it.trade("t1", "BUY", "ALFA", 25, 100, FIRST)
        it.trade("t2", "BUY", "BETA", 50, 50, FIRST)
        it.settle()
        it.quote(NOW, ALFA=100, BETA=50)
        yield it


@pytest.fixture(scope="module")
def past() -> Iterator[Past]:
    """For tests that only read."""
    with invested() as it:
        yield it


@pytest.fixture
def own_past(past: Past) -> Iterator[Past]:
    """For tests that write: afterwards all is as it was."""
    bring_back = snapshot()
    yield past
    bring_back()


def test_daily_values_follow_from_trades_of_long_ago_and_stored_bars(past: Past) -> None:
    answer = past.get("history", window="all").json
    assert [day["day"] for day in answer["days"]] == [day.isoformat() for day in DAYS]
    assert answer["days"][0] == {
        "day": "2026-09-01",
        "value": "10000.00",
        "cash": "5000.00",
        "flow": "10000.00",
        "stale": [],
    }
    assert answer["data"] == {"last_day": "2026-11-19", "age_days": 1, "stale": []}
    grown = 25 * rising(DAYS, 100, 0.005)[LAST]
    assert answer["days"][-1]["value"] == f"{7500 + grown:.2f}"


def test_performance_names_method_window_basis_and_observations(past: Past) -> None:
    answer = past.get("performance", window="1M", benchmark="SPY").json
    assert (answer["window"]["first"], answer["window"]["last"]) == ("2026-10-19", "2026-11-19")
    weighted = answer["time_weighted"]
    assert weighted["method"] == "time_weighted_daily_chain_linked"
    assert weighted["observations"] == len(trading_days(date(2026, 10, 20), LAST))
    opening, closing = Decimal(answer["opening_value"]), Decimal(answer["closing_value"])
    assert abs(Decimal(weighted["value"]) - (closing / opening - 1) * 100) < Decimal("0.001")
    benchmark = (Decimal("1.001") ** weighted["observations"] - 1) * 100
    assert abs(Decimal(answer["benchmark"]["value"]) - benchmark) < Decimal("0.001")
    assert Decimal(answer["excess"]["value"]) == Decimal(weighted["value"]) - Decimal(answer["benchmark"]["value"])


def test_money_that_comes_later_does_not_count_as_a_return(own_past: Past) -> None:
    before = own_past.get("performance", window="all").json
    own_past.cash("d2", "deposit", 90_000, date(2026, 11, 2))
    own_past.settle()
    after = own_past.get("performance", window="all").json
    assert after["net_flow"] == "100000.00"
    assert after["gain"] == before["gain"]
    assert Decimal(after["time_weighted"]["value"]) < Decimal(before["time_weighted"]["value"])
    assert Decimal(after["money_weighted"]["value"]) < Decimal(after["time_weighted"]["value"])


def test_a_correction_of_the_past_is_worked_into_every_day_since(own_past: Past) -> None:
    answer = own_past.system.http("PATCH", f"{own_past.home}/trades/t1", {"quantity": "10", "amount": "1000"})
    assert answer.status == 200, answer.text
    own_past.settle()
    days = own_past.get("history", window="all").json["days"]
    assert days[0]["cash"] == "6500.00"
    assert days[-1]["value"] == f"{9000 + 10 * rising(DAYS, 100, 0.005)[LAST]:.2f}"


def test_risk_says_at_what_confidence_and_that_a_portfolio_that_only_rose_has_no_drawdown(past: Past) -> None:
    answer = past.get("risk", window="3M", benchmark="SPY", confidence="0.9", horizon_days="10").json
    assert (answer["confidence"], answer["horizon_days"]) == ("0.9", 10)
    assert answer["max_drawdown"]["value"] == "0.0000"
    assert answer["calmar"] == {**answer["calmar"], "value": None, "reason": "no_drawdown"}
    assert answer["historical_var"]["method"].startswith("historical_linear_percentile,confidence=0.9,horizon_days=10")
    assert answer["concentration"]["observations"] == 2
    assert answer["beta"]["value"] is None or Decimal(answer["beta"]["value"]).is_finite()


def test_too_few_days_are_an_answer_that_says_so(own_past: Past) -> None:
    it = Past(own_past.system, own_past.system.portfolio("2", {"ALFA": 100}))
    answer = it.get("risk")
    assert answer.status == 200
    assert (answer.json["volatility"]["value"], answer.json["volatility"]["reason"]) == (None, "too_few_observations")
    assert answer.json["data"] == {"last_day": None, "age_days": None, "stale": []}
    assert it.get("performance").json["time_weighted"]["reason"] == "too_few_observations"
    assert it.get("history").json["days"] == []


def test_sectors_need_no_history_and_name_what_has_none(own_past: Past) -> None:
    own_past.quote(NOW, GAMA=10)
    own_past.trade("t3", "BUY", "GAMA", 100, 10, LAST)
    answer = own_past.get("sectors").json
    assert {it["name"]: (it["value"], it["symbols"]) for it in answer["sectors"]} == {
        "Cash": ("4000.00", []),
        "Energy": ("2500.00", ["ALFA"]),
        "Utilities": ("2500.00", ["BETA"]),
        "Unknown": ("1000.00", ["GAMA"]),
    }
    assert sum(Decimal(it["weight"]) for it in answer["sectors"]) == 100


def test_drift_tells_the_distance_to_the_nearer_edge(past: Past) -> None:
    answer = past.get("drift").json
    legs = {leg["asset"]: leg for leg in answer["assets"]}
    assert (legs["ALFA"]["weight"], legs["ALFA"]["lower"], legs["ALFA"]["distance"]) == (
        "25.0000",
        "45.0000",
        "-20.0000",
    )
    assert answer["drift"] == "50.0000"
    assert past.system.http("GET", past.home).json["valuation"]["value"] == "10000.00"


def test_what_nobody_quoted_lately_is_weighed_at_its_last_close_and_the_answers_say_so(own_past: Past) -> None:
    """OMEG was never quoted; SIGM was, long before its last close, and has split since that."""
    system = own_past.system
    store_bars({"OMEG": rising(DAYS, 100, 0), "SIGM": rising(DAYS, 100, 0)})
    it = Past(system, system.portfolio("3", {"OMEG": 50, "SIGM": 50}))
    it.quote(datetime(2026, 9, 2, tzinfo=UTC), SIGM=7)
    it.trade("t1", "BUY", "OMEG", 30, 100, FIRST)
    it.trade("t2", "BUY", "SIGM", 10, 100, FIRST)
    assert system.http("PUT", f"/assets/SIGM/splits/{NOW.date()}", {"ratio": "2"}, authorizer=FEED).status == 200
    drift, sectors = it.get("drift").json, it.get("sectors").json
    assert {leg["asset"]: leg["value"] for leg in drift["assets"]} == {
        "OMEG": "3000.00",
        "SIGM": "1000.00",
        "$cash": "0.00",
    }
    assert (drift["drift"], drift["reason"], sectors["value"]) == ("25.0000", None, "4000.00")
    for answer in (drift, sectors):
        assert [each["symbol"] for each in answer["at_close"]] == ["OMEG", "SIGM"]
        assert {each["day"] for each in answer["at_close"]} == {LAST.isoformat()}
        assert (answer["as_of"], answer["age_days"], answer["observations"]) == ("2026-11-19T23:59:59.000000Z", 1, 2)
        assert (bool(answer["method"]), answer["basis"]) == (True, BASIS)
    drawn = it.get("drift", format="svg").text
    assert "OMEG" in drawn
    for picture in (drawn, it.get("sectors", format="svg").text):
        assert "default, 19 Nov 2026</text>" in picture, "how old it is"


def test_a_drift_that_cannot_be_told_says_what_is_missing(own_past: Past) -> None:
    system = own_past.system
    it = Past(system, system.portfolio("4", {"NONE": 100}))
    assert (it.get("drift").json["reason"], it.get("drift").json["at_close"]) == ("nothing_held", [])
    it.trade("t1", "BUY", "NONE", 30, 100, FIRST)
    answer = it.get("drift").json
    assert (answer["drift"], answer["reason"], answer["unpriced"]) == (None, "no_price", ["NONE"])
    assert "nobody knows a price of NONE" in it.get("drift", format="svg").text
    it.settle()
    sectors = it.get("sectors").json
    assert (sectors["value"], sectors["at_last_value"], sectors["unvalued"]) == ("3000.00", ["NONE"], [])
    it.trade("t2", "BUY", "NONE", 10, 100, LAST)
    assert it.get("sectors").json["value"] == "4000.00", "what is held now, at the price of the last valuation"


def test_an_asset_of_another_currency_is_named(own_past: Past) -> None:
    body = {"name": "Beta", "asset_class": "stock", "sector": "utilities", "currency": "EUR", "exchange": "XETR"}
    assert own_past.system.http("PUT", "/assets/BETA", body, authorizer=FEED).status == 200
    assert own_past.get("sectors").json["other_currency"] == ["BETA"]


def test_returns_as_of_a_past_day_are_those_of_its_close(past: Past) -> None:
    answer = past.get("cumulative-returns", as_of="2026-10-01").json
    grown = 25 * rising(DAYS, 100, 0.005)[date(2026, 10, 1)] - 2500
    assert (answer["unrealised"], answer["unpriced"]) == (f"{grown:.2f}", [])
    assert (answer["basis"], answer["as_of"], answer["observations"]) == (
        "last_closes_split_adjusted",
        "2026-10-01",
        2,
    )
    now = past.get("cumulative-returns").json
    assert (now["basis"], now["as_of"], now["observations"]) == ("newest_quotes", None, 2)


@pytest.mark.parametrize("resource", ["sectors", "performance", "risk", "history", "drift"])
@pytest.mark.parametrize("asked", ["query", "header"])
def test_every_resource_is_a_picture_too(past: Past, resource: str, asked: str) -> None:
    if asked == "query":
        answer = past.get(resource, format="svg", theme="dark")
    else:
        answer = past.system.http("GET", f"{past.home}/{resource}", headers={"Accept": "image/svg+xml,*/*;q=0.8"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert ET.fromstring(answer.text).tag.endswith("svg")  # noqa: S314 - our own


@pytest.mark.parametrize("entries", [("dividend",), ("deposit", "withdrawal")])
def test_a_past_without_a_return_is_a_picture_too(own_past: Past, entries: tuple[str, ...]) -> None:
    it = Past(own_past.system, own_past.system.portfolio("5", {"ALFA": 100}))
    for type in entries:
        it.cash(type, type, 100, FIRST)
    it.settle()
    assert it.get("performance", window="all").json["time_weighted"]["value"] is None
    answer = it.get("history", window="all", format="svg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")


def test_a_split_of_the_benchmark_is_no_step_in_the_picture(own_past: Past) -> None:
    ex = date(2026, 10, 15)
    store_bars({"SPLT": {day: Decimal(400 if day < ex else 100) for day in DAYS}})
    assert own_past.system.http("PUT", f"/assets/SPLT/splits/{ex}", {"ratio": "4"}, authorizer=FEED).status == 200
    drawn = own_past.get("performance", window="all", benchmark="SPLT", format="svg").text
    line = re.search(r'<path class="benchmark" d="M([^"]*)"', drawn)
    assert line
    assert len({point.split(",")[1] for point in line[1].split("L")}) == 1, "it stood still"


def test_the_form_that_is_asked_for_wins_and_caches_are_told_what_it_depends_on(past: Past) -> None:
    browser = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
    shown = past.system.http("GET", f"{past.home}/sectors", headers=browser)
    told = past.system.http("GET", f"{past.home}/sectors", query={"format": "json"}, headers=browser)
    assert [it.headers["Content-Type"] for it in (shown, told)] == ["image/svg+xml", "application/json"]
    assert shown.headers["Vary"] == told.headers["Vary"] == "Accept"


def test_a_window_up_to_today_ends_with_the_last_day_that_is_valued_and_says_so(past: Past) -> None:
    custom = {"window": "custom", "from": "2026-11-02"}
    answer = past.get("history", **custom, to="2026-11-20").json
    assert (answer["window"]["last"], answer["asked_to"]) == ("2026-11-19", "2026-11-20")
    assert past.get("history", **custom, to="2026-11-19").json == {**answer, "asked_to": None}
    assert answer["observations"] == len(answer["days"])


def test_a_link_opens_without_a_token_until_it_expires(past: Past) -> None:
    with mock.patch.object(analytics_requests, "utc_now", return_value=NOW):
        made = past.system.http("POST", f"{past.home}/links", {"resource": "history", "window": "3M", "theme": "light"})
        assert made.status == 201
        address, slash, token = made.json["url"].rpartition("/links/")
        assert address == PUBLIC_URL
        link = slash + token
        opened = past.system.http("GET", link, authorizer=None)
        assert (opened.status, opened.headers["Content-Type"]) == (200, "image/svg+xml")
        forged = link[:-2] + ("AA" if link[-2:] != "AA" else "BB")
        assert past.system.http("GET", forged, authorizer=None).status == 403
    with mock.patch.object(analytics_requests, "utc_now", return_value=NOW + timedelta(minutes=15)):
        expired = past.system.http("GET", link, authorizer=None)
        assert (expired.status, expired.json["type"]) == (403, "urn:trimtab:problem:expired_link")


@pytest.mark.parametrize(
    ("window", "status"),
    [
        ({"window": "custom", "from": "2026-10-01", "to": "2026-11-02"}, 201),
        ({"window": "custom"}, 400),
        ({"window": "1Y", "from": "2026-10-01"}, 400),
        ({"window": "custom", "from": "2026-10-01", "to": "2026-09-01"}, 400),
        ({"window": "custom", "first_day": "2026-10-01"}, 400),
    ],
)
def test_only_links_that_open_are_made(past: Past, window: dict[str, str], status: int) -> None:
    with mock.patch.object(analytics_requests, "utc_now", return_value=NOW):
        made = past.system.http("POST", f"{past.home}/links", {"resource": "history", **window})
        assert made.status == status, made.text
        if status == 201:
            link = "/links/" + made.json["url"].rpartition("/links/")[2]
            assert past.system.http("GET", link, authorizer=None).status == 200


def test_other_tenants_and_users_find_nothing(past: Past) -> None:
    for who in (authorized("other"), authorized(user_id="2")):
        for resource in ("sectors", "performance", "risk", "history", "drift", "alert-rules", "contacts"):
            assert past.system.http("GET", f"{past.home}/{resource}", authorizer=who).status == 404
        body = {"resource": "drift"}
        assert past.system.http("POST", f"{past.home}/links", body, authorizer=who).status == 404


@pytest.mark.parametrize(
    "query",
    [
        {"window": "2Y"},
        {"window": "custom"},
        {"window": "custom", "from": "2026-11-19", "to": "2026-10-01"},
        {"window": "custom", "from": "2026-11-19", "to": "2026-11-20"},
        {"window": "custom", "from": "0001-01-01"},
        {"window": "custom", "from": "2026-10-01", "to": "9999-12-31"},
        {"from": "2026-10-01"},
        {"confidence": "0.2"},
        {"horizon_days": "0"},
        {"risk_free": "2"},
        {"benchmark": "A#B"},
        {"format": "png"},
    ],
)
def test_bad_questions_are_refused_with_what_to_do(past: Past, query: dict[str, str]) -> None:
    answer = past.get("risk", **query)
    assert answer.status == 400, answer.text
    assert answer.json["detail"]


def test_valuing_again_writes_nothing(own_past: Past) -> None:
    message = {
        "schema_version": 1,
        "type": "valuation.requested",
        "tenant_id": "demo",
        "portfolio_id": own_past.portfolio["portfolio_id"],
    }
    for since in ({}, {"since": "2026-10-01"}, {"since": "2020-01-01"}):
        with mock.patch.object(valuation_function, "count") as count:
            boto3.client("sqs").send_message(
                QueueUrl=own_past.system.valuations_url, MessageBody=json.dumps({**message, **since})
            )
            own_past.system.value()
        assert mock.call("DaysValued", 0) in count.call_args_list, since
