"""The answers about positions: selections, cash-outs, markets and totals. Money is text with 2 decimals."""

from datetime import datetime
from decimal import Decimal

from trimtab.betting.domain.odds import OddsLadder, odds_text
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import BetSide
from trimtab.betting.domain.totals import OrderTotals, SelectionExposure
from trimtab.betting.schemas.views import Answer, InsightView, OrderView, insight_view, money_text, order_view
from trimtab.betting.service.orders import PlacedOrder
from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time


class HedgeView(Model):
    """The order that makes the profit as equal for either result as whole cents allow; for a BACK, the cash-out."""

    side: BetSide
    """The side of the hedge."""
    odds: str
    """The odds of the hedge, on the ladder of the venue. Example: `2.80`"""
    stake: str
    """The stake of the hedge in money. Example: `12.50`"""
    if_win: str
    """The profit of the open orders and the hedge in money if the selection wins. Example: `2.50`"""
    if_lose: str
    """The profit of the open orders and the hedge in money if the selection loses. Example: `2.50`"""


class SelectionView(Model):
    """The orders of a user on one selection."""

    market_id: str
    selection_id: str
    side: BetSide | None
    """The net side of the open orders; null where `if_win` equals `if_lose`."""
    exposure: str
    """The sum of the largest possible losses of the open orders in money, not netted. Example: `10.00`"""
    pnl: str
    """The profit or loss of the settled orders in money, after their commission. Example: `0.00`"""
    back_stake: str
    """The sum of the stakes of open BACK orders in money. Example: `10.00`"""
    back_profit: str
    """The profit of the open BACK orders in money if the selection wins. Example: `25.00`"""
    lay_stake: str
    """The sum of the stakes of open LAY orders in money. Example: `0.00`"""
    lay_liability: str
    """The loss of the open LAY orders in money if the selection wins. Example: `0.00`"""
    if_win: str
    """The profit of the open orders in money if the selection wins, negative for a loss. Example: `25.00`"""
    if_lose: str
    """The profit of the open orders in money if the selection loses, negative for a loss. Example: `-10.00`"""
    cash_out: HedgeView | None
    """The order that makes the profit as equal for either result as whole cents allow; null where no order hedges."""
    updated_at: datetime


class MetricsView(Model):
    """Totals over orders. Cancelled orders count in no amount of money."""

    total_stake: str
    """The sum of the stakes of open and settled orders in money. Example: `120.00`"""
    total_payout: str
    """The sum of the payouts of settled orders in money. Example: `95.00`"""
    roi: str
    """The settled profit in percent of the settled stake, with 4 decimals, without void orders. Example: `4.1667`"""
    orders_placed: int
    """The number of orders, cancelled ones included. Example: `12`"""
    orders_won: int
    """The number of settled orders that earned anything before commission. Example: `4`"""
    win_rate: str
    """The orders that won in percent of the settled orders, with 4 decimals. Example: `40.0000`"""
    open_stake: str
    """The sum of the stakes of open orders in money. Example: `20.00`"""
    open_exposure: str
    """The sum of the largest possible losses of open orders in money. Example: `20.00`"""
    profit: str
    """The profit of all settled orders in money, after commission, void orders included. Example: `5.00`"""
    commission: str
    """The commission on orders and markets in money. Example: `1.00`"""
    settled_stake: str
    """The sum of the stakes of settled orders in money, void orders left out. Example: `100.00`"""
    settled_profit: str
    """The profit of settled orders in money, after commission, void orders left out. Example: `5.00`"""
    orders_open: int
    """The number of open orders. Example: `2`"""
    orders_settled: int
    """The number of settled orders, void orders left out. Example: `10`"""
    orders_void: int
    """The number of void orders. Example: `0`"""
    orders_cancelled: int
    """The number of cancelled orders. Example: `0`"""
    open_worst_case: str
    """The largest possible loss of the open orders in money, hedges netted, summed over the markets. Example:
    `20.00`"""


class UserMetricsView(MetricsView):
    """The totals of a user, over all markets or over a single market."""

    user_id: str
    market_id: str | None
    """The market that the totals are restricted to; null for all markets. Example: `match-1:winner`"""


class PositionView(Model):
    """The orders of a user in one market."""

    market_id: str
    exposure: str
    """The sum of the largest possible losses of the open orders in money, not netted. Example: `30.00`"""
    worst_case_exposure: str
    """The largest possible loss in money, hedges netted, if any selection can win. Example: `20.00`"""
    worst_case_exposure_of_these: str
    """The largest possible loss in money, hedges netted, if only the selections with open orders can win. Example:
    `5.00`"""
    market_commission: str
    """The commission on the net winnings in the market in money. Example: `0.00`"""
    selections: list[SelectionView]
    """The selections with orders, sorted by id."""
    metrics: MetricsView
    """The totals over the orders in the market."""
    updated_at: datetime


