"""Execution journal of a rebalance: its orders and what is known of each, written before every step.

Orders are sent in waves: sells, then the buys that the sells pay for; all in one wave where cash covers the buys.
Top-ups, which invest what is left over, and reversals are sent in later waves of their own. Everything here is a pure
function of the journal.
"""

import zlib
from base64 import b85decode, b85encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.stored_form import Table, UnknownForm, from_attributes, pack, to_table, unpack
from trimtab.kernel import ids
from trimtab.kernel.currencies import USD
from trimtab.kernel.money import ZERO
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import OnIncomplete, Policy
from trimtab.portfolios.rebalancing.orders import (
    NO_COMMISSION,
    Commission,
    Order,
    OrderStatus,
    PlannedOrder,
    SkippedLeg,
)

SELLS, BUYS = 1, 2
MAX_REVERSALS = 3
NOT_PAID_FOR = "not_paid_for"
"""Reason of an order that was skipped because cash did not pay for the smallest quantity."""
FIRST_TOP_UP, MAX_TOP_UPS = 11, 3
"""Number of the first wave of top-ups, and the number of these waves; the numbers between are those of reversals."""


class ExecutionPolicy(Struct, frozen=True, omit_defaults=True):
    """Members of the portfolio's policy when the rebalance was planned; later changes do not affect the execution.

    `max_order_notional` and `max_turnover` (money) are limits of the pre-trade controls for one order and for all
    orders but the reversals, None without a limit.
    """

    minimum_trade: Decimal
    whole_shares: bool
    on_partial_fill: OnIncomplete
    on_cancel: OnIncomplete
    max_order_notional: Decimal | None = None
    max_turnover: Decimal | None = None


class Funds(Struct, frozen=True, omit_defaults=True):
    """Cash of the portfolio when the rebalance was planned, in money.

    No buy goes below `buffer`, even at its limit price. `target` is the value of the target weight of cash: buys beyond
    the plan do not go below it.
    """

    cash: Decimal
    buffer: Decimal = ZERO
    target: Decimal = ZERO


