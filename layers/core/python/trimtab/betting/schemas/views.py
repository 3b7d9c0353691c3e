"""The answers of the betting routes and RPCs: money and odds are text with 2 places."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.orders import BetOrder, BetStatus, Settlement
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import BetSide, ResultKind
from trimtab.betting.domain.totals import OrderTotals, SelectionExposure
from trimtab.betting.service.orders import PlacedOrder
from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain, to_money

Answer = dict[str, Any]


class InsightView(Model):
    """A provider's estimate for a selection: the newest one."""

    implied_probability: str
    """The probability that the selection wins, above 0 and below 1. Example: `0.31`"""
    expected_value: str
    """The expected profit of backing the selection, per unit of stake; the opposite for a LAY. Example: `0.085`"""
    momentum: str
    """The provider's measure of the recent change; Trimtab stores it as it is. Example: `0.4`"""
    as_of: datetime
    """The time of the estimate (UTC). Example: `2026-11-20T15:30:00Z`"""


class SettlementView(Model):
    """The settlement of an order."""

    result: ResultKind
    """The result of the selection."""
    dead_heat_factor: str | None
    """The part of each stake that won a dead heat, as a reduced fraction; null for other results. Example: `1/3`"""
    due: str
    """The payout that follows from the result in money. Example: `35.00`"""
    override_reason: str | None
    """The reason for another payout than `due`; null where both are equal. Example: `Goodwill`"""
    settled_by: str
    """The subject of the token that settled the order or the market. Example: `trading-desk`"""
    with_market: bool
    """True where the order was settled with its market: the commission is then charged on the market. Example:
    `false`"""
    reduction_factor: str
    """The percentage by which the winnings were reduced for a non-runner; `0` without a reduction. Example: `20`"""


class OrderView(Model):
    """A betting order."""

    id: str
    """The id of the order, a UUID. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    user_id: str
    market_id: str
    selection_id: str
    side: BetSide
    stake: str
    """The backer's stake in money, with 2 decimals. Example: `10.00`"""
    odds: str
    """Decimal odds with 2 decimals. Example: `3.50`"""
    exposure: str
    """The largest possible loss in money: the stake of a BACK, stake times (odds - 1) of a LAY. Example: `10.00`"""
    status: BetStatus
    """`OPEN`, then `SETTLED` or `CANCELLED`."""
    payout: str | None
    """The payout in money, the returned exposure included; null before the settlement. Example: `35.00`"""
    pnl: str | None
    """The profit or loss in money: payout less exposure less commission; null before the settlement. Example:
    `25.00`"""
    commission: str | None
    """The commission on the order in money; null before the settlement. Example: `0.00`"""
    settlement: SettlementView | None
    """The result and its author; null before the settlement."""
    insight: InsightView | None
    """The newest insight on the selection when the order was placed; null without one."""
    created_at: datetime
    settled_at: datetime | None
    """The time of the settlement (UTC); null before."""


class OrderPage(Model):
    """A page of orders, newest first."""

    items: list[OrderView]
    next_cursor: str | None


class HedgeView(Model):
    """The order that makes the profit the same for either result; for BACK orders alone, the cash-out."""

    side: BetSide
    """The side of the hedge."""
    odds: str
    """The odds of the hedge, with 2 decimals. Example: `2.80`"""
    stake: str
    """The stake of the hedge in money. Example: `12.50`"""


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
    """The order that makes the profit the same for either result; null where there is nothing to hedge."""
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


def order_view(order: BetOrder) -> Answer:
    """Return an `OrderView`."""
    settlement, payout, pnl = order.settlement, order.payout, order.pnl
    return {
        "id": order.order_id,
        "user_id": order.user_id,
        "market_id": order.market_id,
        "selection_id": order.selection_id,
        "side": order.side.value,
        "stake": _money(order.stake),
        "odds": _money(order.odds),
        "exposure": _money(order.exposure),
        "status": order.status.value,
        "payout": None if payout is None else _money(payout),
        "pnl": None if pnl is None else _money(pnl),
        "commission": settlement and _money(settlement.commission),
        "settlement": settlement and _settlement_view(settlement),
        "insight": insight_view(order.insight),
        "created_at": format_time(order.created_at),
        "settled_at": settlement and format_time(settlement.settled_at),
    }


