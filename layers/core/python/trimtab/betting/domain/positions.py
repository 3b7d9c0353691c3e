"""Positions: what a user's orders on one market come to, selection by selection and in the worst case."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import field
from msgspec.structs import replace

from trimtab.betting.domain.markets import Market
from trimtab.betting.domain.orders import Order
from trimtab.betting.domain.tally import Stakes, Tally, of_commission, stakes, tally
from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import ZERO

MAX_SELECTIONS = 200
MAX_WINNERS = 20


class Position(Record, frozen=True, kw_only=True):
    """A user's orders on one market: by selection, and summed up. `version` 0 is that of no order at all.

    A selection on which nothing is open and nothing was earned is not among the selections.
    """

    tenant_id: str
    user_id: str
    market_id: str
    updated_at: datetime
    selections: Mapping[str, Stakes] = field(default_factory=dict)
    changed_at: Mapping[str, datetime] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    market_commission: Decimal = ZERO
    version: int = 0

    def on(self, selection_id: str) -> Stakes:
        """The orders on a selection."""
        return self.selections.get(selection_id, Stakes())

    def since(self, selection_id: str) -> datetime:
        """When the orders on a selection last changed; of one that has no time of its own, when the position did."""
        return self.changed_at.get(selection_id, self.updated_at)

    @property
    def exposure(self) -> Decimal:
        """What the open orders can lose, nothing netted."""
        return self.tally.open_exposure

    def worst_case(self, winners: int = 1, *, others: bool = True) -> Decimal:
        """See `worst_case`, over all selections of the market that the user has open orders on."""
        return worst_case(self.selections.values(), winners, others=others)

    def require_room_for(self, selection_id: str) -> None:
        """`Unprocessable` where the user bets on too many selections of one market: it is kept in one item."""
        if selection_id not in self.selections and len(self.selections) >= MAX_SELECTIONS:
            raise Unprocessable("too_many_selections", f"A user has orders on {MAX_SELECTIONS} selections at most.")

    def changed(
        self, changes: Sequence[tuple[Order | None, Order]], now: datetime, closed: Market | None = None
    ) -> "Position":
        """With orders placed (None before) or changed, then charged in a market that is closed; one event for each
        selection that is concerned, and of a charge alone one for the first selection."""
        selections, sums = dict(self.selections), self.tally
        for before, after in changes:
            on = selections.get(after.selection_id, Stakes()).plus(stakes(after))
            sums = sums.plus(tally(after))
            if before is not None:
                on, sums = on.minus(stakes(before)), sums.minus(tally(before))
            selections[after.selection_id] = on
        concerned = {after.selection_id for _, after in changes}
        kept = {name: on for name, on in selections.items() if on != Stakes()}
        changed_at = {name: now if name in concerned else self.since(name) for name in kept}
        changed = replace(
            self, selections=kept, changed_at=changed_at, tally=sums, version=self.version + 1, updated_at=now
        )
        if closed is not None:
            changed = changed.charged(closed)
        told = sorted(concerned) or sorted(kept)[:1]
        return replace(changed, events=tuple(changed._event(each) for each in told))

    def is_due(self, closed: Market) -> bool:
        """Whether the closed market has left something to do here: an open order, or a charge."""
        return bool(self.tally.orders_open) or self.charged(closed) is not self

    def charged(self, market: Market) -> "Position":
        """With the market's commission on what the user has won in it, once none of the orders is open.

        It is taken once: after the closing nothing else changes what was won, so what is nothing once stays so.
        """
        if self.tally.orders_open or self.market_commission:
            return self
        single = self.tally.commission
        amount = market.commission(self.tally.profit + single, single)
        if not amount:
            return self
        return replace(self, market_commission=amount, tally=self.tally.plus(of_commission(amount)))

    def _event(self, selection_id: str) -> Event:
        on = self.on(selection_id)
        data = {
            "user_id": self.user_id,
            "market_id": self.market_id,
            "selection_id": selection_id,
            "side": on.side and on.side.value,
            "exposure": str(on.exposure),
            "pnl": str(on.realised),
            "if_win": str(on.if_win),
            "if_lose": str(on.if_lose),
            "market_commission": str(self.market_commission),
        }
        return Event("position.updated", data)


def worst_case(selections: Iterable[Stakes], winners: int = 1, *, others: bool = True) -> Decimal:
    """What is lost at most, 0 or more, over all ways in which that many selections can win; hedges are netted.

    Σ of what each earns where it does not win, plus the smallest differences (if win - if lose), one for each winner.
    With `others` a winner may be a selection without open orders: its difference is 0.
    """
    found = [each for each in selections if each.back_stake or each.lay_stake]
    losing = sum((each.if_lose for each in found), ZERO)
    differences = sorted(each.if_win - each.if_lose for each in found)[:winners]
    winning = sum((min(each, ZERO) if others else each for each in differences), ZERO)
    return max(ZERO, -(losing + winning))


def fold(empty: Position, orders: Iterable[Order], market: Market | None) -> Position:
    """The position that these orders make, from nothing; charged where the market is closed."""
    found = empty
    for order in sorted(orders, key=lambda it: it.updated_at):
        found = found.changed([(None, order)], order.updated_at)
    return found.charged(market) if market is not None else found
