"""What the functions are allowed covers the calls that they make; moto allows everything."""

import pytest

from tests.faults.harness import SCENARIOS, Laboratory

infra = pytest.importorskip("infra.portfolios")
pytestmark = pytest.mark.xdist_group("infra")  # importing the CDK takes seconds: one worker pays for it
TRANSACTION = {"TransactWriteItems": "PutItem"}  # a transaction needs what each of its actions needs


@pytest.mark.parametrize(
    ("scenario", "calls", "allowed"),
    [
        ("client repeats", slice(0, 3), {*infra._API_ACTIONS, "SendMessage"}),
        ("client repeats", slice(3, 5), set(infra._WORKER_ACTIONS)),
        ("message lost", slice(0, 4), {*infra._WORKER_ACTIONS, "Query", "SendMessage"}),
    ],
    ids=["accept", "decide", "sweep"],
)
def test_a_function_may_make_the_calls_that_it_makes(
    lab: Laboratory, scenario: str, calls: slice, allowed: set[str]
) -> None:
    run = lab.start(scenario)
    lab.faults.set()
    run.try_once()
    made = lab.faults.operations[calls]
    assert made == SCENARIOS[scenario][calls]
    assert {TRANSACTION.get(operation, operation) for operation in made} - allowed == set()
