"""Figures and charts of a portfolio through the real functions, from old trades and stored bars."""

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
from tests.support.analytics import ValuedPortfolio, enter_assets, rising_closes, store_bars, trading_days
from tests.support.moto_state import snapshot
from tests.support.system import PUBLIC_URL, authorized, in_process_system
from tests.support.trading import FEED
from trimtab.analytics.schemas.snapshots import SNAPSHOT_BASIS

FIRST, LAST = date(2026, 9, 1), date(2026, 11, 19)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DAYS = trading_days(FIRST, LAST)


@contextmanager
def invested_portfolio() -> Iterator[ValuedPortfolio]:
    """Set up a portfolio with 10,000 deposited on the first day and half invested; ALFA rises 0.5 % a day."""
    with ExitStack() as stack:
        system = stack.enter_context(in_process_system())
        for module in (valuation_function, analytics_app, trade_routes):
            stack.enter_context(mock.patch.object(module, "utc_now", return_value=NOW))
        enter_assets(system, {"ALFA": "energy", "BETA": "utilities", "SPY": None})
        store_bars(
            {
                "ALFA": rising_closes(DAYS, 100, 0.005),
                "BETA": rising_closes(DAYS, 50, 0),
                "SPY": rising_closes(DAYS, 500, 0.001),
            }
        )
        portfolio = ValuedPortfolio(system, system.portfolio("1", {"ALFA": 50, "BETA": 50}))
        portfolio.cash("d", "deposit", 10_000, FIRST)
        portfolio.trade("t1", "BUY", "ALFA", 25, 100, FIRST)
        portfolio.trade("t2", "BUY", "BETA", 50, 50, FIRST)
        portfolio.run_workers()
        portfolio.quote(NOW, ALFA=100, BETA=50)
        yield portfolio


@pytest.fixture(scope="module")
def past() -> Iterator[ValuedPortfolio]:
    """Return a portfolio shared by tests that only read."""
    with invested_portfolio() as portfolio:
        yield portfolio


@pytest.fixture
def own_past(past: ValuedPortfolio) -> Iterator[ValuedPortfolio]:
    """Return the shared portfolio to tests that write; the tables are restored afterwards."""
    restore = snapshot()
    yield past
    restore()


def test_daily_values_follow_from_trades_of_long_ago_and_stored_bars(past: ValuedPortfolio) -> None:
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
    grown = 25 * rising_closes(DAYS, 100, 0.005)[LAST]
    assert answer["days"][-1]["value"] == f"{7500 + grown:.2f}"


def test_performance_names_method_window_basis_and_observations(past: ValuedPortfolio) -> None:
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


def test_a_later_deposit_does_not_count_as_a_return(own_past: ValuedPortfolio) -> None:
    before = own_past.get("performance", window="all").json
    own_past.cash("d2", "deposit", 90_000, date(2026, 11, 2))
    own_past.run_workers()
    after = own_past.get("performance", window="all").json
    assert after["net_flow"] == "100000.00"
    assert after["gain"] == before["gain"]
    assert Decimal(after["time_weighted"]["value"]) < Decimal(before["time_weighted"]["value"])
    assert Decimal(after["money_weighted"]["value"]) < Decimal(after["time_weighted"]["value"])


def test_a_correction_changes_every_day_since(own_past: ValuedPortfolio) -> None:
    answer = own_past.system.http("PATCH", f"{own_past.path}/trades/t1", {"quantity": "10", "amount": "1000"})
    assert answer.status == 200, answer.text
    own_past.run_workers()
    days = own_past.get("history", window="all").json["days"]
    assert days[0]["cash"] == "6500.00"
    assert days[-1]["value"] == f"{9000 + 10 * rising_closes(DAYS, 100, 0.005)[LAST]:.2f}"


def test_risk_names_its_confidence_and_a_rising_portfolio_has_no_drawdown(past: ValuedPortfolio) -> None:
    answer = past.get("risk", window="3M", benchmark="SPY", confidence="0.9", horizon_days="10").json
    assert (answer["confidence"], answer["horizon_days"]) == ("0.9", 10)
    assert answer["max_drawdown"]["value"] == "0.0000"
    assert answer["calmar"] == {**answer["calmar"], "value": None, "reason": "no_drawdown"}
    assert answer["historical_var"]["method"].startswith("historical_linear_percentile,confidence=0.9,horizon_days=10")
    assert answer["concentration"]["observations"] == 2
    assert answer["beta"]["value"] is None or Decimal(answer["beta"]["value"]).is_finite()