class Execution(Struct, frozen=True):
    """Journal of an execution.

    `wave` is the wave that is being sent, 0 before the first. `fence` is the fencing token: each worker that takes the
    execution raises `fence` and holds the lease until `lease_until` (Unix time in milliseconds). `wake_at` is the time
    of the next step, `polls` counts the polls of the present wave, `resumes` the leases that had expired. After
    `deadline` the execution is given up. `funds` is the cash of the plan, None in a journal of an earlier release, and
    `commission` the cost of each order. `waits_for` is the code of the reason to wait. `earlier_waves` are the starts
    of the waves before the present one. `unrestored` are the sold quantities by symbol that the present wave of
    reversals does not buy back, because cash does not pay for them. Money is in `currency`.
    """

    orders: tuple[Order, ...]
    skipped: tuple[SkippedLeg, ...]
    policy: ExecutionPolicy
    deadline: datetime
    wave: int = 0
    wave_started_at: datetime | None = None
    fence: int = 0
    lease_until: int | None = None
    wake_at: datetime | None = None
    polls: int = 0
    resumes: int = 0
    is_cancelled: bool = False
    waits_for: str | None = None
    funds: Funds | None = None
    commission: Commission = NO_COMMISSION
    earlier_waves: Mapping[int, datetime] = {}
    unrestored: Mapping[str, Decimal] = {}
    currency: str = USD

    @property
    def current(self) -> tuple[Order, ...]:
        """Orders of the present wave."""
        return tuple(order for order in self.orders if order.wave == self.wave)

    @property
    def is_topping_up(self) -> bool:
        """True where the next wave is one of top-ups, so that the plan is complete already."""
        return (self.next_wave or 0) >= FIRST_TOP_UP

    @property
    def is_wave_over(self) -> bool:
        """True where every order of the present wave has a final status; so before the first wave."""
        return all(order.status.is_over for order in self.current)

    @property
    def is_wave_posted(self) -> bool:
        """True where the fills of the present wave are in the ledger."""
        return all(order.is_posted for order in self.current)

    @property
    def next_wave(self) -> int | None:
        """The wave after the present one, None after the last."""
        return min((order.wave for order in self.orders if order.status is OrderStatus.PLANNED), default=None)

    @property
    def reversals(self) -> int:
        """Number of waves of reversals."""
        return max((order.wave - BUYS for order in self.orders if order.reverses), default=0)

    @property
    def unposted(self) -> tuple[Order, ...]:
        """Finished orders of the present wave with fills to post, sells first: they raise the cash for the buys."""
        filled = (order for order in self.current if order.status.is_over and order.filled and not order.is_posted)
        return tuple(sorted(filled, key=lambda order: order.side is Side.BUY))

    def sent_at(self, order: Order) -> datetime | None:
        """Return the start of the order's wave, None for an order that was never sent."""
        if order.status in {OrderStatus.PLANNED, OrderStatus.SKIPPED}:
            return None
        return self.wave_started_at if order.wave == self.wave else self.earlier_waves.get(order.wave)

    def update_orders(self, change: Callable[[Order], Order], orders: Iterable[Order]) -> "Execution":
        """Return the journal with a change applied to these orders."""
        chosen = {order.client_order_id for order in orders}
        updated = (change(order) if order.client_order_id in chosen else order for order in self.orders)
        return replace(self, orders=tuple(updated))

    def start_wave(self, wave: int, now: datetime) -> "Execution":
        """Return the journal with the intent to send a wave: from now on each order may be at the broker.

        Skipped orders stay skipped: they have no fills to post.
        """
        before = {self.wave: self.wave_started_at} if self.wave_started_at else {}
        times = {"wave_started_at": now, "earlier_waves": {**self.earlier_waves, **before}}
        started = replace(self, wave=wave, polls=0, wake_at=None, waits_for=None, **times)
        unsent = [order for order in started.current if order.status is OrderStatus.PLANNED]
        return started.update_orders(lambda order: replace(order, status=OrderStatus.SENT, attempts=1), unsent)

    def mark_posted(self, orders: Iterable[Order] | None = None) -> "Execution":
        """Return the journal with these orders marked as posted, by default the finished ones of the present wave."""
        over = [order for order in self.current if order.status.is_over] if orders is None else orders
        return self.update_orders(lambda order: replace(order, is_posted=True), over)

    @property
    def cash_change(self) -> Decimal:
        """Change of cash by all fills so far, fees included."""
        signed = (order.amount if order.side is Side.SELL else -order.amount for order in self.orders)
        return sum(signed, ZERO) - sum((order.fees for order in self.orders), ZERO)

    def net_fills(self) -> Mapping[str, Decimal]:
        """Return bought less sold quantity by symbol, reversals included; empty once everything is reversed."""
        net: dict[str, Decimal] = {}
        for order in self.orders:
            sign = 1 if order.side is Side.BUY else -1
            net[order.symbol] = net.get(order.symbol, ZERO) + sign * order.filled
        return {symbol: quantity for symbol, quantity in net.items() if quantity}

    @property
    def is_reversed(self) -> bool:
        """True once everything is reversed, except the quantities that cash did not pay for."""
        return self.net_fills() == {symbol: -quantity for symbol, quantity in self.unrestored.items()}

    def cut_reversals(self, unrestored: Mapping[str, Decimal]) -> "Execution":
        """Return the journal whose next reversals buy back less by these quantities; empty orders are skipped."""

        def cut(order: Order) -> Order:
            quantity = order.quantity - unrestored[order.symbol]
            if quantity:
                return replace(order, quantity=quantity)
            return replace(order, status=OrderStatus.SKIPPED, is_posted=True, reason=NOT_PAID_FOR)

        unsent = (order for order in self.orders if order.status is OrderStatus.PLANNED and order.symbol in unrestored)
        return replace(self.update_orders(cut, unsent), unrestored=unrestored)

    def plan_reversals(self, rebalance_id: str) -> "Execution":
        """Return the journal with the next wave of reversals, sells first: they pay for the buys.

        Reversals sell what was bought and buy back what was sold. Orders not sent yet are skipped.
        """
        wave = BUYS + self.reversals + 1
        originals = {order.symbol: order for order in reversed(self.orders) if not order.reverses}
        reversals = [
            Order(
                client_order_id=client_order_id_of(rebalance_id, symbol, wave),
                symbol=symbol,
                side=Side.SELL if quantity > 0 else Side.BUY,
                quantity=abs(quantity),
                price=originals[symbol].price,
                wave=wave,
                reverses=originals[symbol].client_order_id,
            )
            for symbol, quantity in self.net_fills().items()
        ]
        reversals.sort(key=lambda order: (order.side is Side.BUY, order.symbol))
        unsent = [order for order in self.orders if order.status is OrderStatus.PLANNED]
        rest = self.update_orders(lambda order: replace(order, status=OrderStatus.SKIPPED, is_posted=True), unsent)
        return replace(rest, orders=(*rest.orders, *reversals))


