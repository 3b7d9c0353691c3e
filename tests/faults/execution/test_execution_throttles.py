"""Throttles, time-outs, lost answers and conflicts during an execution: nothing is lost and nothing doubled."""

from collections.abc import Iterator

import pytest

from tests.faults.execution.invariants import violations
from tests.faults.execution.scenario_runner import ScenarioRunner, scenario_runner
from tests.faults.execution.scenarios import SCENARIOS
from tests.support.faults import Fault, LostAnswer, Throttle, TimeOut, TransactionConflict, TransactionThrottle

KINDS = [LostAnswer, TimeOut, Throttle, TransactionConflict, TransactionThrottle]
CALLS = 24
"""Calls until the rebalance has ended; the calls after these belong to the price checks."""


@pytest.fixture(scope="module")
def runner() -> Iterator[ScenarioRunner]:
    """A runner with HTTP requests, which is slower."""
    with scenario_runner(is_quick=False) as fresh:
        yield fresh


def goes_wrong(runner: ScenarioRunner, fault: Fault) -> None:
    """Run a rebalance that is reversed, with one fault."""
    run = runner.settled(SCENARIOS["the buy refused"], fault)
    assert runner.faults.met, "the fault occurred"
    assert violations(run) == [], (fault, runner.faults.operations)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_a_sample_of_the_calls_loses_nothing_and_doubles_nothing(
    runner: ScenarioRunner, kind: type[Fault]
) -> None:
    offset = KINDS.index(kind)
    for call in range(offset, CALLS, len(KINDS)):
        goes_wrong(runner, kind(call))


@pytest.mark.assurance("Executions: any call of AWS or the broker fails, once to several times")
@pytest.mark.proof
@pytest.mark.parametrize("times", [1, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_call_for_any_time_loses_nothing_and_doubles_nothing(
    runner: ScenarioRunner, kind: type[Fault], times: int
) -> None:
    """A single fault is retried within the call; after three the call fails and the message is delivered again."""
    for call in range(CALLS):
        goes_wrong(runner, kind(call, times))
