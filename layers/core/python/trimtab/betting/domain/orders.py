"""Orders: placed, then settled or cancelled, once."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain import results
from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.results import Side, Verdict
from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import ZERO, plain, to_money


class OrderStatus(StrEnum):
    """OPEN until it is settled or cancelled; both are for good."""

    OPEN = "OPEN"
    SETTLED = "SETTLED"
    CANCELLED = "CANCELLED"


class Settlement(Struct, frozen=True):
    """How an order was settled. `payout` is what was paid, `due` what follows from the verdict: they differ only
    where somebody overrode it, and said why."""

    verdict: Verdict
    due: Decimal
    payout: Decimal
    commission: Decimal
    override_reason: str | None
    by: str
    at: datetime
    request_hash: str
    with_market: bool = False
    """Settled together with its market, which takes its commission on what the user wins there in all."""


class Asked(Struct, frozen=True):
    """How somebody asks for an order to be settled; without a payout, what follows from the verdict is paid."""

    verdict: Verdict
    commission: Decimal = ZERO
    payout: Decimal | None = None
    override_reason: str | None = None

    def request_hash(self) -> str:
        """Tells a repeat from another request, however its numbers are written."""
        payout = None if self.payout is None or self.override_reason is None else plain(self.payout)
        return ids.fingerprint(self.verdict.text(), plain(self.commission), payout, self.override_reason)


class NewOrder(Struct, frozen=True):
    """An order as a client gives it: stake in money, decimal odds with 2 places."""

    user_id: str
    market_id: str
    selection_id: str
    side: Side
    stake: Decimal
    odds: Decimal

    @property
    def exposure(self) -> Decimal:
        """What it can lose, 2 places."""
        return results.exposure(self.side, self.stake, self.odds)

    def request_hash(self) -> str:
        """Tells a repeat from another order under the same key."""
        return ids.fingerprint(
            self.user_id, self.market_id, self.selection_id, self.side, plain(self.stake), plain(self.odds)
        )

    def placed(self, tenant_id: str, order_id: str, insight: Insight | None, now: datetime) -> "Order":
        """The open order, with the event that says so."""
        order = Order(
            tenant_id=tenant_id,
            order_id=order_id,
            user_id=self.user_id,
            market_id=self.market_id,
            selection_id=self.selection_id,
            side=self.side,
            stake=to_money(self.stake),
            odds=to_money(self.odds),
            request_hash=self.request_hash(),
            created_at=now,
            updated_at=now,
            insight=insight,
        )
        return replace(order, events=(_event("order.placed", order),))


class Order(Record, frozen=True):
    """A bet of a user on a selection of a market."""

    tenant_id: str
    order_id: str
    user_id: str
    market_id: str
    selection_id: str
    side: Side
    stake: Decimal
    odds: Decimal
    request_hash: str
    created_at: datetime
    updated_at: datetime
    insight: Insight | None = None
    status: OrderStatus = OrderStatus.OPEN
    settlement: Settlement | None = None

    @property
    def is_open(self) -> bool:
        """Whether its outcome is not known yet."""
        return self.status is OrderStatus.OPEN

    @property
    def exposure(self) -> Decimal:
        """What it can lose, or could, 2 places."""
        return results.exposure(self.side, self.stake, self.odds)

    @property
    def payout(self) -> Decimal | None:
        """What was paid out, None before it is settled."""
        return None if self.settlement is None else self.settlement.payout

    @property
    def gross_pnl(self) -> Decimal | None:
        """What it earned before commission, None before it is settled."""
        return None if self.settlement is None else self.settlement.payout - self.exposure

    @property
    def pnl(self) -> Decimal | None:
        """What it earned: payout - exposure - commission, None before it is settled."""
        gross, settlement = self.gross_pnl, self.settlement
        return None if gross is None or settlement is None else gross - settlement.commission

    @property
    def has_won(self) -> bool:
        """Whether it earned anything, be it less than a cent; what was paid counts where a payout was overridden."""
        if self.settlement is None:
            return False
        if self.settlement.override_reason is not None:
            return self.settlement.payout > self.exposure
        return results.exact_profit(self.side, self.stake, self.odds, self.settlement.verdict) > 0

    def settled(self, asked: Asked, *, by: str, now: datetime, with_market: bool = False) -> "Order":
        """Settled as asked; the same order where it was settled so before.

        `Conflict` where it was settled otherwise, or cancelled. `Unprocessable` where a payout disagrees and nobody
        says why, or the order is void, and where the commission is more than was won.
        """
        if self.settlement is not None:
            if self.settlement.request_hash == asked.request_hash() and self._agrees(asked):
                return self
            raise Conflict("already_settled", "The order was settled otherwise: a settlement is for good.")
        if self.status is OrderStatus.CANCELLED:
            raise Conflict("cancelled", "The order was cancelled.")
        due = results.payout(self.side, self.stake, self.odds, asked.verdict)
        paid = due if asked.payout is None else to_money(asked.payout)
        if paid != due and asked.override_reason is None:
            detail = f"The payout that follows is {due}, not {paid}. Leave it out, or give an override_reason."
            raise Unprocessable("payout_disagrees", detail)
        if paid != due and asked.verdict.is_void:
            detail = f"A void order decides nothing: {due} is given back. To pay {paid}, settle it with a result."
            raise Unprocessable("void_overridden", detail)
        if asked.commission > max(ZERO, paid - self.exposure):
            raise Unprocessable("commission_too_high", "Commission is taken on winnings, and is not more than those.")
        settlement = Settlement(
            verdict=asked.verdict,
            due=due,
            payout=paid,
            commission=to_money(asked.commission),
            override_reason=asked.override_reason,
            by=by,
            at=now,
            request_hash=asked.request_hash(),
            with_market=with_market,
        )
        return self._ended(OrderStatus.SETTLED, settlement, "order.settled", now)

    def _agrees(self, asked: Asked) -> bool:
        return asked.payout is None or asked.payout == self.payout

    def cancelled(self, now: datetime) -> "Order":
        """Taken back; the same order where it was before. `Conflict` once it is settled."""
        if self.status is OrderStatus.CANCELLED:
            return self
        if not self.is_open:
            raise Conflict("already_settled", "The order is settled and cannot be cancelled any more.")
        return self._ended(OrderStatus.CANCELLED, None, "order.cancelled", now)

    def _ended(self, status: OrderStatus, settlement: Settlement | None, event: str, now: datetime) -> "Order":
        order = replace(self, status=status, settlement=settlement, version=self.version + 1, updated_at=now)
        return replace(order, events=(_event(event, order),))


def order_id_of(tenant_id: str, user_id: str, key: str) -> str:
    """The id of the order that a request with this key places."""
    return ids.derive_id(tenant_id, user_id, key)


def require_same(stored: Order, new: NewOrder) -> None:
    """`Conflict` where a key comes again with another order."""
    if stored.request_hash != new.request_hash():
        raise Conflict("key_reused", "This Idempotency-Key came with another order before; give each its own.")


def limit_exceeded(limit: Decimal) -> Unprocessable:
    """The refusal of an order that would take its user's open orders above the limit."""
    return Unprocessable("exposure_limit", f"The user's open orders may not expose more than {limit} in all.")


def _event(type: str, order: Order) -> Event:
    settlement = order.settlement
    data = {
        "id": order.order_id,
        "user_id": order.user_id,
        "market_id": order.market_id,
        "selection_id": order.selection_id,
        "side": order.side.value,
        "stake": str(order.stake),
        "odds": str(order.odds),
        "status": order.status.value,
        "payout": None if order.payout is None else str(order.payout),
        "settled_at": settlement and format_time(settlement.at),
        "exposure": str(order.exposure),
        "pnl": None if order.pnl is None else str(order.pnl),
    }
    return Event(type, data)
