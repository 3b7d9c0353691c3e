"""The answers about orders, over REST and RPC. Money is text with 2 decimals."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.odds import odds_text
from trimtab.betting.domain.orders import BetOrder, BetStatus, Resettlement, Settlement
from trimtab.betting.domain.results import BetSide, ResultKind
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


class ResettlementView(Model):
    """A correction of a settled order."""

    reason: str
    """The reason of the correction. Example: `The winner was disqualified.`"""
    resettled_by: str
    """The subject of the token that corrected the order or the market. Example: `trading-desk`"""
    resettled_at: datetime
    """The time of the correction (UTC). Example: `2026-11-20T15:30:00Z`"""
    result_before: ResultKind
    """The result before the correction."""
    payout_before: str
    """The payout before the correction in money. Example: `35.00`"""
    payout_change: str
    """The change of the payout in money, negative where the payout was reduced. Example: `-35.00`"""
    commission_change: str
    """The change of the commission on the order in money. Example: `0.00`"""


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
    """Decimal odds with 2 decimals, or with 3 where the venue has them. Example: `3.50`"""
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
    """The time of the newest settlement (UTC); null before."""
    resettlements: list[ResettlementView]
    """The corrections of the settlement, oldest first."""


class OrderPage(Model):
    """A page of orders, newest first."""

    items: list[OrderView]
    next_cursor: str | None


def order_view(order: BetOrder) -> Answer:
    """Return an `OrderView`."""
    settlement, payout, pnl = order.settlement, order.payout, order.pnl
    return {
        "id": order.order_id,
        "user_id": order.user_id,
        "market_id": order.market_id,
        "selection_id": order.selection_id,
        "side": order.side.value,
        "stake": money_text(order.stake),
        "odds": odds_text(order.odds),
        "exposure": money_text(order.exposure),
        "status": order.status.value,
        "payout": None if payout is None else money_text(payout),
        "pnl": None if pnl is None else money_text(pnl),
        "commission": settlement and money_text(settlement.commission),
        "settlement": settlement and _settlement_view(settlement),
        "insight": insight_view(order.insight),
        "created_at": format_time(order.created_at),
        "settled_at": settlement and format_time(settlement.settled_at),
        "resettlements": [_resettlement_view(each) for each in order.resettlements],
    }


def _resettlement_view(entry: Resettlement) -> Answer:
    return {
        "reason": entry.reason,
        "resettled_by": entry.by,
        "resettled_at": format_time(entry.at),
        "result_before": entry.replaced.result.value,
        "payout_before": money_text(entry.replaced.payout),
        "payout_change": money_text(entry.payout_change),
        "commission_change": money_text(entry.commission_change),
    }


def _settlement_view(settlement: Settlement) -> Answer:
    return {
        "result": settlement.result.value,
        "dead_heat_factor": settlement.dead_heat_factor,
        "due": money_text(settlement.due),
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


def money_text(amount: Decimal) -> str:
    """Return an amount of money with 2 decimals."""
    return str(to_money(amount))
