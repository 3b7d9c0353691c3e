"""Two workers on one rebalance: one effect, whenever the lease is lost; and while it holds, one worker."""

from collections.abc import Iterator
from math import inf

import pytest

from tests.faults.saga import Scenario
from tests.faults.saga_checks import checked, violations
from tests.faults.saga_laboratory import SagaLaboratory, saga_laboratory
from tests.faults.saga_scenarios import SCENARIOS
from tests.faults.saga_workers import LEASE_SECONDS, one_switch, two_workers
from tests.support.moto_state import commits

FILLED = Scenario()
LAST = {"all filled": 14, "the buy refused": 20, "refused beside one that is late": 11}
"""The last call of a worker that nobody disturbs, from 0; with that one it ends the rebalance, or begins to wait."""
TAKEN = 2
"""From this call on it holds the lease."""


@pytest.fixture(scope="module")
def saga() -> Iterator[SagaLaboratory]:
    """A laboratory for all of them."""
    with saga_laboratory() as fresh:
        yield fresh


def scenario_of(name: str) -> Scenario:
    """The scenario, from the planned rebalance on."""
    return FILLED if name == "all filled" else SCENARIOS[name]


def overtaken(saga: SagaLaboratory, name: str, call: int) -> None:
    """Before that call the lease of `a` expires, and `b` runs to its end; what `a` writes then is refused."""
    run, written = saga.start(scenario_of(name)), []

    def on_switch(_: int) -> None:
        written.append(len(commits()))
        saga.clock.wait(LEASE_SECONDS + 1)

    is_done = two_workers(run, one_switch(call), on_switch)
    assert len(commits()) == written[1], (call, saga.faults.operations)
    assert is_done[1], call
    fences = {it.execution.fence for it in run.rebalances() if it.execution}
    assert fences == ({2} if call >= TAKEN else {1}), call
    assert checked(run.settle()) == [], (call, saga.faults.operations)


@pytest.mark.parametrize("name", LAST)
def test_a_worker_that_has_lost_its_lease_changes_nothing_any_more(saga: SagaLaboratory, name: str) -> None:
    for call in range(1, LAST[name] + 1, 1 if name == "all filled" else 4):
        overtaken(saga, name, call)


@pytest.mark.proof
@pytest.mark.parametrize("name", LAST)
def test_a_worker_that_has_lost_its_lease_at_any_call_changes_nothing_any_more(saga: SagaLaboratory, name: str) -> None:
    for call in range(1, LAST[name] + 1):
        overtaken(saga, name, call)


def held_off(saga: SagaLaboratory, call: int) -> None:
    """Before that call `b` gets the message too, while the lease of `a` holds."""
    run, states = saga.start(FILLED), []

    def on_switch(_: int) -> None:
        states.append((len(commits()), list(run.exchange.submissions)))

    assert two_workers(run, one_switch(call), on_switch) == (True, True)
    assert states[0] == states[1], call
    run.collect()
    (later,) = (it for it in run.waiting if it.queue == "executions")
    assert 0 < (later.due - saga.clock.now).total_seconds() <= LEASE_SECONDS + 1
    assert checked(run.settle()) == [], call


def test_while_the_lease_holds_another_worker_only_asks_to_be_woken_after_it(saga: SagaLaboratory) -> None:
    for call in range(TAKEN, LAST["all filled"] + 1, 3):
        held_off(saga, call)


@pytest.mark.parametrize("call", range(TAKEN))
def test_of_two_workers_that_have_both_read_a_rebalance_one_gets_the_lease(saga: SagaLaboratory, call: int) -> None:
    run = saga.start(FILLED)
    assert two_workers(run, one_switch(call), lambda _: None)[1]
    assert checked(run.settle()) == []


@pytest.mark.proof
@pytest.mark.parametrize("second", range(1, 16))
@pytest.mark.parametrize("name", LAST)
def test_two_workers_that_are_switched_between_twice_have_one_effect(
    saga: SagaLaboratory, name: str, second: int
) -> None:
    for first in range(1, LAST[name] + 1):
        run = saga.start(scenario_of(name))
        turns: list[tuple[str, float]] = [("a", first), ("b", second), ("a", inf), ("b", inf)]
        two_workers(run, turns, lambda _: saga.clock.wait(LEASE_SECONDS + 1))
        assert violations(run.settle()) == [], (first, second, saga.faults.operations)
