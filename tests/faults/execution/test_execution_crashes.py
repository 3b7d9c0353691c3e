"""Crashes before and after every call to AWS and to the broker: nothing is lost and nothing doubled."""

import random
from collections.abc import Iterator

import pytest

from tests.faults.execution.invariants import checked, violations
from tests.faults.execution.scenario_run import ScenarioRun
from tests.faults.execution.scenario_runner import ScenarioRunner, scenario_runner
from tests.faults.execution.scenarios import SCENARIOS
from tests.support.faults import CrashAfter, CrashBefore, Fault

CRASHES = (CrashBefore, CrashAfter)
CALLS = {
    "all filled": 44,
    "all filled on paper": 48,
    "refused on paper": 37,
    "one sell refused": 26,
    "the buy refused": 32,
    "partial fill reversed": 34,
    "partial fill kept": 22,
    "never reversed": 51,
    "reversed at the second try": 47,
    "no answer, not arrived": 48,
    "no answer, arrived": 46,
    "no answer, arrived late": 48,
    "refused beside one that is late": 34,
    "never an answer": 70,
    "cancelled before a send": 10,
    "cancelled under way, reversed": 36,
    "cancelled under way, kept": 28,
    "deposit and new target under way": 78,
    "a client sells while it is locked": 60,
    "halted between the waves": 59,
    "cancelled between the waves while halted": 50,
    "a broker that does not know ids": 35,
    "too late to begin": 10,
    "too late to end": 23,
    "message lost": 33,
    "given up in parts": 57,
    "booked in parts": 40,
}
"""Calls of each scenario without faults."""
READS = {"GetItem", "BatchGetItem", "Query"}
EACH = 7
"""Sample: either crash at every seventh call, with a different first call in each scenario."""
PAIRS = 4
"""Sample of two crashes: pairs of calls for each scenario, chosen by a fixed seed."""


@pytest.fixture(scope="module")
def runner() -> Iterator[ScenarioRunner]:
    """One runner for all tests; each run starts from the same tables."""
    with scenario_runner() as fresh:
        yield fresh


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_crash_a_rebalance_ends_as_it_should(runner: ScenarioRunner, scenario: str) -> None:
    run = runner.settled(SCENARIOS[scenario])
    assert len(runner.faults.calls) == CALLS[scenario], runner.faults.operations
    assert checked(run) == []


def crashes_once(runner: ScenarioRunner, scenario: str, fault: Fault, visibility: int = 120) -> None:
    """Run the scenario with one crash."""
    run = runner.settled(SCENARIOS[scenario], fault, visibility=visibility)
    assert runner.faults.met == [fault]
    calls = runner.faults.operations
    assert checked(run) == [], (fault, calls)


def crashes_twice(runner: ScenarioRunner, scenario: str, *faults: Fault) -> bool:
    """Run the scenario with two crashes; return whether the run reached the second."""
    run = runner.settled(SCENARIOS[scenario], *faults)
    assert violations(run) == [], (faults, runner.faults.operations)
    return runner.faults.met == [*faults]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_a_sample_of_the_calls_loses_nothing_and_doubles_nothing(
    runner: ScenarioRunner, scenario: str
) -> None:
    offset = list(SCENARIOS).index(scenario) * 5
    for position, crash in enumerate(CRASHES):
        for call in range((offset + position * 3) % EACH % CALLS[scenario], CALLS[scenario], EACH):
            crashes_once(runner, scenario, crash(call))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_crashes_at_a_few_pairs_of_calls_lose_nothing_and_double_nothing(
    runner: ScenarioRunner, scenario: str
) -> None:
    chance = random.Random(scenario)  # noqa: S311 - always the same pairs, no secret
    for _ in range(PAIRS):
        first, second = sorted(chance.sample(range(CALLS[scenario]), 2))
        crashes_twice(runner, scenario, chance.choice(CRASHES)(first), chance.choice(CRASHES)(second))


@pytest.mark.parametrize("call", [12, 15, 17, 22])
def test_a_message_redelivered_before_the_lease_has_expired_waits_for_it(runner: ScenarioRunner, call: int) -> None:
    crashes_once(runner, "all filled", CrashAfter(call), visibility=20)


@pytest.mark.assurance("Executions: a crash at any call")
@pytest.mark.proof
@pytest.mark.parametrize("visibility", [20, 120])
@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_any_call_loses_nothing_and_doubles_nothing(
    runner: ScenarioRunner, scenario: str, crash: type[Fault], visibility: int
) -> None:
    for call in range(CALLS[scenario]):
        crashes_once(runner, scenario, crash(call), visibility)


def crash_points(runner: ScenarioRunner, run: ScenarioRun, *, after: int = -1) -> list[tuple[type[Fault], int]]:
    """Return the crashes of a run that leave different states: after each effect, and before each process.

    Every other crash equals one of them: a read changes nothing, and a crash before a call leaves the state after the
    effect before. Single crashes are tried at all calls.
    """
    points: list[tuple[type[Fault], int]] = []
    for number, call in enumerate(runner.faults.calls):
        if number > after and number in run.process_starts:
            points.append((CrashBefore, number))
        if number > after and call.operation not in READS:
            points.append((CrashAfter, number))
    return points


@pytest.mark.assurance("Executions: crashes that leave any two states")
@pytest.mark.proof
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_crashes_that_leave_any_two_states_lose_nothing_and_double_nothing(
    runner: ScenarioRunner, scenario: str
) -> None:
    for crash, first in crash_points(runner, runner.settled(SCENARIOS[scenario])):
        once = runner.settled(SCENARIOS[scenario], crash(first))
        for other, second in crash_points(runner, once, after=first):
            assert crashes_twice(runner, scenario, crash(first), other(second))
