"""The answers of the betting routes and RPCs: money and odds are text with 2 places."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.orders import BetOrder, BetStatus, Settlement
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import BetSide, ResultKind
from trimtab.betting.domain.totals import OrderTotals, SelectionExposure
from trimtab.betting.service.orders import PlacedOrder
from trimtab.betting.service.settlements import MarketSettlement
from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain, to_money

Answer = dict[str, Any]


class SettlementStatus(StrEnum):
    """The status of the settlement of a market."""

    SETTLING = "SETTLING"
    SETTLED = "SETTLED"


class InsightView(Model):
    """The newest insight on the selection when the order was placed."""

    implied_probability: str
    expected_value: str
    momentum: str
    as_of: datetime


class SettlementView(Model):
    """The settlement of an order. `due` is the payout that follows from the result; a factor is a fraction: `1/2`."""

    result: ResultKind
    dead_heat_factor: str | None
    due: str
    override_reason: str | None
    settled_by: str
    with_market: bool


class OrderView(Model):
    """An order. `exposure` is the largest possible loss; `pnl` is payout - exposure - commission."""

    id: str
    user_id: str
    market_id: str
    selection_id: str
    side: BetSide
    stake: str
    odds: str
    exposure: str
    status: BetStatus
    payout: str | None
    pnl: str | None
    commission: str | None
    settlement: SettlementView | None
    insight: InsightView | None
    created_at: datetime
    settled_at: datetime | None


class OrderPage(Model):
    """A page of orders, newest first."""

    items: list[OrderView]
    next_cursor: str | None


class HedgeView(Model):
    """The order that makes the profit the same for either result; for BACK orders alone, the cash-out."""

    side: BetSide
    odds: str
    stake: str


class SelectionView(Model):
    """The orders of a user on one selection.

    `exposure` is the sum of the largest possible losses of the open orders, `if_win` and `if_lose` their profit for
    either result, `pnl` the profit and loss of the settled orders. `side` is the net side, null if `if_win` equals
    `if_lose`.
    """

    market_id: str
    selection_id: str
    side: BetSide | None
    exposure: str
    pnl: str
    back_stake: str
    back_profit: str
    lay_stake: str
    lay_liability: str
    if_win: str
    if_lose: str
    cash_out: HedgeView | None
    updated_at: datetime


class MetricsView(Model):
    """Totals over orders.

    `roi` is the settled profit in percent of the settled stake, `win_rate` the percentage of settled orders that won;
    both leave void orders out. Cancelled orders count in no stake.
    """

    total_stake: str
    total_payout: str
    roi: str
    orders_placed: int
    orders_won: int
    win_rate: str
    open_stake: str
    open_exposure: str
    profit: str
    commission: str
    settled_stake: str
    settled_profit: str
    orders_open: int
    orders_settled: int
    orders_void: int
    orders_cancelled: int


class UserMetricsView(MetricsView):
    """The totals of a user, over all markets or over a single market."""

    user_id: str
    market_id: str | None


class PositionView(Model):
    """The orders of a user in one market.

    `worst_case_exposure` is the largest possible loss, hedges netted, if any selection can win;
    `worst_case_exposure_of_these` if only the selections with open orders can win.
    """

    market_id: str
    exposure: str
    worst_case_exposure: str
    worst_case_exposure_of_these: str
    market_commission: str
    selections: list[SelectionView]
    metrics: MetricsView
    updated_at: datetime


class PositionList(Model):
    """A page of positions, sorted by market."""

    items: list[PositionView]
    next_cursor: str | None


class PlacedView(Model):
    """A placed order, the position of its user on the selection, and the newest insight on the selection.

    `retry_safe` is true if the request had an idempotency key.
    """

    order: OrderView
    position: SelectionView
    insight: InsightView | None
    retry_safe: bool


class MarketLinks(Model):
    """Links of a market settlement."""

    self: str


class MarketSettlementView(Model):
    """The settlement of a market: SETTLED once every order is settled.

    While it is SETTLING, `orders` and `orders_open` are read from an index: eventually consistent, and a lower bound
    above some 20,000 orders. Once SETTLED, `orders` is exact.
    """

    market_id: str
    status: SettlementStatus
    winners: list[str]
    voids: list[str]
    commission_rate: str
    orders: int
    orders_open: int
    closed_by: str
    closed_at: datetime
    links: MarketLinks


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


def market_settlement_view(settlement: MarketSettlement) -> Answer:
    """Return a `MarketSettlementView`."""
    market = settlement.market
    status = SettlementStatus.SETTLED if settlement.is_done else SettlementStatus.SETTLING
    return {
        "market_id": market.market_id,
        "status": status.value,
        "winners": list(market.winners),
        "voids": list(market.voids),
        "commission_rate": plain(market.commission_rate),
        "orders": settlement.progress.orders,
        "orders_open": settlement.progress.open,
        "closed_by": market.closed_by,
        "closed_at": format_time(market.closed_at),
        "links": {"self": f"/markets/{market.market_id}/settlement"},
    }


def _money(number: Decimal) -> str:
    return str(to_money(number))
