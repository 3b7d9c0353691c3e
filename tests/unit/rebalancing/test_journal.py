"""The execution journal as stored text."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import OnIncomplete
from trimtab.portfolios.rebalancing.journal import (
    BUYS,
    SELLS,
    Execution,
    ExecutionPolicy,
    client_order_id_of,
    pack_execution,
    unpack_execution,
)
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
MAX_ITEM_BYTES = 400_000
"""Size limit of an item in DynamoDB."""


def execution_with_failed_reversals(sells: int, buys: int) -> Execution:
    """Return filled orders, and three waves of reversals that the broker rejected with long reasons."""
    orders = tuple(
        Order(
            client_order_id=client_order_id_of("r", f"S{number:03}", SELLS),
            symbol=f"S{number:03}",
            side=Side.SELL if number < sells else Side.BUY,
            quantity=Decimal("123.123456789"),
            price=Decimal("123.45"),
            wave=SELLS if number < sells else BUYS,
            limit_price=Decimal("122.2155"),
            status=OrderStatus.FILLED,
            broker_id=f"{number:036}",
            attempts=1,
            filled=Decimal("123.123456789"),
            amount=Decimal("15199.59"),
            is_posted=True,
        )
        for number in range(sells + buys)
    )
    policy = ExecutionPolicy(Decimal(1), False, OnIncomplete.COMPENSATE, OnIncomplete.KEEP)
    execution = Execution(orders, (), policy, NOW, wave=BUYS)
    for _ in range(3):
        execution = execution.plan_reversals("r")
        planned = [order for order in execution.orders if order.status is OrderStatus.PLANNED]
        execution = execution.update_orders(
            lambda order: replace(order, status=OrderStatus.ENDED, reason="refused " * 25), planned
        )
    return execution


@pytest.mark.parametrize(("sells", "buys"), [(1, 1), (500, 90)])
def test_the_longest_journal_fits_into_an_item_and_is_read_back_unchanged(sells: int, buys: int) -> None:
    execution = execution_with_failed_reversals(sells, buys)
    text = pack_execution(execution)
    assert len(text) < MAX_ITEM_BYTES / 2
    assert unpack_execution(text, "r") == execution
