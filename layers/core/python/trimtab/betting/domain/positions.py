"""Positions: the orders of a user in one market, selection by selection and in the worst case."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from msgspec import field
from msgspec.structs import replace

from trimtab.betting.domain.keys import position_key
from trimtab.betting.domain.markets import MarketWithResults
from trimtab.betting.domain.orders import BetOrder
from trimtab.betting.domain.totals import (
    OrderTotals,
    SelectionExposure,
    exposure_of_order,
    totals_of_commission,
    totals_of_order,
)
from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import ZERO, plain, to_money

MAX_SELECTIONS = 200
MAX_WINNERS = 20
_CHANGED_AT = "changed_at"


class BettingPosition(Record, frozen=True, kw_only=True):
    """The orders of one user in one market, by selection and in total; version 0 stands for no orders.

    `selections` and `changed_at` are keyed by selection id. A selection without open orders and without realised
    profit or loss is left out. `market_commission` is the commission charged on the net winnings in the market.
    All orders are settled by the market's results up to `settlement_number`.
    `number_of_winners` is the number of selections that win, None if any number can win.
    """

    tenant_id: str
    user_id: str
    market_id: str
    updated_at: datetime
    selections: Mapping[str, SelectionExposure] = field(default_factory=dict)
    changed_at: Mapping[str, datetime] = field(default_factory=dict)
    totals: OrderTotals = OrderTotals()
    market_commission: Decimal = ZERO
    settlement_number: int = 1
    number_of_winners: int | None = None
    version: int = 0

    def get_exposure(self, selection_id: str) -> SelectionExposure:
        """Return the exposure on a selection; zeros if the user has no orders on the selection."""
        return self.selections.get(selection_id, SelectionExposure())

    def get_changed_at(self, selection_id: str) -> datetime:
        """Return when the orders on a selection last changed; without orders, when the position last changed."""
        return self.changed_at.get(selection_id, self.updated_at)

    @property
    def exposure(self) -> Decimal:
        """The sum of the largest possible losses of the open orders; BACK and LAY are not netted."""
        return self.totals.open_exposure

    def compute_worst_case(self, winners: int | None = 1, *, others: bool = True) -> Decimal:
        """Return the largest possible loss over the selections of the user; see `compute_worst_case`."""
        return compute_worst_case(self.selections.values(), winners, others=others)

    def require_room_for(self, selection_id: str) -> None:
        """Raise `Unprocessable` if the position is full: a position is one item, whose size is limited."""
        if selection_id not in self.selections and len(self.selections) >= MAX_SELECTIONS:
            raise Unprocessable(
                "too_many_selections", f"A user can have orders on at most {MAX_SELECTIONS} selections of a market."
            )

    def apply(
        self,
        changes: Sequence[tuple[BetOrder | None, BetOrder]],
        now: datetime,
        with_results: MarketWithResults | None = None,
    ) -> "BettingPosition":
        """Return the position after orders were placed (None, order) or changed (before, after).

        In a market with results the commission is charged as well. There is one event for each changed selection; a
        charge alone has one event, for the first selection.
        """
        selections, totals = dict(self.selections), self.totals
        for before, after in changes:
            exposure = selections.get(after.selection_id, SelectionExposure()).plus(exposure_of_order(after))
            totals = totals.plus(totals_of_order(after))
            if before is not None:
                exposure = exposure.minus(exposure_of_order(before))
                totals = totals.minus(totals_of_order(before))
            selections[after.selection_id] = exposure
        changed = {after.selection_id for _, after in changes}
        kept = {selection_id: each for selection_id, each in selections.items() if each != SelectionExposure()}
        position = replace(
            self,
            selections=kept,
            changed_at={each: now if each in changed else self.get_changed_at(each) for each in kept},
            totals=replace(totals, open_worst_case=compute_worst_case(kept.values(), self.number_of_winners)),
            version=self.version + 1,
            updated_at=now,
        )
        if with_results is not None:
            position = replace(position.charge(with_results), settlement_number=with_results.number)
        announced = sorted(changed) or sorted(kept)[:1]
        return replace(position, events=tuple(position._updated_event(each) for each in announced))

    def is_due(self, market: MarketWithResults) -> bool:
        """Return whether the market with results still has an order to settle or a commission to charge here."""
        is_behind = self.settlement_number < market.number
        return is_behind or bool(self.totals.orders_open) or self.charge(market) is not self

    def charge(self, market: MarketWithResults) -> "BettingPosition":
        """Return the position charged with the commission of the market, once no order is open.

        The difference to the commission charged before is charged, or returned if negative. The same position if an
        order is open or there is no difference.
        """
        if self.totals.orders_open:
            return self
        of_orders = self.totals.commission - self.market_commission
        due = market.compute_commission(self.totals.profit + self.totals.commission, of_orders)
        difference = due - self.market_commission
        if not difference:
            return self
        return replace(self, market_commission=due, totals=self.totals.plus(totals_of_commission(difference)))

    def _updated_event(self, selection_id: str) -> Event:
        exposure = self.get_exposure(selection_id)
        data = {
            "user_id": self.user_id,
            "market_id": self.market_id,
            "selection_id": selection_id,
            "side": exposure.side and exposure.side.value,
            "exposure": str(exposure.exposure),
            "pnl": str(exposure.realised),
            "if_win": str(exposure.if_win),
            "if_lose": str(exposure.if_lose),
            "market_commission": str(to_money(self.market_commission)),
        }
        return Event("position.updated", data)

    def to_item(self) -> dict[str, Any]:
        """Return the item: totals and exposures as maps of whole numbers (money in cents), zeros left out."""
        selections = {
            selection_id: {**exposure.to_cents(), _CHANGED_AT: format_time(self.get_changed_at(selection_id))}
            for selection_id, exposure in self.selections.items()
        }
        return {
            **position_key(self.tenant_id, self.user_id, self.market_id),
            "tenant_id": self.tenant_id,
            "user_id": self.user_id,
            "market_id": self.market_id,
            "selections": selections,
            "totals": self.totals.to_cents(),
            "market_commission": plain(self.market_commission),
            "settlement_number": None if self.settlement_number == 1 else self.settlement_number,
            "number_of_winners": self.number_of_winners,
            "updated_at": format_time(self.updated_at),
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the position in an item."""
        match form_version(item):
            case 1:
                selections = item["selections"]
                return cls(
                    tenant_id=item["tenant_id"],
                    user_id=item["user_id"],
                    market_id=item["market_id"],
                    updated_at=parse_time(item["updated_at"]),
                    selections={each: SelectionExposure.from_cents(stored) for each, stored in selections.items()},
                    changed_at={each: parse_time(stored[_CHANGED_AT]) for each, stored in selections.items()},
                    totals=OrderTotals.from_cents(item["totals"]),
                    market_commission=Decimal(item["market_commission"]),
                    settlement_number=item.get("settlement_number") or 1,
                    number_of_winners=item.get("number_of_winners"),
                    version=item["version"],
                )
            case other:
                raise UnknownForm("betting position", other)


