"""Valuations: every open portfolio every night, crashes and concurrent writers, cost, and nights without bars."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from functions.analytics_on_valuation_requested import handler as valuation_function
from functions.portfolios_api import app as portfolios_app
from infra.tables import ANALYTICS
from tests.support.analytics import ValuedPortfolio, at_time, rising_closes, store_bars, trading_days
from tests.support.fast_moto import fast_items
from tests.support.faults import Crash, CrashAfter, CrashBefore, injecting
from tests.support.moto_state import snapshot, stored_items, table, waiting
from tests.support.system import System, payload, sqs_record
from tests.support.trading import FEED
from tests.support.write_units import put_units
from trimtab.analytics.adapters.series_store import SeriesStore

FIRST, LAST = date(2026, 10, 19), date(2026, 11, 6)
DAYS = trading_days(FIRST, LAST)
NOW = datetime(2026, 11, 7, 3, 5, tzinfo=UTC)
ASK = {"schema_version": 1, "type": "valuation.requested", "tenant_id": "demo"}
MANY_IN_PROOF = [
    pytest.mark.proof,
    pytest.mark.assurance("A night of 1,000 portfolios: calls and written units of each"),
]


def bars_ingested() -> Any:
    """Return the event about the bars of the last day."""
    event = payload("analytics_on_night/bars_ingested.json")
    event["detail"]["data"]["day"] = LAST.isoformat()
    return event


def invested_portfolio(system: System, user: str) -> ValuedPortfolio:
    """Return a portfolio with half of 1,000 in ALFA."""
    portfolio = ValuedPortfolio(system, system.portfolio(user, {"ALFA": 50, "BETA": 50}))
    portfolio.cash("d", "deposit", 1_000, FIRST)
    portfolio.trade("t", "BUY", "ALFA", 5, 100, FIRST)
    return portfolio


@pytest.fixture
def past(system: System) -> ValuedPortfolio:
    """Return a portfolio without any valuation."""
    store_bars({"ALFA": rising_closes(DAYS, 100, 0.01)})
    with at_time(NOW):
        return invested_portfolio(system, "1")


def record(portfolio: ValuedPortfolio) -> Any:
    """Return the message that requests all days of a portfolio."""
    return sqs_record(json.dumps({**ASK, "portfolio_id": portfolio.portfolio["portfolio_id"]}))


def stored() -> list[Any]:
    """Return the items of the table, without the members that every write changes."""
    items = [
        {name: item[name] for name in item if name not in {"version", "updated_at"}}
        for item in stored_items("analytics")
    ]
    return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def test_a_late_split_corrects_the_stored_values(past: ValuedPortfolio) -> None:
    closes = rising_closes(DAYS, 100, 0.01)
    store_bars({"ALFA": {day: close / 2 if day >= DAYS[3] else close for day, close in closes.items()}})
    with at_time(NOW):
        past.run_workers()
        before = [Decimal(day["value"]) for day in past.get("history", window="all").json["days"]]
        past.events("market")
        url = f"/assets/ALFA/splits/{DAYS[3]}"
        assert past.system.http("PUT", url, {"ratio": "2"}, authorizer=FEED).status == 200
        (event,) = past.events("market")
        news = {"detail-type": event["type"], "detail": event}
        assert past.system.request_valuations(news) == {"valuations": 1}
        past.system.process_valuations()
        after = [Decimal(day["value"]) for day in past.get("history", window="all").json["days"]]
        assert past.system.http("PUT", url, {"ratio": "2"}, authorizer=FEED).status == 200, "the same again"
        assert past.events("market") == []
    cash = 500  # a thousand came in, five at a hundred were bought
    doubled = [*before[:3], *(cash + 2 * (value - cash) for value in before[3:])]
    assert after == pytest.approx(doubled, abs=Decimal("0.01")), "each is rounded to a cent"
    with at_time(datetime.combine(DAYS[3], time(1), UTC)):
        assert past.system.request_valuations(news) == {"valuations": 0}, "no day of it is valued yet"


def traded_portfolio(system: System) -> ValuedPortfolio:
    """Return a valued portfolio whose only entry is a purchase of ALFA without tracked cash."""
    portfolio = ValuedPortfolio(system, system.portfolio("9", {"ALFA": 100}))
    portfolio.trade("t", "BUY", "ALFA", 5, 100, FIRST)
    portfolio.run_workers()
    assert len(portfolio.get("history", window="all").json["days"]) == len(DAYS)
    return portfolio


def correct_trade(portfolio: ValuedPortfolio, **body: str) -> None:
    """Correct the trade."""
    answer = portfolio.system.http("PATCH", f"{portfolio.path}/trades/t", body)
    assert answer.status == 200, answer.text


def test_the_values_of_a_failed_trade_are_removed_after_any_crash(past: ValuedPortfolio) -> None:
    with at_time(NOW), injecting() as faults:
        portfolio = traded_portfolio(past.system)
        correct_trade(portfolio, status="failed")
        restore, asked = snapshot(), sqs_record(json.dumps({**ASK, **_since(portfolio, FIRST)}))
        faults.set()
        assert past.system.invoke_worker(asked, worker=valuation_function) == set()
        calls, whole = len(faults.calls), stored()
        assert [row["sk"]["S"] for row in whole if row["pk"]["S"].endswith(portfolio.portfolio["portfolio_id"])] == [
            "SERIES"
        ]
        assert portfolio.get("history", window="all").json["days"] == []
        for number in range(calls):
            restore()
            faults.set(CrashBefore(number))
            with pytest.raises(Crash):
                past.system.invoke_worker(asked, worker=valuation_function)
            faults.set()
            assert past.system.invoke_worker(asked, worker=valuation_function) == set()
            assert stored() == whole, number
        portfolio.request_valuation(LAST)
        past.system.process_valuations()
        assert stored() == whole, "a night has no daily value to continue from"


def test_a_first_trade_moved_to_a_later_day_removes_the_days_before(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        portfolio = traded_portfolio(past.system)
        correct_trade(portfolio, executed_at=f"{DAYS[5]}T18:00:00Z")
        portfolio.run_workers()
        days = portfolio.get("history", window="all").json["days"]
        assert portfolio.get("performance", window="all").json["net_flow"] == "500.00"
    assert [day["day"] for day in days] == [day.isoformat() for day in DAYS[5:]]


def test_the_cash_of_a_reopened_portfolio_is_a_flow_of_that_day(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        portfolio = traded_portfolio(past.system)
        before = portfolio.get("history", window="all").json["days"]
        assert past.system.http("DELETE", portfolio.path).status == 204
        portfolio.run_workers()
        with mock.patch.object(portfolios_app, "utc_now", return_value=NOW):
            portfolios_app.portfolios.cache_clear()
            past.system.portfolio("9", {"ALFA": 100}, cash="700")
        portfolios_app.portfolios.cache_clear()
        assert past.system.http("GET", portfolio.path).json["cash"] == "700.00"
    with at_time(NOW + timedelta(days=3)):
        for since in (None, FIRST):
            portfolio.request_valuation(since)
            portfolio.run_workers()
            days = portfolio.get("history", window="all").json["days"]
            assert days[: len(before)] == before
            assert [day["flow"] for day in days[len(before) :]] == ["700.00"], "a Monday: it came on Saturday"
            assert float(days[-1]["value"]) == float(before[-1]["value"]) + 700


def _since(portfolio: ValuedPortfolio, day: date) -> dict[str, str]:
    return {"portfolio_id": portfolio.portfolio["portfolio_id"], "since": day.isoformat()}


@pytest.mark.volume
def test_a_night_requests_every_open_portfolio_and_no_closed_one(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        closed, second = invested_portfolio(past.system, "2"), invested_portfolio(past.system, "3")
        for portfolio in (past, closed, second):
            portfolio.run_workers()
        assert past.system.http("DELETE", closed.path).status == 204
        closed.run_workers()
        assert past.system.request_valuations(bars_ingested()) == {"valuations": 2}
        asked = "".join(message.body for message in waiting(past.system.valuations_url))
        assert [portfolio.portfolio["portfolio_id"] in asked for portfolio in (past, closed, second)] == [
            True,
            False,
            True,
        ]
        assert past.system.process_valuations() == 2


def test_without_new_bars_the_stored_values_answer_with_their_age(past: ValuedPortfolio) -> None:
    with at_time(NOW):
        past.run_workers()
    with at_time(NOW + timedelta(days=6)):
        answer = past.get("history", window="all").json
        assert answer["data"] == {"last_day": "2026-11-06", "age_days": 7, "stale": []}
        assert len(answer["days"]) == len(DAYS)
        assert past.get("risk", window="all").json["data"]["age_days"] == 7
        past.cash("d2", "deposit", 500, LAST + timedelta(days=4))
        past.run_workers()
        later = past.get("history", window="all").json
    assert later["data"] == {"last_day": "2026-11-12", "age_days": 1, "stale": ["ALFA"]}
    assert float(later["days"][-1]["value"]) == float(answer["days"][-1]["value"]) + 500


def test_a_crashed_valuation_that_is_repeated_leaves_the_same_table(past: ValuedPortfolio) -> None:
    restore = snapshot()
    with at_time(NOW), injecting() as faults:
        faults.set()
        assert past.system.invoke_worker(record(past), worker=valuation_function) == set()
        calls, whole = len(faults.calls), stored()
        assert len(whole) == len(DAYS) + 1
        for number in range(calls):
            for kind in (CrashBefore, CrashAfter):
                restore()
                faults.set(kind(number))
                with pytest.raises(Crash):
                    past.system.invoke_worker(record(past), worker=valuation_function)
                faults.set()
                assert past.system.invoke_worker(record(past), worker=valuation_function) == set()
                assert stored() == whole, (number, kind)


@pytest.mark.parametrize("step", ["state", "daily_values", "put_daily_values", "remove_daily_values", "put"])
def test_an_overtaken_valuation_leaves_the_table_of_a_single_one(past: ValuedPortfolio, step: str) -> None:
    """The other valuation sees a deposit that the first did not, so the values of the first must not stay."""
    with at_time(NOW):
        assert past.system.invoke_worker(record(past), worker=valuation_function) == set()
        past.cash("late", "deposit", 100, FIRST)
        overtaking, real = [True], getattr(SeriesStore, step)

        def overtaken(*arguments: Any) -> Any:
            if overtaking:
                overtaking.clear()
                past.cash("later", "deposit", 50, DAYS[3])
                past.run_workers()
            return real(*arguments)

        with mock.patch.object(SeriesStore, step, overtaken):
            past.request_valuation(FIRST)
            past.system.process_valuations()
        interleaved = stored()
        table("analytics").items.clear()
        assert past.system.invoke_worker(record(past), worker=valuation_function) == set()
    assert [item for item in interleaved if item["sk"]["S"] != "SERIES"] == [
        item for item in stored() if item["sk"]["S"] != "SERIES"
    ]


def measure_night(system: System, portfolios: int) -> tuple[int, int]:
    """Return the calls and the write units of a night with a number of portfolios."""
    store_bars({"ALFA": rising_closes(DAYS, 100, 0.01)})
    with at_time(NOW - timedelta(days=1)), fast_items():
        first = invested_portfolio(system, "0")
        for user in range(1, portfolios):
            invested_portfolio(system, str(user))
            if not user % 50:  # moto counts what is on a queue with each message
                first.run_workers()
        first.run_workers()
    before = {(item["pk"]["S"], item["sk"]["S"]): item for item in stored_items("analytics")}
    with at_time(NOW), fast_items(), injecting() as faults:
        faults.set()
        assert system.request_valuations(bars_ingested()) == {"valuations": portfolios}
        assert system.process_valuations() == portfolios
        calls = len(faults.calls)
    after = {(item["pk"]["S"], item["sk"]["S"]): item for item in stored_items("analytics")}
    units = sum(put_units(before.get(key), item, ANALYTICS) for key, item in after.items() if before.get(key) != item)
    return calls, units


@pytest.mark.volume
@pytest.mark.parametrize("portfolios", [10, 20, pytest.param(1000, marks=MANY_IN_PROOF)])
def test_a_night_costs_the_same_for_each_portfolio(system: System, portfolios: int) -> None:
    calls, units = measure_night(system, portfolios)
    assert units == 2 * portfolios, "a daily value and the series state"
    assert calls <= 16 + 13 * portfolios
