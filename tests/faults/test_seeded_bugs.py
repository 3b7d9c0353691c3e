"""The harness finds each known bug that is put in on purpose."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.rebalancing_on_rebalance_requested import handler as worker_function
from tests.faults.harness import SCENARIOS, FaultTestBench, faults_of
from tests.support.faults import FOR_EVER, CrashAfter, CrashBefore, Fault, Throttle
from tests.support.patching import patch_everywhere
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.runtime.dynamodb import outbox
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.outbox import Publisher
from trimtab.runtime.dynamodb.writes import versioned_put
from trimtab.runtime.sqs import worker

Seed = Callable[[pytest.MonkeyPatch], None]
CRASHES: list[Callable[[int], Fault]] = [CrashBefore, CrashAfter]
THROTTLES: list[Callable[[int], Fault]] = [lambda call: Throttle(call, FOR_EVER)]


def drops_the_condition(patch: pytest.MonkeyPatch) -> None:
    def unconditional_put(table: str, item: Item) -> dict[str, Any]:
        return {name: value for name, value in versioned_put(table, item).items() if name in {"TableName", "Item"}}

    patch_everywhere(patch, versioned_put, unconditional_put)


def keys_the_rebalance_by_message_id(patch: pytest.MonkeyPatch) -> None:
    read = worker.read_record

    def read_with_message_id(record: Any, model: Any) -> Any:
        return read(record, model).model_copy(update={"request_id": record.message_id})

    patch.setattr(worker, "read_record", read_with_message_id)


def keys_events_by_delivery(patch: pytest.MonkeyPatch) -> None:
    deliveries = iter(range(1_000_000))
    patch.setattr(outbox, "event_id", lambda *_: f"delivery-{next(deliveries)}")


def acknowledges_on_throttle(patch: pytest.MonkeyPatch) -> None:
    process = worker_function.handler

    def acknowledge(event: Any, context: Any) -> Any:
        process(event, context)
        return {"batchItemFailures": []}

    patch.setattr(worker_function, "handler", acknowledge)


def overlooks_refused_entries(patch: pytest.MonkeyPatch) -> None:
    put = Publisher._put
    patch.setattr(Publisher, "_put", lambda self, events: put(self, events) and [])


def writes_the_outcome_and_the_portfolio_apart(patch: pytest.MonkeyPatch) -> None:
    put = PortfolioStore.put

    def put_apart(self: PortfolioStore, *things: Any) -> None:
        for thing in things:
            put(self, thing)

    patch.setattr(PortfolioStore, "put", put_apart)


SEEDS: list[tuple[Seed, str, list[Callable[[int], Fault]]]] = [
    (drops_the_condition, "client repeats", CRASHES),
    (drops_the_condition, "message lost", CRASHES),
    (keys_the_rebalance_by_message_id, "put on the queue", CRASHES),
    (keys_the_rebalance_by_message_id, "client repeats", CRASHES),
    (keys_events_by_delivery, "client repeats", CRASHES),
    (acknowledges_on_throttle, "client repeats", THROTTLES),
    (acknowledges_on_throttle, "put on the queue", THROTTLES),
    (overlooks_refused_entries, "bus down", CRASHES),
    (writes_the_outcome_and_the_portfolio_apart, "put on the queue", CRASHES),
]


def finds_something(bench: FaultTestBench, scenario: str, kinds: list[Callable[[int], Fault]]) -> bool:
    """Whether the harness complains, with a fault of these kinds at each call in turn."""
    for kind in kinds:
        for call in range(len(SCENARIOS[scenario])):
            run = bench.start(scenario)
            bench.faults.set(*faults_of(scenario), kind(call))
            run.try_once()
            if kinds is THROTTLES:
                bench.faults.clear()
            if run.settle().violations():
                return True
    return False


@pytest.mark.parametrize(("seed", "scenario", "kinds"), SEEDS, ids=[f"{it[0].__name__}, {it[1]}" for it in SEEDS])
def test_the_harness_finds_a_system_that(
    bench: FaultTestBench, monkeypatch: pytest.MonkeyPatch, seed: Seed, scenario: str, kinds: Any
) -> None:
    seed(monkeypatch)
    assert finds_something(bench, scenario, kinds)
