"""Two workers on one rebalance: one effect wherever the lease is lost, and a single worker while the lease holds."""

from collections.abc import Iterator
from math import inf

import pytest

from tests.faults.execution.invariants import checked, violations
from tests.faults.execution.scenario_run import Scenario
from tests.faults.execution.scenario_runner import ScenarioRunner, scenario_runner
from tests.faults.execution.scenarios import SCENARIOS
from tests.faults.execution.two_workers import LEASE_SECONDS, one_switch, two_workers
from tests.support.moto_state import commits

FILLED = Scenario()
LAST = {"all filled": 14, "the buy refused": 20, "refused beside one that is late": 11}
"""Number, from 0, of the last call of an undisturbed worker: the call that ends the rebalance or begins a wait."""
TAKEN = 2
"""Number of the first call at which the worker holds the lease."""


@pytest.fixture(scope="module")
def runner() -> Iterator[ScenarioRunner]:
    """One runner for all tests."""
    with scenario_runner() as fresh:
        yield fresh


def scenario_of(name: str) -> Scenario:
    """Return the scenario, from the planned rebalance on."""
    return FILLED if name == "all filled" else SCENARIOS[name]


def overtaken(runner: ScenarioRunner, name: str, call: int) -> None:
    """Let the lease of `a` expire before this call and `b` run to its end; later writes of `a` must be refused."""
    run, written = runner.start(scenario_of(name)), []

    def on_switch(_: int) -> None:
        written.append(len(commits()))
        runner.clock.wait(LEASE_SECONDS + 1)

    is_done = two_workers(run, one_switch(call), on_switch)
    assert len(commits()) == written[1], (call, runner.faults.operations)
    assert is_done[1], call
    fences = {rebalance.execution.fence for rebalance in run.rebalances() if rebalance.execution}
    assert fences == ({2} if call >= TAKEN else {1}), call
    assert checked(run.settle()) == [], (call, runner.faults.operations)


@pytest.mark.parametrize("name", LAST)
def test_a_worker_that_has_lost_its_lease_changes_nothing(runner: ScenarioRunner, name: str) -> None:
    for call in range(1, LAST[name] + 1, 1 if name == "all filled" else 4):
        overtaken(runner, name, call)


@pytest.mark.assurance("Executions: the lease is lost at any call")
@pytest.mark.proof
@pytest.mark.parametrize("name", LAST)
def test_a_worker_that_has_lost_its_lease_at_any_call_changes_nothing(runner: ScenarioRunner, name: str) -> None:
    for call in range(1, LAST[name] + 1):
        overtaken(runner, name, call)


def held_off(runner: ScenarioRunner, call: int) -> None:
    """Give the message to `b` too before this call, while the lease of `a` holds."""
    run, states = runner.start(FILLED), []

    def on_switch(_: int) -> None:
        states.append((len(commits()), list(run.broker.submissions)))

    assert two_workers(run, one_switch(call), on_switch) == (True, True)
    assert states[0] == states[1], call
    run.collect()
    (later,) = (message for message in run.waiting if message.queue == "executions")
    assert 0 < (later.due - runner.clock.now).total_seconds() <= LEASE_SECONDS + 1
    assert checked(run.settle()) == [], call


def test_while_the_lease_holds_another_worker_only_requests_a_message_after_its_end(runner: ScenarioRunner) -> None:
    for call in range(TAKEN, LAST["all filled"] + 1, 3):
        held_off(runner, call)


@pytest.mark.parametrize("call", range(TAKEN))
def test_of_two_workers_that_have_both_read_a_rebalance_one_gets_the_lease(runner: ScenarioRunner, call: int) -> None:
    run = runner.start(FILLED)
    assert two_workers(run, one_switch(call), lambda _: None)[1]
    assert checked(run.settle()) == []


@pytest.mark.assurance("Executions: two workers at once, switched at any two calls")
@pytest.mark.proof
@pytest.mark.parametrize("second", range(1, 16))
@pytest.mark.parametrize("name", LAST)
def test_two_workers_that_are_switched_between_twice_have_one_effect(
    runner: ScenarioRunner, name: str, second: int
) -> None:
    for first in range(1, LAST[name] + 1):
        run = runner.start(scenario_of(name))
        turns: list[tuple[str, float]] = [("a", first), ("b", second), ("a", inf), ("b", inf)]
        two_workers(run, turns, lambda _: runner.clock.wait(LEASE_SECONDS + 1))
        assert violations(run.settle()) == [], (first, second, runner.faults.operations)
