"""States of an order at the broker, and in the journal."""

import pytest

from trimtab.portfolios.execution.broker import BrokerStatus
from trimtab.portfolios.rebalancing.orders import OrderStatus


@pytest.mark.parametrize("status", BrokerStatus)
def test_every_state_at_the_broker_is_a_state_in_the_journal(status: BrokerStatus) -> None:
    assert OrderStatus(status.value).is_over is (status is not BrokerStatus.OPEN)
