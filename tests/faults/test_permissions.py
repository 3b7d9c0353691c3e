"""The grants of the functions cover the calls of the fault scenarios; moto allows all calls."""

import pytest

from infra.contexts.balancing import SWEEP_ACTIONS
from infra.contexts.portfolio import API_ACTIONS
from infra.contexts.rebalancing import WORKER_ACTIONS
from tests.faults.harness import SCENARIOS, FaultTestBench

pytestmark = pytest.mark.xdist_group("infra")  # importing the CDK takes seconds: one worker pays for it
TRANSACTION = {"TransactWriteItems": "PutItem"}  # a transaction needs what each of its actions needs


@pytest.mark.parametrize(
    ("scenario", "calls", "allowed"),
    [
        ("client repeats", slice(0, 3), {*API_ACTIONS, "SendMessage"}),
        ("client repeats", slice(3, 5), set(WORKER_ACTIONS)),
        ("message lost", slice(0, 4), {*SWEEP_ACTIONS, "Query", "SendMessage"}),
    ],
    ids=["accept", "decide", "sweep"],
)
def test_a_function_may_make_the_calls_that_it_makes(
    bench: FaultTestBench, scenario: str, calls: slice, allowed: set[str]
) -> None:
    run = bench.start(scenario)
    bench.faults.set()
    run.try_once()
    made = bench.faults.operations[calls]
    assert made == SCENARIOS[scenario][calls]
    assert {TRANSACTION.get(operation, operation) for operation in made} - allowed == set()