def test_too_few_days_are_answered_with_a_reason(own_past: ValuedPortfolio) -> None:
    portfolio = ValuedPortfolio(own_past.system, own_past.system.portfolio("2", {"ALFA": 100}))
    answer = portfolio.get("risk")
    assert answer.status == 200
    assert (answer.json["volatility"]["value"], answer.json["volatility"]["reason"]) == (None, "too_few_observations")
    assert answer.json["data"] == {"last_day": None, "age_days": None, "stale": []}
    assert portfolio.get("performance").json["time_weighted"]["reason"] == "too_few_observations"
    assert portfolio.get("history").json["days"] == []


def test_sectors_need_no_history_and_list_unknown_assets(own_past: ValuedPortfolio) -> None:
    own_past.quote(NOW, GAMA=10)
    own_past.trade("t3", "BUY", "GAMA", 100, 10, LAST)
    answer = own_past.get("sectors").json
    assert {sector["name"]: (sector["value"], sector["symbols"]) for sector in answer["sectors"]} == {
        "Cash": ("4000.00", []),
        "Energy": ("2500.00", ["ALFA"]),
        "Utilities": ("2500.00", ["BETA"]),
        "Unknown": ("1000.00", ["GAMA"]),
    }
    assert sum(Decimal(sector["weight"]) for sector in answer["sectors"]) == 100


def test_drift_has_the_distance_to_the_nearer_edge(past: ValuedPortfolio) -> None:
    answer = past.get("drift").json
    legs = {leg["asset"]: leg for leg in answer["assets"]}
    assert (legs["ALFA"]["weight"], legs["ALFA"]["lower"], legs["ALFA"]["distance"]) == (
        "25.0000",
        "45.0000",
        "-20.0000",
    )
    assert answer["drift"] == "50.0000"
    assert past.system.http("GET", past.path).json["valuation"]["value"] == "10000.00"


def test_holdings_without_recent_quotes_are_valued_at_their_last_close_and_named(own_past: ValuedPortfolio) -> None:
    """OMEG was never quoted; SIGM was quoted long before its last close and has split since."""
    system = own_past.system
    store_bars({"OMEG": rising_closes(DAYS, 100, 0), "SIGM": rising_closes(DAYS, 100, 0)})
    portfolio = ValuedPortfolio(system, system.portfolio("3", {"OMEG": 50, "SIGM": 50}))
    portfolio.quote(datetime(2026, 9, 2, tzinfo=UTC), SIGM=7)
    portfolio.trade("t1", "BUY", "OMEG", 30, 100, FIRST)
    portfolio.trade("t2", "BUY", "SIGM", 10, 100, FIRST)
    assert system.http("PUT", f"/assets/SIGM/splits/{NOW.date()}", {"ratio": "2"}, authorizer=FEED).status == 200
    drift, sectors = portfolio.get("drift").json, portfolio.get("sectors").json
    assert {leg["asset"]: leg["value"] for leg in drift["assets"]} == {
        "OMEG": "3000.00",
        "SIGM": "1000.00",
        "$cash": "0.00",
    }
    assert (drift["drift"], drift["reason"], sectors["value"]) == ("25.0000", None, "4000.00")
    for answer in (drift, sectors):
        assert [each["symbol"] for each in answer["valued_at_close"]] == ["OMEG", "SIGM"]
        assert {each["day"] for each in answer["valued_at_close"]} == {LAST.isoformat()}
        assert (answer["as_of"], answer["age_days"], answer["observations"]) == ("2026-11-19T23:59:59.999999Z", 1, 2)
        assert (bool(answer["method"]), answer["basis"]) == (True, SNAPSHOT_BASIS)
    drawn = portfolio.get("drift", format="svg").text
    assert "OMEG" in drawn
    for chart in (drawn, portfolio.get("sectors", format="svg").text):
        assert "default, 19 Nov 2026</text>" in chart, "the age of the prices"


