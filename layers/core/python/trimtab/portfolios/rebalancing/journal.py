"""An execution: the journal of a rebalance that is being traded, and what each answer of the broker makes of it.

Orders go out in waves: sells, then the buys that they pay for; all at once where cash covers the buys already. What
has to be reversed goes out in waves of its own. Everything here is a pure function of the journal.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel import ids
from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, ZERO, to_money
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Afterwards, Policy
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus, PlannedOrder, SkippedLeg

SELLS, BUYS = 1, 2
MAX_REVERSALS = 3
_UNIT = Decimal(1).scaleb(-QUANTITY_PLACES)
_CENT = Decimal("0.01")


class Terms(Struct, frozen=True):
    """What the policy said when the rebalance was planned; later changes of it do not touch the run."""

    minimum_trade: Decimal
    whole_shares: bool
    on_partial_fill: Afterwards
    on_cancel: Afterwards


class Execution(Struct, frozen=True):
    """The journal. `deadline` ends it; `wave` is the one that is being sent, 0 before the first.

    `fence` counts the workers that took it; until `lease_until` (Unix time in milliseconds) nobody else may. `wake_at`
    is when it wants to be looked at again. `passes` counts the looks at the present wave, `resumes` the leases that
    were found expired.
    """

    orders: tuple[Order, ...]
    skipped: tuple[SkippedLeg, ...]
    terms: Terms
    deadline: datetime
    wave: int = 0
    wave_started_at: datetime | None = None
    fence: int = 0
    lease_until: int | None = None
    wake_at: datetime | None = None
    passes: int = 0
    resumes: int = 0
    is_cancelled: bool = False

    @property
    def current(self) -> tuple[Order, ...]:
        """The orders of the present wave."""
        return tuple(each for each in self.orders if each.wave == self.wave)

    @property
    def is_wave_over(self) -> bool:
        """Whether every order of the present wave has ended; so before the first."""
        return all(each.status.is_over for each in self.current)

    @property
    def is_wave_booked(self) -> bool:
        """Whether the fills of the present wave are in the ledger."""
        return all(each.is_booked for each in self.current)

    @property
    def next_wave(self) -> int | None:
        """The wave after the present one, None where that is the last."""
        return min((each.wave for each in self.orders if each.status is OrderStatus.PLANNED), default=None)

    @property
    def reversals(self) -> int:
        """How many waves of reversals there are."""
        return max((each.wave - BUYS for each in self.orders if each.reverses), default=0)

    def changed(self, change: Callable[[Order], Order], orders: Iterable[Order]) -> "Execution":
        """With a change to some of the orders."""
        chosen = {each.client_order_id for each in orders}
        return replace(
            self, orders=tuple(change(each) if each.client_order_id in chosen else each for each in self.orders)
        )

    def started(self, wave: int, now: datetime) -> "Execution":
        """With the intent to send a wave: from here on each of its orders may be at the broker."""
        begun = replace(self, wave=wave, wave_started_at=now, passes=0, wake_at=None)
        # One that was skipped counts as booked: what it filled would never be.
        unsent = [each for each in begun.current if each.status is OrderStatus.PLANNED]
        return begun.changed(lambda it: replace(it, status=OrderStatus.SENT, attempts=1), unsent)

    @property
    def unbooked(self) -> tuple[Order, ...]:
        """The orders of the present wave that are over and whose fills are to be booked, what raises cash first."""
        filled = (each for each in self.current if each.status.is_over and each.filled and not each.is_booked)
        return tuple(sorted(filled, key=lambda it: it.side is Side.BUY))

    def booked(self, orders: Iterable[Order] | None = None) -> "Execution":
        """With the fills of these orders in the ledger, by itself with those of the present wave that are over."""
        over = [each for each in self.current if each.status.is_over] if orders is None else orders
        return self.changed(lambda it: replace(it, is_booked=True), over)

    def with_buys_paid_for(self) -> "Execution":
        """With the planned buys cut to what the sells brought: less by as much as those fell short of the plan.

        What becomes smaller than the least trade is skipped.
        """
        sells = [each for each in self.orders if each.wave == SELLS and each.side is Side.SELL]
        buys = [each for each in self.orders if each.status is OrderStatus.PLANNED and each.side is Side.BUY]
        planned = sum((_worth(each.quantity, each.price) for each in sells), ZERO)
        wanted = sum((_worth(each.quantity, each.price) for each in buys), ZERO)
        short = planned - sum((each.amount - each.fees for each in sells), ZERO)
        if short <= _CENT * len(sells) or not wanted:
            return self  # fills are rounded to money, and the buffer bears that: a whole share is not to be lost by it
        share = CONTEXT.divide(max(ZERO, wanted - short), wanted)
        return self.changed(lambda it: self._cut(it, share), buys)

    def _cut(self, order: Order, share: Decimal) -> Order:
        unit = Decimal(1) if self.terms.whole_shares else _UNIT
        quantity = CONTEXT.multiply(order.quantity, share).quantize(unit, rounding=ROUND_FLOOR)
        if not quantity or to_money(_worth(quantity, order.price)) < self.terms.minimum_trade:
            return replace(order, status=OrderStatus.SKIPPED, is_booked=True, reason="not_paid_for")
        return replace(order, quantity=quantity)

    def net_fills(self) -> Mapping[str, Decimal]:
        """By symbol, what was bought less what was sold, reversals included: zero everywhere once all is reversed."""
        net: dict[str, Decimal] = {}
        for each in self.orders:
            sign = 1 if each.side is Side.BUY else -1
            net[each.symbol] = net.get(each.symbol, ZERO) + sign * each.filled
        return {symbol: quantity for symbol, quantity in net.items() if quantity}

    def reversing(self, rebalance_id: str) -> "Execution":
        """With the next wave of reversals planned: what was bought is sold again, what was sold is bought again.

        Sells stand first, for they pay for the buys.
        """
        wave = BUYS + self.reversals + 1
        prices = {each.symbol: (each.price, each.client_order_id) for each in self.orders if not each.reverses}
        new = [
            Order(
                client_order_id=order_id_of(rebalance_id, symbol, wave),
                symbol=symbol,
                side=Side.SELL if quantity > 0 else Side.BUY,
                quantity=abs(quantity),
                price=prices[symbol][0],
                wave=wave,
                reverses=prices[symbol][1],
            )
            for symbol, quantity in self.net_fills().items()
        ]
        new.sort(key=lambda it: (it.side is Side.BUY, it.symbol))
        dropped = [each for each in self.orders if each.status is OrderStatus.PLANNED]
        kept = self.changed(lambda it: replace(it, status=OrderStatus.SKIPPED, is_booked=True), dropped)
        return replace(kept, orders=(*kept.orders, *new))


def planned(
    rebalance_id: str,
    orders: Iterable[PlannedOrder],
    skipped: Iterable[SkippedLeg],
    policy: Policy,
    *,
    is_paid_for: bool,
    deadline: datetime,
) -> Execution:
    """The journal before the first send; `is_paid_for` where cash covers the buys without the sells."""
    return Execution(
        orders=tuple(
            Order(
                client_order_id=order_id_of(rebalance_id, each.symbol, SELLS),
                symbol=each.symbol,
                side=each.side,
                quantity=each.quantity,
                price=each.price,
                limit_price=each.limit_price,
                wave=SELLS if each.side is Side.SELL or is_paid_for else BUYS,
            )
            for each in orders
        ),
        skipped=tuple(skipped),
        terms=Terms(policy.minimum_trade, policy.whole_shares, policy.on_partial_fill, policy.on_cancel),
        deadline=deadline,
    )


def order_id_of(rebalance_id: str, symbol: str, wave: int) -> str:
    """The client order id of a leg (waves 1 and 2 are one: a symbol has one leg), or of its reversal in a wave."""
    leg = ("leg", symbol) if wave <= BUYS else ("comp", symbol, wave - BUYS)
    return ids.derive_id(rebalance_id, *leg)


def _worth(quantity: Decimal, price: Decimal) -> Decimal:
    return CONTEXT.multiply(quantity, price)
