"""The answers that the betting routes give."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.orders import Order, OrderStatus, Settlement
from trimtab.betting.domain.positions import Position
from trimtab.betting.domain.results import Result, Side
from trimtab.betting.domain.tally import Stakes, Tally
from trimtab.betting.service.orders import Placed
from trimtab.betting.service.settlements import Settling
from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain, to_money

Answer = dict[str, Any]


class InsightView(Model):
    """What was thought of the selection when the order was placed."""

    implied_probability: str
    expected_value: str
    momentum: str
    as_of: datetime


class SettlementView(Model):
    """How an order was settled: `due` is the payout that follows from the result. A factor is a fraction: `1/2`."""

    result: Result
    dead_heat_factor: str | None
    due: str
    override_reason: str | None
    settled_by: str
    with_market: bool


class OrderView(Model):
    """An order. `exposure` is what it can lose; `pnl` is payout - exposure - commission."""

    id: str
    user_id: str
    market_id: str
    selection_id: str
    side: Side
    stake: str
    odds: str
    exposure: str
    status: OrderStatus
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
    """The bet after which the result does not matter any more; of backs alone it is the cash-out lay stake."""

    side: Side
    odds: str
    stake: str


class SelectionView(Model):
    """A user's orders on one selection: `exposure`, `if_win` and `if_lose` of the open ones, nothing netted in the
    first; `pnl` of the settled. `side` is null where the result does not matter."""

    market_id: str
    selection_id: str
    side: Side | None
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
    """Sums over orders. `roi` is settled profit in percent of settled stake, void orders left out; `win_rate` the
    percentage of settled orders that won. Cancelled orders count in no stake."""

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
    """The sums of a user, over all markets or over one."""

    user_id: str
    market_id: str | None


class PositionView(Model):
    """A user's orders on one market. `worst_case_exposure` is what is lost at most, hedges netted, where any
    selection may win; `worst_case_exposure_of_these` where only those with open orders can."""

    market_id: str
    exposure: str
    worst_case_exposure: str
    worst_case_exposure_of_these: str
    market_commission: str
    selections: list[SelectionView]
    metrics: MetricsView
    updated_at: datetime


class PositionList(Model):
    """A page of positions, by market."""

    items: list[PositionView]
    next_cursor: str | None


class PlacedView(Model):
    """The order, its user's position on the selection with it, and the insight that was current."""

    order: OrderView
    position: SelectionView
    insight: InsightView | None
    retry_safe: bool


class MarketLinks(Model):
    """Where to read on."""

    self: str


class MarketSettlementView(Model):
    """The settlement of a market. It is SETTLED once every order is: then `orders` is exact. While it is SETTLING the
    numbers of orders are those of an index: a moment late, and of more than some 20,000 a lower bound."""

    market_id: str
    status: str
    winners: list[str]
    voids: list[str]
    commission_rate: str
    orders: int
    orders_open: int
    closed_by: str
    closed_at: datetime
    links: MarketLinks


def order_view(it: Order) -> Answer:
    """See `OrderView`."""
    return {
        "id": it.order_id,
        "user_id": it.user_id,
        "market_id": it.market_id,
        "selection_id": it.selection_id,
        "side": it.side.value,
        "stake": _money(it.stake),
        "odds": _money(it.odds),
        "exposure": _money(it.exposure),
        "status": it.status.value,
        "payout": None if it.payout is None else _money(it.payout),
        "pnl": None if it.pnl is None else _money(it.pnl),
        "commission": it.settlement and _money(it.settlement.commission),
        "settlement": it.settlement and _settlement_view(it.settlement),
        "insight": insight_view(it.insight),
        "created_at": format_time(it.created_at),
        "settled_at": it.settlement and format_time(it.settlement.at),
    }


def _settlement_view(it: Settlement) -> Answer:
    factor = it.verdict.dead_heat_factor
    return {
        "result": it.verdict.result.value,
        "dead_heat_factor": None if factor is None else str(factor),
        "due": _money(it.due),
        "override_reason": it.override_reason,
        "settled_by": it.by,
        "with_market": it.with_market,
    }