def test_missing_drift_has_a_reason_and_names_unpriced_holdings(own_past: ValuedPortfolio) -> None:
    system = own_past.system
    portfolio = ValuedPortfolio(system, system.portfolio("4", {"NONE": 100}))
    assert (portfolio.get("drift").json["reason"], portfolio.get("drift").json["valued_at_close"]) == (
        "nothing_held",
        [],
    )
    portfolio.trade("t1", "BUY", "NONE", 30, 100, FIRST)
    answer = portfolio.get("drift").json
    assert (answer["drift"], answer["reason"], answer["unpriced"]) == (None, "no_price", ["NONE"])
    assert "no price is known for NONE" in portfolio.get("drift", format="svg").text
    portfolio.run_workers()
    sectors = portfolio.get("sectors").json
    assert (sectors["value"], sectors["unpriced"]) == ("0.00", ["NONE"]), "a trade price is no price of the market"


def test_an_asset_of_another_currency_is_named(own_past: ValuedPortfolio) -> None:
    body = {"name": "Beta", "asset_class": "stock", "sector": "utilities", "currency": "EUR", "exchange": "XETR"}
    assert own_past.system.http("PUT", "/assets/BETA", body, authorizer=FEED).status == 200
    assert own_past.get("sectors").json["other_currency"] == ["BETA"]


def test_returns_as_of_a_past_day_are_those_of_its_close(past: ValuedPortfolio) -> None:
    answer = past.get("cumulative-returns", as_of="2026-10-01").json
    grown = 25 * rising_closes(DAYS, 100, 0.005)[date(2026, 10, 1)] - 2500
    assert (answer["unrealised"], answer["unpriced"]) == (f"{grown:.2f}", [])
    assert (answer["basis"], answer["as_of"], answer["observations"]) == (
        "last_closes_split_adjusted",
        "2026-10-01",
        2,
    )
    now = past.get("cumulative-returns").json
    assert (now["basis"], now["as_of"], now["observations"]) == ("newer_of_quote_and_last_close", None, 2)


