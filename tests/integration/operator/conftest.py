"""The operator's command line over the in-process system."""

import pytest

from tests.support.operator import Operator
from tests.support.system import System


@pytest.fixture
def operator(system: System) -> Operator:
    """The command line of an operator, who knows the queues of drift reports and of failed sweeps."""
    made = Operator(system)
    made.queues["rebalance-requests"] = system.queue_url
    made.add_queue("rebalance-requests-dead")
    made.add_queue("sweeps-failed")
    return made