def _settlement_view(settlement: Settlement) -> Answer:
    return {
        "result": settlement.result.value,
        "dead_heat_factor": settlement.dead_heat_factor,
        "due": _money(settlement.due),
        "override_reason": settlement.override_reason,
        "settled_by": settlement.settled_by,
        "with_market": settlement.with_market,
        "reduction_factor": plain(settlement.reduction_factor),
    }


def insight_view(insight: Insight | None) -> Answer | None:
    """Return an `InsightView`, or None without an insight."""
    if insight is None:
        return None
    return {
        "implied_probability": plain(insight.implied_probability),
        "expected_value": plain(insight.expected_value),
        "momentum": plain(insight.momentum),
        "as_of": format_time(insight.as_of),
    }


def placed_view(placed: PlacedOrder, *, retry_safe: bool) -> Answer:
    """Return a `PlacedView`."""
    return {
        "order": order_view(placed.order),
        "position": selection_view(placed.position, placed.order.selection_id),
        "insight": insight_view(placed.order.insight),
        "retry_safe": retry_safe,
    }


def selection_view(position: BettingPosition, selection_id: str, lay_odds: Decimal | None = None) -> Answer:
    """Return a `SelectionView`; the cash-out is at `lay_odds`, or at the average odds of the open orders."""
    exposure = position.get_exposure(selection_id)
    return {
        "market_id": position.market_id,
        "selection_id": selection_id,
        "side": exposure.side and exposure.side.value,
        "exposure": _money(exposure.exposure),
        "pnl": _money(exposure.realised),
        "back_stake": _money(exposure.back_stake),
        "back_profit": _money(exposure.back_profit),
        "lay_stake": _money(exposure.lay_stake),
        "lay_liability": _money(exposure.lay_liability),
        "if_win": _money(exposure.if_win),
        "if_lose": _money(exposure.if_lose),
        "cash_out": _hedge_view(exposure, lay_odds),
        "updated_at": format_time(position.get_changed_at(selection_id)),
    }


def _hedge_view(exposure: SelectionExposure, odds: Decimal | None) -> Answer | None:
    odds = odds or exposure.own_odds
    hedge = exposure.compute_hedge(odds) if odds is not None else None
    if hedge is None or odds is None:
        return None
    side, stake = hedge
    return {"side": side.value, "odds": _money(odds), "stake": _money(stake)}


def position_view(position: BettingPosition, winners: int = 1, lay_odds: Decimal | None = None) -> Answer:
    """Return a `PositionView`; `winners` is the number of winning selections of the market."""
    return {
        "market_id": position.market_id,
        "exposure": _money(position.exposure),
        "worst_case_exposure": _money(position.compute_worst_case(winners)),
        "worst_case_exposure_of_these": _money(position.compute_worst_case(winners, others=False)),
        "market_commission": _money(position.market_commission),
        "selections": [selection_view(position, each, lay_odds) for each in sorted(position.selections)],
        "metrics": metrics_view(position.totals),
        "updated_at": format_time(position.updated_at),
    }


def metrics_view(totals: OrderTotals) -> Answer:
    """Return a `MetricsView`."""
    return {
        "total_stake": _money(totals.total_stake),
        "total_payout": _money(totals.total_payout),
        "roi": str(totals.roi),
        "orders_placed": totals.orders_placed,
        "orders_won": totals.orders_won,
        "win_rate": str(totals.win_rate),
        "open_stake": _money(totals.open_stake),
        "open_exposure": _money(totals.open_exposure),
        "profit": _money(totals.profit),
        "commission": _money(totals.commission),
        "settled_stake": _money(totals.settled_stake),
        "settled_profit": _money(totals.settled_profit),
        "orders_open": totals.orders_open,
        "orders_settled": totals.orders_settled,
        "orders_void": totals.orders_void,
        "orders_cancelled": totals.orders_cancelled,
    }


def user_metrics_view(user_id: str, market_id: str | None, totals: OrderTotals) -> Answer:
    """Return a `UserMetricsView`."""
    return {"user_id": user_id, "market_id": market_id, **metrics_view(totals)}


def _money(number: Decimal) -> str:
    return str(to_money(number))