def new_execution(
    rebalance_id: str,
    orders: Iterable[PlannedOrder],
    skipped: Iterable[SkippedLeg],
    policy: Policy,
    *,
    is_funded: bool,
    deadline: datetime,
    funds: Funds | None = None,
    commission: Commission = NO_COMMISSION,
    currency: str = USD,
    max_order_notional: Decimal | None = None,
    max_turnover: Decimal | None = None,
) -> Execution:
    """Return the journal before the first order is sent; `is_funded` where cash covers the buys without the sells."""
    return Execution(
        orders=tuple(
            Order(
                client_order_id=client_order_id_of(rebalance_id, order.symbol, SELLS),
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                price=order.price,
                limit_price=order.limit_price,
                wave=SELLS if order.side is Side.SELL or is_funded else BUYS,
            )
            for order in orders
        ),
        skipped=tuple(skipped),
        policy=ExecutionPolicy(
            policy.minimum_trade,
            policy.whole_shares,
            policy.on_partial_fill,
            policy.on_cancel,
            max_order_notional,
            max_turnover,
        ),
        deadline=deadline,
        funds=funds,
        commission=commission,
        currency=currency,
    )


def client_order_id_of(rebalance_id: str, symbol: str, wave: int) -> str:
    """Return the client order id of a symbol's order in a wave: its leg, a reversal, or a top-up."""
    if wave <= BUYS:
        return ids.derive_id(rebalance_id, "leg", symbol)
    name, first = ("comp", BUYS) if wave < FIRST_TOP_UP else ("top_up", FIRST_TOP_UP - 1)
    return ids.derive_id(rebalance_id, name, symbol, wave - first)


# Stored form -----------------------------------------------------------------------------------------------------

COMPRESSED_FROM = 100_000
"""Texts from this length on are compressed: an item holds at most 400 KB, and many reversals make a long journal."""
_COMPRESSED = "zlib:"
_DERIVED = ("client_order_id", "reverses")
_OPTIONAL = ("refusal", "filled_at", "ended_at")


class _StoredExecution(Struct, frozen=True, omit_defaults=True):
    v: int
    orders: Table
    skipped: Table
    policy: ExecutionPolicy
    deadline: datetime
    wave: int = 0
    wave_started_at: datetime | None = None
    fence: int = 0
    lease_until: int | None = None
    wake_at: datetime | None = None
    polls: int = 0
    resumes: int = 0
    is_cancelled: bool = False
    waits_for: str | None = None
    funds: Funds | None = None
    commission: Commission = NO_COMMISSION
    earlier_waves: Mapping[int, datetime] = {}
    unrestored: Mapping[str, Decimal] = {}
    currency: str = USD


_PLAIN = tuple(name for name in Execution.__struct_fields__ if name not in {"orders", "skipped"})


def pack_execution(execution: Execution) -> str:
    """Return the journal as JSON text with named members, orders as a table with named columns.

    The journal is written before every step of an execution, so bytes count. Client order ids are derived and not
    stored; a text of 100,000 characters or more is compressed.
    """
    stored = _StoredExecution(
        v=1,
        orders=to_table(execution.orders, Order, without=_DERIVED, optional=_OPTIONAL),
        skipped=to_table(execution.skipped, SkippedLeg),
        **{name: getattr(execution, name) for name in _PLAIN},
    )
    text = pack(stored)
    if len(text) < COMPRESSED_FROM:
        return text
    return _COMPRESSED + b85encode(zlib.compress(text.encode())).decode()


def unpack_execution(text: str, rebalance_id: str) -> Execution:
    """Return the journal of a text; raises `UnknownForm` for the form of a newer release."""
    if text.startswith(_COMPRESSED):
        text = zlib.decompress(b85decode(text.removeprefix(_COMPRESSED))).decode()
    stored = unpack(text, _StoredExecution)
    if stored.v != 1:
        raise UnknownForm("execution journal", stored.v)
    return Execution(
        orders=tuple(_read_order(row, rebalance_id) for row in stored.orders.named_rows()),
        skipped=tuple(from_attributes(row, SkippedLeg) for row in stored.skipped.named_rows()),
        **{name: getattr(stored, name) for name in _PLAIN},
    )


def _read_order(row: dict[str, object], rebalance_id: str) -> Order:
    symbol, wave = str(row["symbol"]), int(str(row["wave"]))
    derived = {
        "client_order_id": client_order_id_of(rebalance_id, symbol, wave),
        "reverses": client_order_id_of(rebalance_id, symbol, BUYS) if BUYS < wave < FIRST_TOP_UP else None,
    }
    return from_attributes({**row, **derived}, Order)
