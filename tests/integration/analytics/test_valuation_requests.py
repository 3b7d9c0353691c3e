"""Requests for valuations: one computation for many events, long computations in parts, and no lost change."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.analytics_on_portfolio_changed import handler as change_function
from functions.analytics_on_valuation_requested import handler as valuation_function
from tests.support.analytics import CHANGES, ValuedPortfolio, at_time, on_bus, rising_closes, store_bars, trading_days
from tests.support.fast_moto import fast_items
from tests.support.faults import Crash, CrashAfter, CrashBefore, injecting
from tests.support.moto_state import snapshot, stored_items, table
from tests.support.system import System, receive_batch, sqs_record
from tests.support.trading import Account, csv_file
from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.service import valuations
from trimtab.analytics.service.valuations import Valuations

FIRST, LAST = date(2026, 10, 19), date(2026, 11, 6)
DAYS = trading_days(FIRST, LAST)
NOW = datetime(2026, 11, 7, 3, 5, tzinfo=UTC)


@pytest.fixture
def computed() -> Iterator[list[str]]:
    """Return the portfolio ids of all computations of daily values."""
    portfolios, real = [], Valuations._recompute

    def recompute(service: Valuations, portfolio: Any, *arguments: Any) -> Any:
        portfolios.append(portfolio.portfolio_id)
        return real(service, portfolio, *arguments)

    with mock.patch.object(Valuations, "_recompute", recompute):
        yield portfolios


@pytest.fixture
def past(system: System) -> Iterator[ValuedPortfolio]:
    """Return a portfolio without any entry, and store bars of ALFA."""
    with fast_items():
        store_bars({"ALFA": rising_closes(DAYS, 100, 0.01)})
        yield ValuedPortfolio(system, system.portfolio("heavy", {"ALFA": 100}))


def id_of(portfolio: ValuedPortfolio) -> str:
    """Return the portfolio's id."""
    return str(portfolio.portfolio["portfolio_id"])


def import_trades(portfolio: ValuedPortfolio, number: int, days: Sequence[date], first: int = 0) -> None:
    """Import purchases of one share each, spread over the days from the first to the last."""
    rows = [
        {
            "ref_id": f"t{first + n}",
            "side": "BUY",
            "security_type": "stock",
            "symbol": "ALFA",
            "quantity": 1,
            "amount": 100,
            "status": "success",
            "executed_at": f"{days[n * len(days) // number]}T18:00:00Z",
        }
        for n in range(number)
    ]
    assert Account(portfolio.system, portfolio.portfolio).import_file(csv_file(rows))["recorded"] == number


def values() -> list[Any]:
    """Return the stored daily values."""
    return sorted((item for item in stored_items("analytics") if item["sk"]["S"] != "SERIES"), key=str)


def values_computed_at_once(portfolio: ValuedPortfolio) -> list[Any]:
    """Return the daily values of a computation of all days on an empty table."""
    table("analytics").items.clear()
    portfolio.request_valuation()
    portfolio.system.process_valuations()
    return values()


def value_in_batches(system: System, size: int = 10) -> list[list[str]]:
    """Process the queue of valuations; return the portfolio ids of each invocation's messages."""
    invocations, url = [], system.valuations_url
    while messages := receive_batch(url, size):
        records = [sqs_record(message["Body"], message_id=message["MessageId"]) for message in messages]
        assert system.invoke_worker(*records, worker=valuation_function) == set()
        for message in messages:
            boto3.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        invocations.append([json.loads(message["Body"])["portfolio_id"] for message in messages])
    return invocations


def test_an_import_leads_to_one_computation(past: ValuedPortfolio, computed: list[str]) -> None:
    with at_time(NOW):
        import_trades(past, 100, DAYS)
        past.run_workers()
        stored = values()
        assert computed == [id_of(past)]
        assert past.get("performance", window="all").json["net_flow"] == "10000.00"
        assert stored == values_computed_at_once(past)


