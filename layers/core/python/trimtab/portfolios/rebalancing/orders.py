"""Orders of a rebalance: planned orders, skipped trades, and orders with their fills."""

from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.currencies import USD, round_money
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO
from trimtab.portfolios.portfolio.holdings import Side


class Commission(Struct, frozen=True):
    """Commission of a broker for one order: an amount of money for each order, and a percent of its value.

    >>> Commission(per_order=Decimal(1), percent=Decimal("0.1")).of(Decimal(500), "USD")
    Decimal('1.50')
    """

    per_order: Decimal = ZERO
    percent: Decimal = ZERO

    def of(self, notional: Decimal, currency: str) -> Decimal:
        """Return the commission of an order of this value, in money, rounded up to the decimals of the currency."""
        share = CONTEXT.divide(CONTEXT.multiply(notional, self.percent), HUNDRED)
        return round_money(self.per_order + share, currency, ROUND_CEILING)


NO_COMMISSION = Commission()


class PlannedOrder(Struct, frozen=True):
    """An order to buy or sell `quantity` units (9 places, above zero).

    `price` is the planning price, `limit_price` the worst price of a fill; both are prices of one unit, in `currency`.
    """

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    limit_price: Decimal
    currency: str = USD

    @property
    def notional(self) -> Decimal:
        """Value of the order at the planning price, in money."""
        return round_money(CONTEXT.multiply(self.quantity, self.price), self.currency)


NO_CASH = "no_cash"
"""Reason of a skipped buy, or of the rest of one, that the cash does not pay for."""
NO_USE = "no_use"
"""Reason of a skipped sell, or of the rest of one, whose proceeds no buy needs."""


class SkippedLeg(Struct, frozen=True):
    """A trade that would lead closer to the target and is not made; `reason` is a code for programs."""

    symbol: str
    side: Side
    notional: Decimal
    reason: str


class RefusalKind(StrEnum):
    """Kind of a broker's refusal: TEMPORARY where the same order may be accepted later, PERMANENT where not.

    A permanent refusal concerns the symbol: it is unknown, not tradable, not fractionable or restricted.
    """

    TEMPORARY = "temporary"
    PERMANENT = "permanent"


class OrderStatus(StrEnum):
    """Status of an order.

    PLANNED: not sent. SENT: sent or about to be sent, arrival unknown. OPEN: at the broker. FILLED: filled completely.
    ENDED: rejected, cancelled or expired with less than all filled. SKIPPED: never sent, nothing was left to send.
    """

    PLANNED = "PLANNED"
    SENT = "SENT"
    OPEN = "OPEN"
    FILLED = "FILLED"
    ENDED = "ENDED"
    SKIPPED = "SKIPPED"

    @property
    def is_over(self) -> bool:
        """True for a final status."""
        return self in {OrderStatus.FILLED, OrderStatus.ENDED, OrderStatus.SKIPPED}


class Order(Struct, frozen=True):
    """One order of a rebalance, or the reversal of an order (`reverses` is the client order id of that order).

    `quantity` is the size of the order, `filled` the filled quantity (9 places) for `amount` and `fees` (money). The
    client order id is derived and never changes, so an order that is sent again takes effect once. Reversals have no
    limit price. `is_posted` is true once the fill is in the ledger. `refusal` is set for an order that the broker
    refused, `filled_at` (Unix time in milliseconds) once the last fill is known, `ended_at` once an order has ended
    without a fill.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    wave: int
    limit_price: Decimal | None = None
    status: OrderStatus = OrderStatus.PLANNED
    attempts: int = 0
    filled: Decimal = ZERO
    amount: Decimal = ZERO
    fees: Decimal = ZERO
    is_posted: bool = False
    broker_id: str | None = None
    reason: str | None = None
    reverses: str | None = None
    refusal: RefusalKind | None = None
    filled_at: int | None = None
    ended_at: int | None = None
