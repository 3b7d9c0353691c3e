"""A crash before and after every AWS call: the system's own repairs lose nothing and double nothing."""

from itertools import count

import pytest

from tests.faults.harness import SCENARIOS, FaultTestBench, faults_of
from tests.support.faults import CrashAfter, CrashBefore, Fault
from trimtab.portfolios.balancing import sweeper as sweeping

CRASHES = (CrashBefore, CrashAfter)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_fault_exactly_the_known_calls_are_made(bench: FaultTestBench, scenario: str) -> None:
    run = bench.start(scenario)
    bench.faults.set(*faults_of(scenario))
    run.try_once()
    assert bench.faults.operations == SCENARIOS[scenario]
    assert run.violations() == []


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_any_call_loses_nothing_and_doubles_nothing(
    bench: FaultTestBench, scenario: str, crash: type[Fault]
) -> None:
    for call in range(len(SCENARIOS[scenario])):
        run = bench.run(scenario, *faults_of(scenario), crash(call))
        assert any(isinstance(fault, crash) for fault in bench.faults.met), call
        assert run.violations() == [], (call, bench.faults.operations)


@pytest.mark.assurance("Sweeper: a crash at any of its queries")
@pytest.mark.proof
@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_at_any_of_the_queries_of_a_sweep_is_made_up_for_by_the_next_one(
    bench: FaultTestBench, crash: type[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SHARDS", "0123456789abcdef")
    for call in range(35):
        run = bench.run("message lost", crash(call))
        assert len(bench.faults.met) == 1
        assert run.violations() == [], (call, bench.faults.operations)


@pytest.mark.assurance("Drift reports: crashes at any two calls")
@pytest.mark.proof
@pytest.mark.parametrize("other", CRASHES)
@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_crashes_at_any_two_calls_lose_nothing_and_double_nothing(
    bench: FaultTestBench, scenario: str, crash: type[Fault], other: type[Fault]
) -> None:
    for first in range(len(SCENARIOS[scenario])):
        for second in count(first + 1):
            faults = [*faults_of(scenario), crash(first), other(second)]
            run = bench.run(scenario, *faults)
            assert run.violations() == [], (first, second, bench.faults.operations)
            if not any(fault is faults[-1] for fault in bench.faults.met):
                break  # the system came to rest before it