def heavy_and_light(past: ValuedPortfolio, trades: int, light: int, computed: list[str]) -> list[list[str]]:
    """Import trades, then record one trade in each light portfolio; return the invocations of the valuations."""
    system = past.system
    others = [ValuedPortfolio(system, system.portfolio(f"light-{n}", {"ALFA": 100})) for n in range(light)]
    past.run_workers()
    computed.clear()
    import_trades(past, trades, DAYS)
    for other in others:
        other.trade("t", "BUY", "ALFA", 1, 100, DAYS[-1])
    events = [sqs_record(json.dumps(on_bus(event))) for event in past.events("portfolios") if event["type"] in CHANGES]
    assert len(events) == 1 + light, "one event for an import, and one for each recorded trade"
    for start in range(0, len(events), 100):
        assert system.invoke_worker(*events[start : start + 100], worker=change_function) == set()
    invocations = value_in_batches(system)
    assert sorted(set(computed)) == sorted({id_of(past), *map(id_of, others)})
    assert len(computed) == 1 + light, "one computation for each portfolio, however many trades"
    return invocations


@pytest.mark.parametrize(("trades", "light"), [(190, 5), pytest.param(2_000, 100, marks=pytest.mark.volume)])
def test_a_heavy_portfolio_does_not_hold_up_light_ones(
    past: ValuedPortfolio, computed: list[str], trades: int, light: int
) -> None:
    with at_time(NOW):
        invocations = heavy_and_light(past, trades, light, computed)
    requests = [name for batch in invocations for name in batch]
    heavy = requests.count(id_of(past))
    assert heavy == 1, "one request for an import"
    assert len(requests) <= heavy + light
    assert len(invocations) <= (heavy + light) // 10 + 1