@pytest.mark.parametrize("resource", ["sectors", "performance", "risk", "history", "drift"])
@pytest.mark.parametrize("asked", ["query", "header"])
def test_every_resource_is_available_as_a_chart(past: ValuedPortfolio, resource: str, asked: str) -> None:
    if asked == "query":
        answer = past.get(resource, format="svg", theme="dark")
    else:
        answer = past.system.http("GET", f"{past.path}/{resource}", headers={"Accept": "image/svg+xml,*/*;q=0.8"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    assert ET.fromstring(answer.text).tag.endswith("svg")  # noqa: S314 - our own


def test_a_history_without_returns_is_available_as_a_chart(own_past: ValuedPortfolio) -> None:
    portfolio = ValuedPortfolio(own_past.system, own_past.system.portfolio("5", {"ALFA": 100}))
    for type in ("deposit", "withdrawal"):
        portfolio.cash(type, type, 100, FIRST)
    portfolio.run_workers()
    assert portfolio.get("performance", window="all").json["time_weighted"]["value"] is None
    answer = portfolio.get("history", window="all", format="svg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/svg+xml")


def test_a_late_dividend_is_told_and_removes_no_figure(own_past: ValuedPortfolio) -> None:
    portfolio = ValuedPortfolio(own_past.system, own_past.system.portfolio("6", {"ALFA": 100}))
    portfolio.cash("d", "deposit", 2_500, FIRST)
    portfolio.trade("b", "BUY", "ALFA", 25, 100, FIRST)
    portfolio.trade("s", "SELL", "ALFA", 25, 110, DAYS[40])
    portfolio.cash("w", "withdrawal", 2_750, DAYS[41])  # at noon, so not on the day of the sell
    portfolio.cash("late", "dividend", "10.40", DAYS[45])
    portfolio.run_workers()
    performance, risk = portfolio.get("performance", window="all").json, portfolio.get("risk", window="all").json
    assert performance["skipped_days"] == risk["skipped_days"]
    assert performance["skipped_days"] == [{"day": DAYS[45].isoformat(), "gain": "10.40", "reason": "no_capital"}]
    assert performance["time_weighted"]["value"] == "10.0000"
    assert (performance["gain"], performance["simple"]["value"]) == ("260.40", "10.4160")
    assert performance["money_weighted"]["candidates"] == []
    for name in ("volatility", "sharpe", "max_drawdown", "normal_var"):
        assert risk[name]["reason"] is None, name
    assert portfolio.get("performance", window="all", format="svg").status == 200


def test_a_split_of_the_benchmark_is_no_step_in_the_chart(own_past: ValuedPortfolio) -> None:
    ex = date(2026, 10, 15)
    store_bars({"SPLT": {day: Decimal(400 if day < ex else 100) for day in DAYS}})
    assert own_past.system.http("PUT", f"/assets/SPLT/splits/{ex}", {"ratio": "4"}, authorizer=FEED).status == 200
    drawn = own_past.get("performance", window="all", benchmark="SPLT", format="svg").text
    line = re.search(r'<path class="benchmark" d="M([^"]*)"', drawn)
    assert line
    assert len({point.split(",")[1] for point in line[1].split("L")}) == 1, "the price did not move"


def test_stored_dividends_of_the_benchmark_are_part_of_its_return(own_past: ValuedPortfolio) -> None:
    ex = date(2026, 10, 15)
    store_bars({"DIVI": {day: 100 if day < ex else 98 for day in DAYS}}, {ex: "2"})
    window = {"window": "custom", "from": FIRST.isoformat()}
    answer = own_past.get("performance", **window, benchmark="DIVI").json
    assert (answer["benchmark"]["value"], answer["benchmark"]["method"]) == ("0.0000", "total_return"), (
        "98 + 2 after 100"
    )
    assert answer["excess"]["method"] == "time_weighted_total_return_less_benchmark_total_return"
    assert "total_returns:DIVI" in own_past.get("risk", **window, benchmark="DIVI").json["beta"]["basis"]
    assert own_past.get("performance", **window, benchmark="SPY").json["benchmark"]["method"] == "price_return"


def test_the_format_wins_over_accept_and_answers_vary_by_accept(past: ValuedPortfolio) -> None:
    browser = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
    drawn = past.system.http("GET", f"{past.path}/sectors", headers=browser)
    figures = past.system.http("GET", f"{past.path}/sectors", query={"format": "json"}, headers=browser)
    assert [answer.headers["Content-Type"] for answer in (drawn, figures)] == ["image/svg+xml", "application/json"]
    assert drawn.headers["Vary"] == figures.headers["Vary"] == "Accept"


def test_a_window_up_to_today_ends_with_the_last_valued_day_and_names_the_requested_day(past: ValuedPortfolio) -> None:
    custom = {"window": "custom", "from": "2026-11-02"}
    answer = past.get("history", **custom, to="2026-11-20").json
    assert (answer["window"]["last"], answer["requested_to"]) == ("2026-11-19", "2026-11-20")
    assert past.get("history", **custom, to="2026-11-19").json == {**answer, "requested_to": None}
    assert answer["observations"] == len(answer["days"])


def test_a_link_opens_without_a_token_until_it_expires(past: ValuedPortfolio) -> None:
    with mock.patch.object(analytics_requests, "utc_now", return_value=NOW):
        made = past.system.http("POST", f"{past.path}/links", {"resource": "history", "window": "3M", "theme": "light"})
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
def test_only_links_that_open_are_created(past: ValuedPortfolio, window: dict[str, str], status: int) -> None:
    with mock.patch.object(analytics_requests, "utc_now", return_value=NOW):
        made = past.system.http("POST", f"{past.path}/links", {"resource": "history", **window})
        assert made.status == status, made.text
        if status == 201:
            link = "/links/" + made.json["url"].rpartition("/links/")[2]
            assert past.system.http("GET", link, authorizer=None).status == 200


def test_other_tenants_and_users_get_404(past: ValuedPortfolio) -> None:
    for caller in (authorized("other"), authorized(user_id="2")):
        for resource in ("sectors", "performance", "risk", "history", "drift", "alert-rules", "contacts"):
            assert past.system.http("GET", f"{past.path}/{resource}", authorizer=caller).status == 404
        body = {"resource": "drift"}
        assert past.system.http("POST", f"{past.path}/links", body, authorizer=caller).status == 404


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
def test_invalid_queries_are_refused_with_a_detail(past: ValuedPortfolio, query: dict[str, str]) -> None:
    answer = past.get("risk", **query)
    assert answer.status == 400, answer.text
    assert answer.json["detail"]


def test_valuing_again_writes_nothing(own_past: ValuedPortfolio) -> None:
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
            own_past.system.process_valuations()
        assert mock.call("DaysValued", 0) in count.call_args_list, since
