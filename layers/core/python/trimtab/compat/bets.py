"""Bodies and answers of the earlier betting service. There `won` says that the bet won, not the selection."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, StrictBool

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.orders import BetOrder, NewOrder
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import BetSide
from trimtab.betting.domain.totals import OrderTotals
from trimtab.betting.schemas.requests import Odds, SettleOrder
from trimtab.compat.api import exact
from trimtab.compat.fields import AnyId, CompatBody
from trimtab.contracts.fields import Money
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import ZERO, to_money


class PlaceBet(CompatBody):
    """A bet to place."""

    user_id: AnyId
    market_id: AnyId
    selection_id: AnyId
    side: BetSide
    stake: Annotated[Money, Field(gt=0)]
    odds: Odds

    def to_domain(self) -> NewOrder:
        """Return the order."""
        return NewOrder(self.user_id, self.market_id, self.selection_id, self.side, self.stake, self.odds)


class SettleBet(CompatBody):
    """The result of a bet; a `payout` has to equal the payout that follows from the result."""

    won: StrictBool
    """True where the bet won: a BACK whose selection won, or a LAY whose selection lost."""
    payout: Annotated[Money, Field(ge=0)] | None = None

    def to_settlement(self, side: BetSide) -> SettleOrder:
        """Return the settlement of an order of this side by the result of its selection."""
        selection_won = self.won if side is BetSide.BACK else not self.won
        return SettleOrder(won=selection_won, payout=self.payout)


def order_answer(order: BetOrder) -> dict[str, Any]:
    """Return an order; the payout is 0 and `settled_at` is left out before the settlement."""
    settled = {"settled_at": format_time(order.settlement.settled_at)} if order.settlement else {}
    return {
        "id": order.order_id,
        "user_id": order.user_id,
        "market_id": order.market_id,
        "selection_id": order.selection_id,
        "side": order.side.value,
        "stake": _amount(order.stake),
        "odds": exact(order.odds),
        "status": order.status.value,
        "payout": _amount(order.payout or ZERO),
        "created_at": format_time(order.created_at),
        **settled,
    }


def position_answer(position: BettingPosition, selection_id: str, side: BetSide | None = None) -> dict[str, Any]:
    """Return the position on a selection: the exposure of open orders, and the profit of settled orders.

    The side is the net side of the open orders, else the given one; null where there is neither.
    """
    exposure = position.get_exposure(selection_id)
    shown = exposure.side or side
    return {
        "user_id": position.user_id,
        "market_id": position.market_id,
        "selection_id": selection_id,
        "side": shown and shown.value,
        "exposure": _amount(exposure.exposure),
        "pnl": _amount(exposure.realised),
        "updated_at": format_time(position.get_changed_at(selection_id)),
    }


def insight_answer(insight: Insight | None) -> dict[str, Any] | None:
    """Return an insight, null where there is none."""
    if insight is None:
        return None
    return {
        "market_id": insight.market_id,
        "selection_id": insight.selection_id,
        "implied_probability": exact(insight.implied_probability),
        "expected_value": exact(insight.expected_value),
        "momentum": exact(insight.momentum),
    }


def metrics_answer(totals: OrderTotals) -> dict[str, Any]:
    """Return the totals of a user; `roi` is in percent."""
    return {
        "total_stake": _amount(totals.total_stake),
        "total_payout": _amount(totals.total_payout),
        "roi": exact(totals.roi),
        "orders_placed": totals.orders_placed,
        "orders_won": totals.orders_won,
    }


def _amount(number: Decimal) -> Decimal:
    return exact(to_money(number))
