"""Markets with results. Such a market accepts no orders and has a result for every selection."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain.keys import market_key, market_user_key
from trimtab.betting.domain.market_results import VOID, WON, StatedResults
from trimtab.betting.domain.orders import BetOrder, SettlementRequest
from trimtab.betting.domain.results import ResultKind, SelectionResult
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, from_attributes, to_attributes
from trimtab.contracts.traces import TRACE
from trimtab.kernel.errors import Conflict
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, to_money

MAX_RESETTLEMENTS = 10
"""The most corrections of a market, and of an order by itself: all are kept in the item."""


class ResultsStatus(StrEnum):
    """CLOSED while a worker settles the open orders, then SETTLED."""

    CLOSED = "CLOSED"
    SETTLED = "SETTLED"


class ReplacedResults(Struct, frozen=True, omit_defaults=True):
    """The results of a market that a correction has replaced, as `MarketWithResults` had them."""

    winners: tuple[str, ...]
    voids: tuple[str, ...]
    commission_rate: Decimal
    closed_by: str
    closed_at: datetime
    results: Mapping[str, SelectionResult] = {}
    reason: str | None = None


class MarketWithResults(Struct, frozen=True, omit_defaults=True):
    """A market with results: selections that won in full, those that are void, and the other results that were stated.

    Each selection is in one of the three; all other selections lost.
    `commission_rate` is in percent of a user's net winnings in the market. `settled_at` (UTC) is the time at which a
    check found no open order, `orders` the number of orders that the check found; until then None and 0.

    A correction replaces the results and counts `number` up; `reason` is its reason. `closed_by` and `closed_at` are
    those of the newest results, `replaced` holds the results before, oldest first.
    """

    tenant_id: str
    market_id: str
    winners: tuple[str, ...]
    voids: tuple[str, ...]
    commission_rate: Decimal
    closed_by: str
    closed_at: datetime
    settled_at: datetime | None = None
    orders: int = 0
    results: Mapping[str, SelectionResult] = {}
    number: int = 1
    reason: str | None = None
    replaced: tuple[ReplacedResults, ...] = ()
    version: int = 1

    @property
    def first_closed_at(self) -> datetime:
        """The time of the first results; no order was placed later."""
        return self.replaced[0].closed_at if self.replaced else self.closed_at

    @property
    def status(self) -> ResultsStatus:
        """SETTLED if no order is open any more."""
        return ResultsStatus.CLOSED if self.settled_at is None else ResultsStatus.SETTLED

    def mark_settled(self, orders: int, now: datetime) -> "MarketWithResults":
        """Return the settled market with the number of orders."""
        return replace(self, settled_at=now, orders=orders, version=self.version + 1)

    def resettle(
        self, stated: StatedResults, commission_rate: Decimal | None, reason: str, *, by: str, now: datetime
    ) -> "MarketWithResults":
        """Return the market with corrected results; the same market if the results and the rate are the present ones.

        Without a rate, the present rate stays. Raises `Conflict` while the orders are being settled by the present
        results, or after 10 corrections.
        """
        rate = self.commission_rate if commission_rate is None else commission_rate
        corrected = enter_results(self.tenant_id, self.market_id, stated, rate, by=by, now=now)
        if self.is_same_settlement(corrected):
            return self
        if self.settled_at is None:
            raise market_settling()
        if len(self.replaced) >= MAX_RESETTLEMENTS:
            raise too_many_resettlements()
        before = ReplacedResults(
            self.winners, self.voids, self.commission_rate, self.closed_by, self.closed_at, self.results, self.reason
        )
        return replace(
            corrected,
            number=self.number + 1,
            reason=reason,
            replaced=(*self.replaced, before),
            version=self.version + 1,
        )

    def is_same_settlement(self, other: "MarketWithResults") -> bool:
        """Return whether both close the market with the same results and the same commission rate."""
        mine = self.winners, self.voids, self.results, self.commission_rate
        return mine == (other.winners, other.voids, other.results, other.commission_rate)

    def get_result(self, selection_id: str) -> SelectionResult:
        """Return the result of a selection."""
        if selection_id in self.winners:
            return WON
        if selection_id in self.voids:
            return VOID
        return self.results.get(selection_id, SelectionResult(ResultKind.LOST))

    def settlement_request(self, selection_id: str) -> SettlementRequest:
        """Return the settlement of the open orders on a selection."""
        return SettlementRequest(self.get_result(selection_id))

    def update_order(self, order: BetOrder, now: datetime) -> BetOrder:
        """Return the order as settled by the results; the same order if nothing changes.

        An order that was cancelled, or settled by itself before the market, stays as it is.
        """
        request = self.settlement_request(order.selection_id)
        if order.is_open:
            return order.settle(request, by=self.closed_by, now=now, with_market=True)
        if order.settlement is None or not order.settlement.with_market:
            return order
        return order.resettle(request, self.reason or "", by=self.closed_by, now=now)

    def compute_commission(self, net_winnings: Decimal, charged: Decimal) -> Decimal:
        """Return the commission that a user still owes in the market, at least 0; all amounts are money.

        `net_winnings` are before commission. `charged` is the commission already deducted from single orders.
        """
        if net_winnings <= 0:
            return ZERO
        due = to_money(CONTEXT.divide(net_winnings * self.commission_rate, HUNDRED))
        return max(ZERO, due - charged)

    def to_item(self) -> dict[str, Any]:
        """Return the item.

        The form is 2 if `results` are stored, or if the results were corrected: a release that does not know these
        must not settle by the rest.
        """
        return {
            **market_key(self.tenant_id, self.market_id),
            **to_attributes(self),
            "orders": self.orders,
            "status": self.status.value,
            "version": self.version,
            TRACE: None,  # set by each write
            FORM: 2 if self.results or self.replaced else 1,
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the market with results in an item."""
        match form_version(item):
            case 1 | 2:
                return from_attributes(item, cls)
            case other:
                raise UnknownForm("market with results", other)


