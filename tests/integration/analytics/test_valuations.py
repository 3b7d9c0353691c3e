"""Nights of valuations: every open portfolio, whatever interrupts them; what they cost; and no bars at all."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from functions.analytics_on_valuation_requested import handler as valuation_function
from functions.portfolios_api import app as portfolios_app
from infra.tables import ANALYTICS
from tests.support.analytics import Past, at, rising, store_bars, trading_days
from tests.support.fast_moto import quick_items
from tests.support.faults import Crash, CrashAfter, CrashBefore, injecting
from tests.support.moto_state import snapshot, stored_items, table, waiting
from tests.support.system import System, payload, sqs_record
from tests.support.trading import FEED
from tests.support.write_units import put_units
from trimtab.analytics.adapters.series import DynamoSeries

FIRST, LAST = date(2026, 10, 19), date(2026, 11, 6)
DAYS = trading_days(FIRST, LAST)
NOW = datetime(2026, 11, 7, 3, 5, tzinfo=UTC)
ASK = {"schema_version": 1, "type": "valuation.requested", "tenant_id": "demo"}


def bars_ingested() -> Any:
    """The event of the last day."""
    event = payload("analytics_on_night/bars_ingested.json")
    event["detail"]["data"]["day"] = LAST.isoformat()
    return event


def invested(system: System, user: str) -> Past:
    """A thousand, half of it in ALFA."""
    it = Past(system, system.portfolio(user, {"ALFA": 50, "BETA": 50}))
    it.cash("d", "deposit", 1_000, FIRST)
    it.trade("t", "BUY", "ALFA", 5, 100, FIRST)
    return it


@pytest.fixture
def past(system: System) -> Past:
    """A portfolio that has never been valued."""
    store_bars({"ALFA": rising(DAYS, 100, 0.01)})
    with at(NOW):
        return invested(system, "1")


def record(it: Past) -> Any:
    """The message that asks for the valuation of all its days."""
    return sqs_record(json.dumps({**ASK, "portfolio_id": it.portfolio["portfolio_id"]}))


def stored() -> list[Any]:
    """The table, without what every write changes."""
    items = [
        {name: it[name] for name in it if name not in {"version", "updated_at"}} for it in stored_items("analytics")
    ]
    return sorted(items, key=lambda it: (it["pk"]["S"], it["sk"]["S"]))


def test_a_split_that_is_entered_late_puts_the_stored_values_right(past: Past) -> None:
    with at(NOW):
        past.settle()
        before = [Decimal(it["value"]) for it in past.get("history", window="all").json["days"]]
        past.events("market")
        url = f"/assets/ALFA/splits/{DAYS[3]}"
        assert past.system.http("PUT", url, {"ratio": "2"}, authorizer=FEED).status == 200
        (told,) = past.events("market")
        news = {"detail-type": told["type"], "detail": told}
        assert past.system.after_night(news) == {"valuations": 1}
        past.system.value()
        after = [Decimal(it["value"]) for it in past.get("history", window="all").json["days"]]
        assert past.system.http("PUT", url, {"ratio": "2"}, authorizer=FEED).status == 200, "the same again"
        assert past.events("market") == []
    cash = 500  # a thousand came in, five at a hundred were bought
    doubled = [*before[:3], *(cash + 2 * (value - cash) for value in before[3:])]
    assert after == pytest.approx(doubled, abs=Decimal("0.01")), "each is rounded to a cent"
    with at(datetime.combine(DAYS[3], time(1), UTC)):
        assert past.system.after_night(news) == {"valuations": 0}, "no day of it is valued yet"


def bought(system: System) -> Past:
    """Five of ALFA on the first day, without tracked cash: nothing else is its past."""
    it = Past(system, system.portfolio("9", {"ALFA": 100}))
    it.trade("t", "BUY", "ALFA", 5, 100, FIRST)
    it.settle()
    assert len(it.get("history", window="all").json["days"]) == len(DAYS)
    return it


def corrected(it: Past, **body: str) -> None:
    """Corrects the trade."""
    answer = it.system.http("PATCH", f"{it.home}/trades/t", body)
    assert answer.status == 200, answer.text


def test_a_past_whose_only_trade_failed_is_taken_back_whatever_crashes(past: Past) -> None:
    with at(NOW), injecting() as faults:
        it = bought(past.system)
        corrected(it, status="failed")
        bring_back, asked = snapshot(), sqs_record(json.dumps({**ASK, **_since(it, FIRST)}))
        faults.set()
        assert past.system.work(asked, worker=valuation_function) == set()
        calls, whole = len(faults.calls), stored()
        assert [row["sk"]["S"] for row in whole if row["pk"]["S"].endswith(it.portfolio["portfolio_id"])] == ["SERIES"]
        assert it.get("history", window="all").json["days"] == []
        for number in range(calls):
            bring_back()
            faults.set(CrashBefore(number))
            with pytest.raises(Crash):
                past.system.work(asked, worker=valuation_function)
            faults.set()
            assert past.system.work(asked, worker=valuation_function) == set()
            assert stored() == whole, number
        it.ask(LAST)
        past.system.value()
        assert stored() == whole, "a night finds nothing to go on from"


def test_a_first_trade_that_moves_to_a_later_day_takes_the_days_before_it_along(past: Past) -> None:
    with at(NOW):
        it = bought(past.system)
        corrected(it, executed_at=f"{DAYS[5]}T18:00:00Z")
        it.settle()
        days = it.get("history", window="all").json["days"]
        assert it.get("performance", window="all").json["net_flow"] == "500.00"
    assert [day["day"] for day in days] == [day.isoformat() for day in DAYS[5:]]


def test_cash_that_a_portfolio_is_opened_again_with_came_in_on_that_day(past: Past) -> None:
    with at(NOW):
        it = bought(past.system)
        before = it.get("history", window="all").json["days"]
        assert past.system.http("DELETE", it.home).status == 204
        it.settle()
        with mock.patch.object(portfolios_app, "utc_now", return_value=NOW):
            portfolios_app.portfolios.cache_clear()
            past.system.portfolio("9", {"ALFA": 100}, cash="700")
        portfolios_app.portfolios.cache_clear()
        assert past.system.http("GET", it.home).json["cash"] == "700.00"
    with at(NOW + timedelta(days=3)):
        for since in (None, FIRST):
            it.ask(since)
            it.settle()
            days = it.get("history", window="all").json["days"]
            assert days[: len(before)] == before
            assert [day["flow"] for day in days[len(before) :]] == ["700.00"], "a Monday: it came on Saturday"
            assert float(days[-1]["value"]) == float(before[-1]["value"]) + 700


def _since(it: Past, day: date) -> dict[str, str]:
    return {"portfolio_id": it.portfolio["portfolio_id"], "since": day.isoformat()}


@pytest.mark.volume
def test_a_night_asks_for_every_open_portfolio_and_for_no_closed_one(past: Past) -> None:
    with at(NOW):
        closed, second = invested(past.system, "2"), invested(past.system, "3")
        for it in (past, closed, second):
            it.settle()
        assert past.system.http("DELETE", closed.home).status == 204
        closed.settle()
        assert past.system.after_night(bars_ingested()) == {"valuations": 2}
        asked = "".join(it.body for it in waiting(past.system.valuations_url))
        assert [it.portfolio["portfolio_id"] in asked for it in (past, closed, second)] == [True, False, True]
        assert past.system.value() == 2


def test_without_bars_for_days_the_stored_values_answer_and_say_how_old_they_are(past: Past) -> None:
    with at(NOW):
        past.settle()
    with at(NOW + timedelta(days=6)):
        answer = past.get("history", window="all").json
        assert answer["data"] == {"last_day": "2026-11-06", "age_days": 7, "stale": []}
        assert len(answer["days"]) == len(DAYS)
        assert past.get("risk", window="all").json["data"]["age_days"] == 7
        past.cash("d2", "deposit", 500, LAST + timedelta(days=4))
        past.settle()
        later = past.get("history", window="all").json
    assert later["data"] == {"last_day": "2026-11-12", "age_days": 1, "stale": ["ALFA"]}
    assert float(later["days"][-1]["value"]) == float(answer["days"][-1]["value"]) + 500


def test_a_valuation_that_crashed_anywhere_and_is_run_again_leaves_the_same_table(past: Past) -> None:
    bring_back = snapshot()
    with at(NOW), injecting() as faults:
        faults.set()
        assert past.system.work(record(past), worker=valuation_function) == set()
        calls, whole = len(faults.calls), stored()
        assert len(whole) == len(DAYS) + 1
        for number in range(calls):
            for kind in (CrashBefore, CrashAfter):
                bring_back()
                faults.set(kind(number))
                with pytest.raises(Crash):
                    past.system.work(record(past), worker=valuation_function)
                faults.set()
                assert past.system.work(record(past), worker=valuation_function) == set()
                assert stored() == whole, (number, kind)


@pytest.mark.parametrize("step", ["series", "snapshots", "put_snapshots", "remove_snapshots", "put"])
def test_a_valuation_that_another_one_overtook_leaves_the_table_of_one(past: Past, step: str) -> None:
    """The other one sees a deposit that the first did not: what the first wrote must not stay."""
    with at(NOW):
        assert past.system.work(record(past), worker=valuation_function) == set()
        past.cash("late", "deposit", 100, FIRST)
        overtaking, real = [True], getattr(DynamoSeries, step)

        def overtaken(*arguments: Any) -> Any:
            if overtaking:
                overtaking.clear()
                past.cash("later", "deposit", 50, DAYS[3])
                past.settle()
            return real(*arguments)

        with mock.patch.object(DynamoSeries, step, overtaken):
            past.ask(FIRST)
            past.system.value()
        interleaved = stored()
        table("analytics").items.clear()
        assert past.system.work(record(past), worker=valuation_function) == set()
    assert [it for it in interleaved if it["sk"]["S"] != "SERIES"] == [
        it for it in stored() if it["sk"]["S"] != "SERIES"
    ]


def spent(system: System, portfolios: int) -> tuple[int, int]:
    """The calls of a night of that many portfolios, and the units that its writes cost."""
    store_bars({"ALFA": rising(DAYS, 100, 0.01)})
    with at(NOW - timedelta(days=1)), quick_items():
        first = invested(system, "0")
        for user in range(1, portfolios):
            invested(system, str(user))
            if not user % 50:  # moto counts what is on a queue with each message
                first.settle()
        first.settle()
    before = {(it["pk"]["S"], it["sk"]["S"]): it for it in stored_items("analytics")}
    with at(NOW), quick_items(), injecting() as faults:
        faults.set()
        assert system.after_night(bars_ingested()) == {"valuations": portfolios}
        assert system.value() == portfolios
        calls = len(faults.calls)
    after = {(it["pk"]["S"], it["sk"]["S"]): it for it in stored_items("analytics")}
    units = sum(put_units(before.get(key), it, ANALYTICS) for key, it in after.items() if before.get(key) != it)
    return calls, units


@pytest.mark.volume
@pytest.mark.parametrize("portfolios", [10, 20, pytest.param(1000, marks=pytest.mark.proof)])
def test_a_night_costs_the_same_for_each_portfolio(system: System, portfolios: int) -> None:
    calls, units = spent(system, portfolios)
    assert units == 2 * portfolios, "a snapshot and the series"
    assert calls <= 16 + 13 * portfolios