class PositionList(Model):
    """A page of positions, sorted by market."""

    items: list[PositionView]
    next_cursor: str | None


class PlacedView(Model):
    """A placed order with its position."""

    order: OrderView
    """The placed order."""
    position: SelectionView
    """The position of the user on the selection, the order included."""
    insight: InsightView | None
    """The newest insight on the selection; null without one."""
    retry_safe: bool
    """True where the request had an idempotency key: the same request again places no further order. Example: `true`"""


def placed_view(placed: PlacedOrder, ladder: OddsLadder, *, retry_safe: bool) -> Answer:
    """Return a `PlacedView`."""
    return {
        "order": order_view(placed.order),
        "position": selection_view(placed.position, placed.order.selection_id, ladder),
        "insight": insight_view(placed.order.insight),
        "retry_safe": retry_safe,
    }


def selection_view(
    position: BettingPosition, selection_id: str, ladder: OddsLadder, lay_odds: Decimal | None = None
) -> Answer:
    """Return a `SelectionView`; the cash-out is at `lay_odds`, or at the odds nearest to the average odds."""
    exposure = position.get_exposure(selection_id)
    return {
        "market_id": position.market_id,
        "selection_id": selection_id,
        "side": exposure.side and exposure.side.value,
        "exposure": money_text(exposure.exposure),
        "pnl": money_text(exposure.realised),
        "back_stake": money_text(exposure.back_stake),
        "back_profit": money_text(exposure.back_profit),
        "lay_stake": money_text(exposure.lay_stake),
        "lay_liability": money_text(exposure.lay_liability),
        "if_win": money_text(exposure.if_win),
        "if_lose": money_text(exposure.if_lose),
        "cash_out": _hedge_view(exposure, ladder, lay_odds),
        "updated_at": format_time(position.get_changed_at(selection_id)),
    }


def _hedge_view(exposure: SelectionExposure, ladder: OddsLadder, odds: Decimal | None) -> Answer | None:
    if odds is None and exposure.own_odds is not None:
        odds = ladder.nearest(exposure.own_odds)
    hedge = exposure.compute_hedge(odds) if odds is not None else None
    if hedge is None:
        return None
    return {
        "side": hedge.side.value,
        "odds": odds_text(hedge.odds),
        "stake": money_text(hedge.stake),
        "if_win": money_text(hedge.if_win),
        "if_lose": money_text(hedge.if_lose),
    }


def position_view(
    position: BettingPosition, winners: int, ladder: OddsLadder, lay_odds: Decimal | None = None
) -> Answer:
    """Return a `PositionView`; `winners` is the number of winning selections of the market."""
    return {
        "market_id": position.market_id,
        "exposure": money_text(position.exposure),
        "worst_case_exposure": money_text(position.compute_worst_case(winners)),
        "worst_case_exposure_of_these": money_text(position.compute_worst_case(winners, others=False)),
        "market_commission": money_text(position.market_commission),
        "selections": [selection_view(position, each, ladder, lay_odds) for each in sorted(position.selections)],
        "metrics": metrics_view(position.totals),
        "updated_at": format_time(position.updated_at),
    }


def metrics_view(totals: OrderTotals) -> Answer:
    """Return a `MetricsView`."""
    return {
        "total_stake": money_text(totals.total_stake),
        "total_payout": money_text(totals.total_payout),
        "roi": str(totals.roi),
        "orders_placed": totals.orders_placed,
        "orders_won": totals.orders_won,
        "win_rate": str(totals.win_rate),
        "open_stake": money_text(totals.open_stake),
        "open_exposure": money_text(totals.open_exposure),
        "profit": money_text(totals.profit),
        "commission": money_text(totals.commission),
        "settled_stake": money_text(totals.settled_stake),
        "settled_profit": money_text(totals.settled_profit),
        "orders_open": totals.orders_open,
        "orders_settled": totals.orders_settled,
        "orders_void": totals.orders_void,
        "orders_cancelled": totals.orders_cancelled,
        "open_worst_case": money_text(totals.open_worst_case),
    }


def user_metrics_view(user_id: str, market_id: str | None, totals: OrderTotals) -> Answer:
    """Return a `UserMetricsView`."""
    return {"user_id": user_id, "market_id": market_id, **metrics_view(totals)}