def insight_view(it: Insight | None) -> Answer | None:
    """See `InsightView`."""
    if it is None:
        return None
    return {
        "implied_probability": plain(it.implied_probability),
        "expected_value": plain(it.expected_value),
        "momentum": plain(it.momentum),
        "as_of": format_time(it.as_of),
    }


def placed_view(it: Placed, *, retry_safe: bool) -> Answer:
    """See `PlacedView`."""
    return {
        "order": order_view(it.order),
        "position": selection_view(it.position, it.order.selection_id),
        "insight": insight_view(it.order.insight),
        "retry_safe": retry_safe,
    }


def selection_view(position: Position, selection_id: str, lay_odds: Decimal | None = None) -> Answer:
    """See `SelectionView`; the cash-out is at `lay_odds`, or at the odds at which the bets were placed."""
    on = position.on(selection_id)
    return {
        "market_id": position.market_id,
        "selection_id": selection_id,
        "side": on.side and on.side.value,
        "exposure": _money(on.exposure),
        "pnl": _money(on.realised),
        "back_stake": _money(on.back_stake),
        "back_profit": _money(on.back_profit),
        "lay_stake": _money(on.lay_stake),
        "lay_liability": _money(on.lay_liability),
        "if_win": _money(on.if_win),
        "if_lose": _money(on.if_lose),
        "cash_out": _hedge_view(on, lay_odds),
        "updated_at": format_time(position.since(selection_id)),
    }


def _hedge_view(on: Stakes, odds: Decimal | None) -> Answer | None:
    odds = odds or on.own_odds
    hedge = on.hedge(odds) if odds is not None else None
    if hedge is None or odds is None:
        return None
    side, stake = hedge
    return {"side": side.value, "odds": _money(odds), "stake": _money(stake)}


def position_view(it: Position, winners: int = 1, lay_odds: Decimal | None = None) -> Answer:
    """See `PositionView`."""
    return {
        "market_id": it.market_id,
        "exposure": _money(it.exposure),
        "worst_case_exposure": _money(it.worst_case(winners)),
        "worst_case_exposure_of_these": _money(it.worst_case(winners, others=False)),
        "market_commission": _money(it.market_commission),
        "selections": [selection_view(it, selection_id, lay_odds) for selection_id in sorted(it.selections)],
        "metrics": metrics_view(it.tally),
        "updated_at": format_time(it.updated_at),
    }


def metrics_view(it: Tally) -> Answer:
    """See `MetricsView`."""
    return {
        "total_stake": _money(it.total_stake),
        "total_payout": _money(it.total_payout),
        "roi": str(it.roi),
        "orders_placed": it.orders_placed,
        "orders_won": it.orders_won,
        "win_rate": str(it.win_rate),
        "open_stake": _money(it.open_stake),
        "open_exposure": _money(it.open_exposure),
        "profit": _money(it.profit),
        "commission": _money(it.commission),
        "settled_stake": _money(it.settled_stake),
        "settled_profit": _money(it.settled_profit),
        "orders_open": it.orders_open,
        "orders_settled": it.orders_settled,
        "orders_void": it.orders_void,
        "orders_cancelled": it.orders_cancelled,
    }


def user_metrics_view(user_id: str, market_id: str | None, it: Tally) -> Answer:
    """See `UserMetricsView`."""
    return {"user_id": user_id, "market_id": market_id, **metrics_view(it)}


def settling_view(it: Settling) -> Answer:
    """See `MarketSettlementView`."""
    return {
        "market_id": it.market.market_id,
        "status": "SETTLED" if it.is_done else "SETTLING",
        "winners": list(it.market.winners),
        "voids": list(it.market.voids),
        "commission_rate": plain(it.market.commission_rate),
        "orders": it.progress.orders,
        "orders_open": it.progress.open,
        "closed_by": it.market.by,
        "closed_at": format_time(it.market.closed_at),
        "links": {"self": f"/markets/{it.market.market_id}/settlement"},
    }


def _money(number: Decimal) -> str:
    return str(to_money(number))
