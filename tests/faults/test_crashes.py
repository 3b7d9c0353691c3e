"""A crash before and after every AWS call: the system's own repairs lose nothing and double nothing."""

from itertools import count

import pytest

from tests.faults.harness import SCENARIOS, Laboratory, faults_of
from tests.support.faults import CrashAfter, CrashBefore, Fault
from trimtab.portfolios.balancing import sweeper as sweeping

CRASHES = (CrashBefore, CrashAfter)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_fault_exactly_the_known_calls_are_made(lab: Laboratory, scenario: str) -> None:
    run = lab.start(scenario)
    lab.faults.set(*faults_of(scenario))
    run.try_once()
    assert lab.faults.operations == SCENARIOS[scenario]
    assert run.violations() == []


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_any_call_loses_nothing_and_doubles_nothing(
    lab: Laboratory, scenario: str, crash: type[Fault]
) -> None:
    for call in range(len(SCENARIOS[scenario])):
        run = lab.run(scenario, *faults_of(scenario), crash(call))
        assert any(isinstance(fault, crash) for fault in lab.faults.met), call
        assert run.violations() == [], (call, lab.faults.operations)


@pytest.mark.proof
@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_at_any_of_the_queries_of_a_sweep_is_made_up_for_by_the_next_one(
    lab: Laboratory, crash: type[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SHARDS", "0123456789abcdef")
    for call in range(35):
        run = lab.run("message lost", crash(call))
        assert len(lab.faults.met) == 1
        assert run.violations() == [], (call, lab.faults.operations)


@pytest.mark.proof
@pytest.mark.parametrize("other", CRASHES)
@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_crashes_at_any_two_calls_lose_nothing_and_double_nothing(
    lab: Laboratory, scenario: str, crash: type[Fault], other: type[Fault]
) -> None:
    for first in range(len(SCENARIOS[scenario])):
        for second in count(first + 1):
            faults = [*faults_of(scenario), crash(first), other(second)]
            run = lab.run(scenario, *faults)
            assert run.violations() == [], (first, second, lab.faults.operations)
            if not any(fault is faults[-1] for fault in lab.faults.met):
                break  # the system came to rest before it
