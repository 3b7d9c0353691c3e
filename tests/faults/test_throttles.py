"""Throttles, time-outs and lost answers: what is acknowledged has its outcome, and what is not is done later."""

import pytest

from tests.faults.harness import DRIFTED, SCENARIOS, FaultTestBench, faults_of
from tests.support.faults import (
    FOR_EVER,
    BusPartialRefusal,
    BusRefusal,
    Fault,
    LostAnswer,
    Throttle,
    TimeOut,
    TransactionConflict,
    TransactionThrottle,
)

KINDS = (Throttle, TimeOut, LostAnswer, TransactionThrottle, TransactionConflict)
REPORT = {"user_id": "1", "new_allocation": DRIFTED}
KEY = {"Idempotency-Key": "k1"}


def calls_that_meet(kind: type[Fault], scenario: str) -> list[int]:
    """The calls of a scenario at which the fault can happen."""
    of_writes = kind in {TransactionThrottle, TransactionConflict}
    calls = enumerate(SCENARIOS[scenario])
    return [number for number, name in calls if not of_writes or name in {"PutItem", "TransactWriteItems"}]


def check(bench: FaultTestBench, scenario: str, call: int, fault: Fault) -> None:
    """Each function once under the fault; then the fault is over."""
    run = bench.start(scenario)
    bench.faults.set(*faults_of(scenario), fault)
    run.try_once()
    assert fault in bench.faults.met, call
    assert run.complaints == [], (call, bench.faults.operations)
    bench.faults.clear()
    assert run.settle().violations() == [], (call, bench.faults.operations)


@pytest.mark.parametrize("times", [1, FOR_EVER])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", ["client repeats", "message lost"])
def test_nothing_is_acknowledged_without_an_outcome_when_a_call_fails(
    bench: FaultTestBench, scenario: str, kind: type[Fault], times: float
) -> None:
    for call in calls_that_meet(kind, scenario):
        check(bench, scenario, call, kind(call, times))


@pytest.mark.assurance("Drift reports: any call of AWS fails, times out or is throttled, once to for ever")
@pytest.mark.proof
@pytest.mark.parametrize("times", [1, 2, 3, 4, 9, FOR_EVER])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_is_acknowledged_without_an_outcome_when_a_call_fails_in_any_scenario(
    bench: FaultTestBench, scenario: str, kind: type[Fault], times: float
) -> None:
    for call in calls_that_meet(kind, scenario):
        check(bench, scenario, call, kind(call, times))


@pytest.mark.parametrize("kind", [Throttle, TimeOut, LostAnswer])
def test_two_failed_requests_are_made_good_inside_the_call(bench: FaultTestBench, kind: type[Fault]) -> None:
    for call in range(len(SCENARIOS["client repeats"])):
        run = bench.start("client repeats")
        bench.faults.set(kind(call, 2))
        run.try_once()
        assert run.violations() == [], (call, bench.faults.operations)
        assert run.is_answered


@pytest.mark.parametrize("call", range(3), ids=SCENARIOS["client repeats"][:3])
def test_a_throttled_request_over_http_is_answered_503_with_the_time_to_wait(bench: FaultTestBench, call: int) -> None:
    run = bench.start("client repeats")
    bench.faults.set(Throttle(call, FOR_EVER))
    answer = run.system.http("POST", "/rebalance", REPORT, headers=KEY)
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "1"), answer.text


@pytest.mark.parametrize("method", ["create", "accept"])
def test_a_conflict_with_a_transaction_is_no_internal_error(bench: FaultTestBench, method: str) -> None:
    """A repeat of a request meets the worker's transaction on the same item: `TransactionConflictException`."""
    run = bench.start("client repeats")
    bench.faults.set(TransactionConflict(0))
    if method == "accept":
        answer = run.system.http("POST", "/rebalance", REPORT, headers=KEY)
    else:
        target = {"stocks": 60, "bonds": 30, "gold": 10}
        answer = run.system.http("POST", "/portfolio", {"user_id": "1", "allocation": target})
    assert len(bench.faults.met) == 1
    assert answer.status in {201, 202, 409, 503}, answer.text


@pytest.mark.parametrize("kind", [BusRefusal, BusPartialRefusal])
@pytest.mark.parametrize("times", [1, 2, 3, FOR_EVER])
def test_every_event_that_the_bus_refuses_reaches_the_queue_of_the_undelivered_or_the_bus_later(
    bench: FaultTestBench, kind: type[Fault], times: float
) -> None:
    run = bench.start("client repeats")
    bench.faults.set(kind(5, times))
    run.try_once()
    assert run.violations() == []
    undelivered = bench.faults.operations.count("SendMessage") - 1
    assert undelivered == (2 if kind is BusRefusal and times >= 3 else 0)  # the bus is asked three times


def test_a_conflict_on_every_try_returns_the_message(bench: FaultTestBench) -> None:
    run = bench.start("put on the queue")
    bench.faults.set(TransactionConflict(1, FOR_EVER))
    run.deliver()
    assert bench.faults.operations == ["BatchGetItem", "TransactWriteItems"] * 3
    assert run.complaints == []
    bench.faults.clear()
    assert run.settle().violations() == []
