"""The answer to the settlement of an order: the order with its own result, the position and the totals of the user."""

from enum import StrEnum

from trimtab.betting.domain.odds import OddsLadder
from trimtab.betting.domain.orders import BetOrder
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import ResultKind
from trimtab.betting.domain.totals import OrderTotals
from trimtab.betting.schemas.position_views import SelectionView, UserMetricsView, selection_view, user_metrics_view
from trimtab.betting.schemas.views import Answer, OrderView, order_view


class OrderResult(StrEnum):
    """The result of an order before commission: a profit, a loss, or the exposure returned."""

    WON = "won"
    LOST = "lost"
    RETURNED = "returned"


class SettledOrderView(OrderView):
    """A settled order with its position, and the totals of the user."""

    selection_won: bool | None
    """True where the selection won, false where the selection lost; null for every other result. A LAY wins where the
    selection loses: see `order_result`. Example: `true`"""
    order_result: OrderResult
    """The result of the order itself before commission: `won`, `lost`, or `returned` for neither profit nor loss."""
    position: SelectionView
    """The position of the user on the selection after the settlement."""
    metrics: UserMetricsView
    """The totals of the user over all markets after the settlement."""


def settled_order_view(order: BetOrder, position: BettingPosition, totals: OrderTotals, ladder: OddsLadder) -> Answer:
    """Return a `SettledOrderView`."""
    result = order.settlement and order.settlement.result
    return {
        **order_view(order),
        "selection_won": {ResultKind.WON: True, ResultKind.LOST: False}.get(result) if result else None,
        "order_result": _result_of(order).value,
        "position": selection_view(position, order.selection_id, ladder),
        "metrics": user_metrics_view(order.user_id, None, totals),
    }


def _result_of(order: BetOrder) -> OrderResult:
    if order.has_won:
        return OrderResult.WON
    is_loss = order.payout is not None and order.payout < order.exposure
    return OrderResult.LOST if is_loss else OrderResult.RETURNED
