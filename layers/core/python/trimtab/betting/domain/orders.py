"""Orders: placed once, then settled or cancelled once."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain import results
from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.keys import market_partition, order_key, user_partition
from trimtab.betting.domain.odds import normalise_odds, odds_text
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import ZERO, to_money


class BetStatus(StrEnum):
    """The status of an order: OPEN, then SETTLED or CANCELLED. Both are final."""

    OPEN = "OPEN"
    SETTLED = "SETTLED"
    CANCELLED = "CANCELLED"


class Settlement(Struct, frozen=True, omit_defaults=True):
    """The settlement of an order, amounts in money.

    `due` is the payout by the result, `payout` the payout made. The two differ only if somebody overrode the payout
    and gave a reason. `with_market` is True if the order was settled as part of a market; the commission is then
    charged on the net winnings of the user in the market.
    """

    result: ResultKind
    due: Decimal
    payout: Decimal
    commission: Decimal
    settled_by: str
    settled_at: datetime
    request_hash: str
    dead_heat_factor: str | None = None
    override_reason: str | None = None
    with_market: bool = False
    reduction_factor: Decimal = ZERO

    @property
    def selection_result(self) -> SelectionResult:
        """The result of the selection."""
        factor = self.dead_heat_factor
        return SelectionResult(self.result, None if factor is None else Fraction(factor), self.reduction_factor)


class Resettlement(Struct, frozen=True, omit_defaults=True):
    """A correction of a settled order: an entry that compensates the settlement before, and is never changed.

    `replaced` is the whole settlement before. The changes of payout and commission are money, negative for less than
    before; the changes of all entries and the first settlement sum to the present settlement.
    """

    replaced: Settlement
    reason: str
    by: str
    at: datetime
    payout_change: Decimal
    commission_change: Decimal


class SettlementRequest(Struct, frozen=True):
    """A request to settle an order; without a payout the order is paid what follows from the result."""

    result: SelectionResult
    commission: Decimal = ZERO
    payout: Decimal | None = None
    override_reason: str | None = None

    def request_hash(self, version: int = 1) -> str:
        """Return the hash that tells a repeated settlement from a different one.

        A payout counts only with an override reason: otherwise the payout follows from the result.
        """
        match version:
            case 1:
                fields = {
                    "result": self.result.kind.value,
                    "dead_heat_factor": self.result.factor_text,
                    "commission": self.commission,
                    "payout": None if self.override_reason is None else self.payout,
                    "override_reason": self.override_reason,
                    "reduction_factor": self.result.reduction_factor,
                }
                return ids.request_hash(1, fields, defaults={"commission": ZERO, "reduction_factor": ZERO})
            case other:
                raise UnknownForm("hash of a settlement request", other)


class NewOrder(Struct, frozen=True):
    """An order that a client asks to place: stake in money, decimal odds with 2 or 3 decimals."""

    user_id: str
    market_id: str
    selection_id: str
    side: BetSide
    stake: Decimal
    odds: Decimal

    @property
    def exposure(self) -> Decimal:
        """The largest possible loss."""
        return results.compute_exposure(self.side, self.stake, self.odds)

    def request_hash(self, version: int = 1) -> str:
        """Return the hash that tells a repeated request from a different order under the same idempotency key."""
        match version:
            case 1:
                return ids.request_hash(1, to_attributes(self))
            case other:
                raise UnknownForm("hash of an order", other)

    def place(self, tenant_id: str, order_id: str, insight: Insight | None, now: datetime) -> "BetOrder":
        """Return the open order with the event `order.placed`."""
        order = BetOrder(
            tenant_id=tenant_id,
            order_id=order_id,
            user_id=self.user_id,
            market_id=self.market_id,
            selection_id=self.selection_id,
            side=self.side,
            stake=to_money(self.stake),
            odds=normalise_odds(self.odds),
            request_hash=self.request_hash(),
            created_at=now,
            updated_at=now,
            insight=insight,
        )
        return replace(order, events=(_event("order.placed", order),))


class BetOrder(Record, frozen=True):
    """A bet of a user on a selection of a market, with the insight that was current when the order was placed."""

    tenant_id: str
    order_id: str
    user_id: str
    market_id: str
    selection_id: str
    side: BetSide
    stake: Decimal
    odds: Decimal
    request_hash: str
    created_at: datetime
    updated_at: datetime
    insight: Insight | None = None
    status: BetStatus = BetStatus.OPEN
    settlement: Settlement | None = None
    resettlements: tuple[Resettlement, ...] = ()

    @property
    def is_open(self) -> bool:
        """True until the order is settled or cancelled."""
        return self.status is BetStatus.OPEN

    @property
    def exposure(self) -> Decimal:
        """The largest possible loss."""
        return results.compute_exposure(self.side, self.stake, self.odds)

    @property
    def payout(self) -> Decimal | None:
        """The payout, None before the settlement."""
        return None if self.settlement is None else self.settlement.payout

    @property
    def pnl(self) -> Decimal | None:
        """Profit and loss: payout - exposure - commission; None before the settlement."""
        settlement = self.settlement
        return None if settlement is None else settlement.payout - self.exposure - settlement.commission

    @property
    def has_won(self) -> bool:
        """True if the order earned anything before commission, even less than a cent.

        If the payout was overridden, the payout decides.
        """
        if self.settlement is None:
            return False
        if self.settlement.override_reason is not None:
            return self.settlement.payout > self.exposure
        result = self.settlement.selection_result
        return results.compute_exact_profit(self.side, self.stake, self.odds, result) > 0

    def settle(self, request: SettlementRequest, *, by: str, now: datetime, with_market: bool = False) -> "BetOrder":
        """Return the settled order; the same order if the same request has settled the order before.

        Raises `Conflict` if the order is cancelled or was settled differently. Raises `Unprocessable` if the payout
        differs from the due payout without a reason or in a void order, or if the commission exceeds the winnings.
        """
        if self.settlement is not None:
            if self._is_repeat(request, self.settlement):
                return self
            raise Conflict("already_settled", "The order was settled differently before; a settlement is final.")
        if self.status is BetStatus.CANCELLED:
            raise Conflict("cancelled", "The order was cancelled.")
        settlement = self._make_settlement(request, by=by, now=now, with_market=with_market)
        return self._end(BetStatus.SETTLED, settlement, "order.settled", now)

    def resettle(self, request: SettlementRequest, reason: str, *, by: str, now: datetime) -> "BetOrder":
        """Return the order settled again, with an entry for the correction; the same order if the request is repeated.

        Raises `Conflict` if the order is not settled, and `Unprocessable` as `settle` does.
        """
        replaced = self.settlement
        if replaced is None:
            raise Conflict("not_settled", "Only a settled order can be settled again.")
        if self._is_repeat(request, replaced):
            return self
        settlement = self._make_settlement(request, by=by, now=now, with_market=replaced.with_market)
        entry = Resettlement(
            replaced,
            reason,
            by,
            now,
            payout_change=settlement.payout - replaced.payout,
            commission_change=settlement.commission - replaced.commission,
        )
        entries = (*self.resettlements, entry)
        order = replace(self, settlement=settlement, resettlements=entries, version=self.version + 1, updated_at=now)
        return replace(order, events=(_resettled_event(order, entry),))

    def _make_settlement(self, request: SettlementRequest, *, by: str, now: datetime, with_market: bool) -> Settlement:
        due = results.compute_payout(self.side, self.stake, self.odds, request.result)
        payout = due if request.payout is None else to_money(request.payout)
        self._check_settlement(request, due, payout)
        return Settlement(
            result=request.result.kind,
            dead_heat_factor=request.result.factor_text,
            reduction_factor=request.result.reduction_factor,
            due=due,
            payout=payout,
            commission=to_money(request.commission),
            override_reason=request.override_reason,
            settled_by=by,
            settled_at=now,
            request_hash=request.request_hash(),
            with_market=with_market,
        )

    def _is_repeat(self, request: SettlementRequest, settlement: Settlement) -> bool:
        is_same_payout = request.payout is None or request.payout == settlement.payout
        return is_same_payout and ids.is_same_request(settlement.request_hash, request.request_hash)

    def _check_settlement(self, request: SettlementRequest, due: Decimal, payout: Decimal) -> None:
        if payout != due and request.override_reason is None:
            raise Unprocessable(
                "payout_disagrees",
                f"The payout that follows from the result is {due}, not {payout}. "
                "Leave payout out, or give an override_reason.",
            )
        if payout != due and request.result.is_void:
            raise Unprocessable(
                "void_overridden",
                f"A void order returns its exposure, {due}. To pay {payout}, settle the order with another result.",
            )
        if request.commission > max(ZERO, payout - self.exposure):
            raise Unprocessable("commission_too_high", "commission must not exceed the winnings of the order.")

    def cancel(self, now: datetime) -> "BetOrder":
        """Return the cancelled order; the same order if already cancelled. Raises `Conflict` if settled."""
        if self.status is BetStatus.CANCELLED:
            return self
        if not self.is_open:
            raise Conflict("already_settled", "The order is settled and can no longer be cancelled.")
        return self._end(BetStatus.CANCELLED, None, "order.cancelled", now)

    def _end(self, status: BetStatus, settlement: Settlement | None, event: str, now: datetime) -> "BetOrder":
        order = replace(self, status=status, settlement=settlement, version=self.version + 1, updated_at=now)
        return replace(order, events=(_event(event, order),))

    def to_item(self) -> dict[str, Any]:
        """Return the item; only an open order has the keys of the two sparse indexes of open orders."""
        user, market = user_partition(self.tenant_id, self.user_id), market_partition(self.tenant_id, self.market_id)
        place = f"{format_time(self.created_at)}#{self.order_id}"
        index_keys = {"by_user_pk": user, "by_user_sk": place, "by_market_pk": market, "by_market_sk": place}
        if self.is_open:
            index_keys |= {"by_open_user_pk": user, "by_open_user_sk": place}
            index_keys |= {"by_open_market_pk": market, "by_open_market_sk": f"{self.user_id}#{place}"}
        attributes = to_attributes(self)
        del attributes["order_id"]  # in the key
        attributes["resettlements"] = attributes["resettlements"] or None  # not stored without entries
        insight = self.insight and self.insight.to_attributes()
        key = order_key(self.tenant_id, self.order_id)
        return {**key, **index_keys, **attributes, "insight": insight, **self.record_attributes()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the order in an item."""
        match form_version(item):
            case 1:
                members = {**item, "order_id": item["pk"].rpartition("#")[2], "events": ()}
                if "insight" in item:
                    selection = {"market_id": item["market_id"], "selection_id": item["selection_id"]}
                    members["insight"] = {**item["insight"], **selection}
                return from_attributes(members, cls)
            case other:
                raise UnknownForm("betting order", other)