class MarketUser(Struct, frozen=True):
    """A user with at least one order in a market, written with the first order.

    The users of a market are found by these items and not by an index, because an index is eventually consistent.
    """

    tenant_id: str
    market_id: str
    user_id: str

    def to_item(self) -> dict[str, Any]:
        """Return the item."""
        return {**market_user_key(self.tenant_id, self.market_id, self.user_id), **to_attributes(self), FORM: 1}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the user in an item."""
        match form_version(item):
            case 1:
                return from_attributes(item, cls)
            case other:
                raise UnknownForm("user of a market", other)


def enter_results(
    tenant_id: str, market_id: str, stated: StatedResults, commission_rate: Decimal, *, by: str, now: datetime
) -> MarketWithResults:
    """Return the market with results; raises `Unprocessable` if the stated results contradict each other."""
    resolved = stated.resolve()
    return MarketWithResults(
        tenant_id,
        market_id,
        winners=tuple(sorted(each for each, result in resolved.items() if result == WON)),
        voids=tuple(sorted(each for each, result in resolved.items() if result == VOID)),
        commission_rate=commission_rate,
        closed_by=by,
        closed_at=now,
        results={each: result for each, result in sorted(resolved.items()) if result not in (WON, VOID)},
    )


def require_same_settlement(stored: MarketWithResults, requested: MarketWithResults) -> None:
    """Raise `Conflict` if the market was settled differently before."""
    if not stored.is_same_settlement(requested):
        raise Conflict("market_settled", "The market was settled with a different result; a settlement is final.")


def market_settling() -> Conflict:
    """Return the refusal for a correction while the orders of the market are being settled."""
    return Conflict(
        "market_settling",
        "The orders of the market are being settled. Send the correction once the market is SETTLED.",
        retry_after_seconds=5,
    )


def too_many_resettlements() -> Conflict:
    """Return the refusal for another correction of a market or an order that was corrected 10 times."""
    return Conflict("too_many_resettlements", f"Results are corrected at most {MAX_RESETTLEMENTS} times.")


def market_closed() -> Conflict:
    """Return the refusal for a request in a closed market."""
    return Conflict("market_closed", "The market is closed; its open orders are settled with the market.")
