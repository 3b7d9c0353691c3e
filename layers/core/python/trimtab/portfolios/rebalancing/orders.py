"""Orders: what a rebalance asks its broker for, and what the broker made of it."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.money import CONTEXT, ZERO, to_money
from trimtab.portfolios.portfolio.holdings import Side


class PlannedOrder(Struct, frozen=True):
    """Buy or sell this quantity (9 places, above zero), planned at `price` and filled no worse than `limit_price`."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    limit_price: Decimal

    @property
    def notional(self) -> Decimal:
        """What it moves at the planning price, in money."""
        return to_money(CONTEXT.multiply(self.quantity, self.price))


class SkippedLeg(Struct, frozen=True):
    """A move that would lead closer to the target and is not made: `reason` is one word a program can read."""

    symbol: str
    side: Side
    notional: Decimal
    reason: str


class OrderStatus(StrEnum):
    """PLANNED: not sent. SENT: sent or about to be, and nobody knows whether it arrived. OPEN: at the broker.

    FILLED: wholly filled. ENDED: it is over, with less than all of it filled: refused, cancelled or expired. SKIPPED:
    never sent, because nothing was left to send.
    """

    PLANNED = "PLANNED"
    SENT = "SENT"
    OPEN = "OPEN"
    FILLED = "FILLED"
    ENDED = "ENDED"
    SKIPPED = "SKIPPED"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in {OrderStatus.FILLED, OrderStatus.ENDED, OrderStatus.SKIPPED}


class Order(Struct, frozen=True):
    """One leg of a rebalance, or the reversal of one (`reverses` names its client order id then).

    `quantity` is what is asked for, `filled` what came of it (9 places), for `amount` and `fees` in money. Its client
    order id is derived and never changes, so that it takes effect once however often it is sent. Reversals have no
    limit price.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    wave: int
    limit_price: Decimal | None = None
    status: OrderStatus = OrderStatus.PLANNED
    broker_id: str | None = None
    attempts: int = 0
    filled: Decimal = ZERO
    amount: Decimal = ZERO
    fees: Decimal = ZERO
    reason: str | None = None
    reverses: str | None = None
    is_booked: bool = False
