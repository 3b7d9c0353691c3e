"""The journal of an execution as a text."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Afterwards
from trimtab.portfolios.rebalancing import journal_text as journal
from trimtab.portfolios.rebalancing.journal import BUYS, SELLS, Execution, Terms, order_id_of
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
ITEM = 400_000
"""What an item of DynamoDB holds, in bytes."""


def never_reversed(sells: int, buys: int) -> Execution:
    """So many fills, and three waves of reversals that were all refused at length."""
    orders = tuple(
        Order(
            client_order_id=order_id_of("r", f"S{number:03}", SELLS),
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
            is_booked=True,
        )
        for number in range(sells + buys)
    )
    terms = Terms(Decimal(1), False, Afterwards.COMPENSATE, Afterwards.KEEP)
    it = Execution(orders, (), terms, NOW, wave=BUYS)
    for _ in range(3):
        it = it.reversing("r")
        refused = [each for each in it.orders if each.status is OrderStatus.PLANNED]
        it = it.changed(lambda order: replace(order, status=OrderStatus.ENDED, reason="refused " * 25), refused)
    return it


@pytest.mark.parametrize(("sells", "buys"), [(1, 1), (500, 90)])
def test_the_longest_journal_fits_into_an_item_and_is_read_as_it_was_written(sells: int, buys: int) -> None:
    it = never_reversed(sells, buys)
    text = journal.pack(it)
    assert len(text) < ITEM / 2
    assert journal.unpack(text, "r") == it