def derive_order_id(tenant_id: str, user_id: str, key: str) -> str:
    """Return the id of an order, derived from tenant, user and idempotency key."""
    return ids.derive_id(tenant_id, user_id, key)


def require_same_order(stored: BetOrder, new: NewOrder) -> None:
    """Raise `Conflict` if the idempotency key was used for a different order."""
    if not ids.is_same_request(stored.request_hash, new.request_hash):
        raise Conflict("key_reused", "This Idempotency-Key was used for a different order. Use a new key.")


def _event(type: str, order: BetOrder) -> Event:
    return Event(type, _event_data(order))


def _resettled_event(order: BetOrder, entry: Resettlement) -> Event:
    profit_change = entry.payout_change - entry.commission_change
    changes = {"payout_change": entry.payout_change, "pnl_change": profit_change}
    texts = {name: str(to_money(change)) for name, change in changes.items()}
    return Event("order.resettled", {**_event_data(order), **texts, "reason": entry.reason})


def _event_data(order: BetOrder) -> dict[str, Any]:
    settlement, pnl = order.settlement, order.pnl
    return {
        "id": order.order_id,
        "user_id": order.user_id,
        "market_id": order.market_id,
        "selection_id": order.selection_id,
        "side": order.side.value,
        "stake": str(to_money(order.stake)),
        "odds": odds_text(order.odds),
        "status": order.status.value,
        "payout": settlement and str(to_money(settlement.payout)),
        "settled_at": settlement and format_time(settlement.settled_at),
        "exposure": str(to_money(order.exposure)),
        "pnl": None if pnl is None else str(to_money(pnl)),
    }
