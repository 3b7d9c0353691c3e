"""Throttles, time-outs, lost answers and conflicts at the calls of a saga: nothing is lost and nothing doubled."""

from collections.abc import Iterator

import pytest

from tests.faults.saga_checks import violations
from tests.faults.saga_laboratory import SagaLaboratory, saga_laboratory
from tests.faults.saga_scenarios import SCENARIOS
from tests.support.faults import Fault, LostAnswer, Throttle, TimeOut, TransactionConflict, TransactionThrottle

KINDS = [LostAnswer, TimeOut, Throttle, TransactionConflict, TransactionThrottle]
CALLS = 24
"""So many calls bring the rebalance to its end; what follows is the business of the checks."""


@pytest.fixture(scope="module")
def saga() -> Iterator[SagaLaboratory]:
    """A laboratory with requests, which is slower."""
    with saga_laboratory(is_quick=False) as fresh:
        yield fresh


def goes_wrong(saga: SagaLaboratory, fault: Fault) -> None:
    """A run of a rebalance that is reversed, with one trouble."""
    run = saga.settled(SCENARIOS["the buy refused"], fault)
    assert saga.faults.met, "the trouble was met"
    assert violations(run) == [], (fault, saga.faults.operations)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trouble_at_a_sample_of_the_calls_loses_nothing_and_doubles_nothing(
    saga: SagaLaboratory, kind: type[Fault]
) -> None:
    offset = KINDS.index(kind)
    for call in range(offset, CALLS, len(KINDS)):
        goes_wrong(saga, kind(call))


@pytest.mark.proof
@pytest.mark.parametrize("times", [1, 3, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_trouble_at_any_call_for_any_time_loses_nothing_and_doubles_nothing(
    saga: SagaLaboratory, kind: type[Fault], times: int
) -> None:
    """Once is mended within the call; three times, and the call fails and the message comes again."""
    for call in range(CALLS):
        goes_wrong(saga, kind(call, times))
