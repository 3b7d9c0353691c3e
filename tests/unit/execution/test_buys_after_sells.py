"""Buys after the sells: buys are cut to the proceeds, and skipped orders are never sent."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.rebalancing.journal import BUYS, SELLS, Execution, new_execution
from trimtab.portfolios.rebalancing.orders import OrderStatus, PlannedOrder

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def sold(amount: str) -> Execution:
    """Return the journal after ten shares at 100 were sold for this amount; buys: one at 300, seven at 100."""
    rows = [("A", Side.SELL, 10, 100), ("B", Side.BUY, 1, 300), ("C", Side.BUY, 7, 100)]
    orders = [PlannedOrder(name, side, Decimal(n), Decimal(price), Decimal(price)) for name, side, n, price in rows]
    journal = new_execution("r", orders, (), Policy(whole_shares=True), is_funded=False, deadline=NOW).start_wave(
        SELLS, NOW
    )
    filled = journal.update_orders(
        lambda order: replace(order, status=OrderStatus.FILLED, filled=Decimal(10), amount=Decimal(amount)),
        journal.current,
    )
    return filled.mark_posted().fit_buys_to_proceeds()


def test_an_order_that_is_skipped_is_not_sent_with_its_wave() -> None:
    after = sold("900").start_wave(BUYS, NOW)
    assert [(order.symbol, order.status, order.quantity) for order in after.current] == [
        ("B", OrderStatus.SKIPPED, Decimal(1)),
        ("C", OrderStatus.SENT, Decimal(6)),
    ]


@pytest.mark.parametrize(("amount", "bought"), [("999.99", [1, 7]), ("999.98", [6])])
def test_no_share_is_lost_to_a_fill_that_was_rounded_to_the_cent(amount: str, bought: list[int]) -> None:
    after = sold(amount).start_wave(BUYS, NOW)
    assert [order.quantity for order in after.current if order.status is OrderStatus.SENT] == bought