def compute_worst_case(
    exposures: Iterable[SelectionExposure], winners: int | None = 1, *, others: bool = True
) -> Decimal:
    """Return the largest possible loss, 0 or more, if exactly `winners` selections win; hedges are netted.

    The loss is the sum of all `if_lose` plus the `winners` smallest differences (if_win - if_lose). With `others`, a
    winner can be a selection without open orders, whose difference is 0. If `winners` is None, any number can win.

    >>> home = SelectionExposure(back_stake=Decimal("10.00"), back_profit=Decimal("25.00"))
    >>> draw = SelectionExposure(lay_stake=Decimal("8.00"), lay_liability=Decimal("24.00"))
    >>> compute_worst_case([home, draw])  # the draw wins: -10 on home, -24 on the draw
    Decimal('34.00')
    """
    open_exposures = [exposure for exposure in exposures if exposure.back_stake or exposure.lay_stake]
    losing = sum((exposure.if_lose for exposure in open_exposures), ZERO)
    differences = sorted(exposure.if_win - exposure.if_lose for exposure in open_exposures)[:winners]
    winning = sum((min(difference, ZERO) if others else difference for difference in differences), ZERO)
    return max(ZERO, -(losing + winning))


def fold_orders(
    empty: BettingPosition, orders: Iterable[BetOrder], market: MarketWithResults | None = None
) -> BettingPosition:
    """Return the position recomputed from all its orders; charged if the market is closed."""
    position = empty
    for order in sorted(orders, key=lambda order: order.updated_at):
        position = position.apply([(None, order)], order.updated_at)
    return position.charge(market) if market is not None else position
