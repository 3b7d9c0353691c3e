"""A crash before and after every call of AWS and of the broker in a saga: nothing is lost and nothing doubled."""

import random
from collections.abc import Iterator
from itertools import count

import pytest

from tests.faults.saga_checks import checked, violations
from tests.faults.saga_laboratory import SagaLaboratory, saga_laboratory
from tests.faults.saga_scenarios import SCENARIOS
from tests.support.faults import CrashAfter, CrashBefore, Fault

CRASHES = (CrashBefore, CrashAfter)
CALLS = {
    "all filled": 33,
    "all filled on paper": 36,
    "refused on paper": 34,
    "one sell refused": 23,
    "the buy refused": 29,
    "partial fill reversed": 31,
    "partial fill kept": 22,
    "never reversed": 50,
    "reversed at the second try": 43,
    "no answer, not arrived": 41,
    "no answer, arrived": 39,
    "no answer, arrived late": 41,
    "refused beside one that is late": 31,
    "never an answer": 70,
    "cancelled before a send": 10,
    "cancelled under way, reversed": 36,
    "cancelled under way, kept": 28,
    "deposit and new target under way": 63,
    "a client sells while it is locked": 53,
    "halted between the waves": 52,
    "cancelled between the waves while halted": 49,
    "a broker that does not know ids": 29,
    "too late to begin": 10,
    "too late to end": 23,
    "message lost": 27,
    "given up in parts": 56,
    "booked in parts": 37,
}
"""How many calls each scenario makes when nothing goes wrong."""
EACH = 7
"""The sample: with either crash, every seventh call, beginning with another one in each scenario."""
PAIRS = 4
"""The sample of two crashes: so many pairs of calls of each scenario, always the same."""


@pytest.fixture(scope="module")
def saga() -> Iterator[SagaLaboratory]:
    """A laboratory for all of them; each run begins with the same tables."""
    with saga_laboratory() as fresh:
        yield fresh


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_crash_a_rebalance_ends_as_it_should(saga: SagaLaboratory, scenario: str) -> None:
    run = saga.settled(SCENARIOS[scenario])
    assert len(saga.faults.calls) == CALLS[scenario], saga.faults.operations
    assert checked(run) == []


def crashes_once(saga: SagaLaboratory, scenario: str, fault: Fault, visibility: int = 120) -> None:
    """A run with one crash."""
    run = saga.settled(SCENARIOS[scenario], fault, visibility=visibility)
    assert saga.faults.met == [fault]
    calls = saga.faults.operations
    assert checked(run) == [], (fault, calls)


def crashes_twice(saga: SagaLaboratory, scenario: str, *faults: Fault) -> bool:
    """A run with two crashes; whether it came as far as the second."""
    run = saga.settled(SCENARIOS[scenario], *faults)
    assert violations(run) == [], (faults, saga.faults.operations)
    return saga.faults.met == [*faults]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_a_sample_of_the_calls_loses_nothing_and_doubles_nothing(
    saga: SagaLaboratory, scenario: str
) -> None:
    offset = list(SCENARIOS).index(scenario) * 5
    for position, crash in enumerate(CRASHES):
        for call in range((offset + position * 3) % EACH % CALLS[scenario], CALLS[scenario], EACH):
            crashes_once(saga, scenario, crash(call))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_crashes_at_a_few_pairs_of_calls_lose_nothing_and_double_nothing(
    saga: SagaLaboratory, scenario: str
) -> None:
    chance = random.Random(scenario)  # noqa: S311 - always the same pairs, no secret
    for _ in range(PAIRS):
        first, second = sorted(chance.sample(range(CALLS[scenario]), 2))
        crashes_twice(saga, scenario, chance.choice(CRASHES)(first), chance.choice(CRASHES)(second))


@pytest.mark.parametrize("call", [12, 15, 17, 22])
def test_a_message_that_comes_again_before_the_lease_has_expired_waits_for_it(saga: SagaLaboratory, call: int) -> None:
    crashes_once(saga, "all filled", CrashAfter(call), visibility=20)


@pytest.mark.proof
@pytest.mark.parametrize("visibility", [20, 120])
@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_any_call_loses_nothing_and_doubles_nothing(
    saga: SagaLaboratory, scenario: str, crash: type[Fault], visibility: int
) -> None:
    for call in range(CALLS[scenario]):
        crashes_once(saga, scenario, crash(call), visibility)


@pytest.mark.proof
@pytest.mark.parametrize("other", CRASHES)
@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_crashes_at_any_two_calls_lose_nothing_and_double_nothing(
    saga: SagaLaboratory, scenario: str, crash: type[Fault], other: type[Fault]
) -> None:
    for first in range(CALLS[scenario]):
        for second in count(first + 1):
            if not crashes_twice(saga, scenario, crash(first), other(second)):
                break  # it came to rest before the second