def test_a_long_series_is_computed_in_parts_behind_the_other_portfolios(
    past: ValuedPortfolio, computed: list[str]
) -> None:
    with at_time(NOW), mock.patch.object(valuations, "MAX_DAYS", 4):
        import_trades(past, 30, DAYS)
        light = ValuedPortfolio(past.system, past.system.portfolio("light", {"ALFA": 100}))
        light.trade("t", "BUY", "ALFA", 1, 100, DAYS[-1])
        past.send_changes()
        past.system.process_changes()
        invocations = value_in_batches(past.system, size=1)
        parts = -(-len(DAYS) // 4)
        assert [batch[0] for batch in invocations] == [id_of(past), id_of(light), *[id_of(past)] * (parts - 1)]
        stored = values()
        assert len(past.get("history", window="all").json["days"]) == len(DAYS)
    with at_time(NOW):
        past.request_valuation()
        table("analytics").items.clear()
        light.request_valuation()
        past.system.process_valuations()
    assert stored == values(), "the same values as in one part"


def test_a_correction_that_moves_the_first_trade_is_followed_in_parts(past: ValuedPortfolio) -> None:
    with at_time(NOW), mock.patch.object(valuations, "MAX_DAYS", 4):
        past.trade("t", "BUY", "ALFA", 5, 100, DAYS[0])
        past.run_workers()
        assert len(values()) == len(DAYS)
        assert past.system.http("PATCH", f"{past.path}/trades/t", {"executed_at": f"{DAYS[6]}T18:00:00Z"}).status == 200
        past.run_workers()
        assert [item["sk"]["S"] for item in values()] == [f"VALUE#{day}" for day in DAYS[6:]]
        state = past.get("history", window="all").json
    assert (state["days"][0]["day"], state["data"]["last_day"]) == (DAYS[6].isoformat(), DAYS[-1].isoformat())


def change_message(portfolio: ValuedPortfolio, since: date, deliveries: int = 1) -> Any:
    """Return the request for a valuation after a change."""
    body = {"schema_version": 1, "type": "valuation.requested", "tenant_id": "demo", "portfolio_id": id_of(portfolio)}
    text = json.dumps({**body, "since": since.isoformat(), "unless_valued": True})
    return sqs_record(text, ApproximateReceiveCount=str(deliveries))


def test_only_what_the_version_does_not_cover_is_computed(past: ValuedPortfolio, computed: list[str]) -> None:
    with at_time(NOW):
        past.trade("t", "BUY", "ALFA", 5, 100, DAYS[0])
        past.run_workers()
        past.trade("u", "BUY", "ALFA", 5, 100, DAYS[5])
        computed.clear()

        def computations(since: date, deliveries: int = 1) -> int:
            before = len(computed)
            record = change_message(past, since, deliveries)
            assert past.system.invoke_worker(record, worker=valuation_function) == set()
            return len(computed) - before

        assert computations(DAYS[5]) == 1
        assert computations(DAYS[5]) == 0, "the version is valued"
        assert computations(DAYS[8]) == 0, "later days follow"
        assert computations(DAYS[3]) == 1, "earlier days do not"
        assert computations(DAYS[5]) == 0
        assert computations(DAYS[5], deliveries=2) == 1, "the first delivery may have failed half-way"
        past.trade("v", "BUY", "ALFA", 5, 100, DAYS[7])
        assert computations(DAYS[7]) == 1, "a new version"


def test_new_bars_are_valued_though_the_version_is_valued(past: ValuedPortfolio, computed: list[str]) -> None:
    with at_time(NOW):
        past.trade("t", "BUY", "ALFA", 5, 100, DAYS[0])
        past.run_workers()
        computed.clear()
        store_bars({"ALFA": {DAYS[-1]: 200}})
        past.request_valuation(DAYS[-1])
        past.system.process_valuations()
        assert computed == [id_of(past)]
        assert past.get("history", window="all").json["days"][-1]["value"] == "1000.00"


def test_a_crash_at_any_call_loses_no_change(past: ValuedPortfolio) -> None:
    with at_time(NOW), injecting() as faults, mock.patch.object(valuations, "MAX_DAYS", 10):
        past.trade("t", "BUY", "ALFA", 5, 100, DAYS[0])
        past.run_workers()
        past.trade("u", "BUY", "ALFA", 3, 100, DAYS[2])
        restore = snapshot()
        faults.set()
        assert past.system.invoke_worker(change_message(past, DAYS[2]), worker=valuation_function) == set()
        calls = len(faults.calls)
        past.system.process_valuations()
        whole = values()
        for number in range(calls):
            for kind in (CrashBefore, CrashAfter):
                restore()
                faults.set(kind(number))
                with pytest.raises(Crash):
                    past.system.invoke_worker(change_message(past, DAYS[2]), worker=valuation_function)
                faults.set()
                redelivered = change_message(past, DAYS[2], deliveries=2)
                assert past.system.invoke_worker(redelivered, worker=valuation_function) == set()
                past.system.process_valuations()
                assert values() == whole, (number, kind)


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("step", ["state", "daily_values", "put_daily_values", "remove_daily_values"])
def test_an_overtaken_computation_leaves_the_values_of_the_newest_version(
    past: ValuedPortfolio, step: str, dies: bool
) -> None:
    """A slow worker stores values of an old version last, and may die before it stores the state."""
    with at_time(NOW), ExitStack() as stack:
        past.trade("t", "BUY", "ALFA", 5, 100, DAYS[0])
        past.run_workers()
        past.trade("u", "BUY", "ALFA", 3, 100, DAYS[2])
        overtaking, real = [True], getattr(SeriesStore, step)

        def overtaken(*arguments: Any) -> Any:
            if overtaking:
                overtaking.clear()
                past.trade("v", "BUY", "ALFA", 1, 100, DAYS[1])
                past.run_workers()
                if dies:
                    stack.enter_context(mock.patch.object(SeriesStore, "put", side_effect=Crash))
            return real(*arguments)

        with mock.patch.object(SeriesStore, step, overtaken), suppress(Crash):
            past.system.invoke_worker(change_message(past, DAYS[2]), worker=valuation_function)
        stack.close()
        if dies:
            again = change_message(past, DAYS[2], deliveries=2)
            assert past.system.invoke_worker(again, worker=valuation_function) == set()
        assert values() == values_computed_at_once(past)


@pytest.mark.parametrize("seed", range(4))
def test_changes_in_any_order_lead_to_the_values_of_all(past: ValuedPortfolio, seed: int) -> None:
    """Record, correct, request and compute in random orders, in parts; the end equals one computation of all days."""
    chance, queued = random.Random(seed), []  # noqa: S311 - the order of a test
    with at_time(NOW), mock.patch.object(valuations, "MAX_DAYS", 4):
        for number, day in enumerate(chance.sample(DAYS, 8)):
            past.trade(f"t{number}", "BUY", "ALFA", chance.randint(1, 9), 100, day)
            queued.append(change_message(past, day))
            while queued and chance.random() < 0.5:
                record = queued.pop(chance.randrange(len(queued)))
                assert past.system.invoke_worker(record, worker=valuation_function) == set()
            if chance.random() < 0.5:
                past.system.process_valuations()
        for record in queued:
            past.system.invoke_worker(record, worker=valuation_function)
        past.system.process_valuations()
    with at_time(NOW):
        assert values() == values_computed_at_once(past)
