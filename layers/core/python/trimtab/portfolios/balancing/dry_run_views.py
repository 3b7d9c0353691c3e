"""Answers of the routes that decide without storing: dry runs and price triggers."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import money_text
from trimtab.kernel.money import QUANTITY_PLACES, plain, to_places
from trimtab.portfolios.balancing.check_decision import NOT_WATCHED, CheckResult
from trimtab.portfolios.balancing.current_limits import current_limits
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs
from trimtab.portfolios.balancing.dry_run import DryRun
from trimtab.portfolios.balancing.price_bounds import PriceBounds, bounds_around
from trimtab.portfolios.balancing.views import CheckReasonView, reason_members
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.views import PercentText, percent_text
from trimtab.portfolios.rebalancing.drift import Leg, measure_drift
from trimtab.portfolios.rebalancing.journal_views import SkippedOrderView
from trimtab.portfolios.rebalancing.orders import PlannedOrder, SkippedLeg

Answer = dict[str, Any]


class DryRunOrderView(Model):
    """An order that would be sent."""

    symbol: str
    side: str
    """`BUY` or `SELL`. Example: `BUY`"""
    quantity: str
    """The size of the order in units, with 9 decimals. Example: `2.500000000`"""
    price: str
    """The planning price of one unit in money: the present quote. Example: `150.25`"""
    limit_price: str
    """The worst price of a fill, of one unit in money. Example: `151.75`"""
    notional: str
    """The value of the order at the planning price in money. Example: `375.63`"""
    fee: str
    """The estimated fee of the order in money. Example: `1.00`"""


class DryRunWeightView(Model):
    """The weights of an asset."""

    before: PercentText
    """The present weight in percent, with 4 decimals."""
    target: PercentText
    """The target weight in percent, with 4 decimals."""
    after: PercentText
    """The weight after the orders at the planning prices, in percent with 4 decimals."""


class DryRunView(Model):
    """The rebalance that a run would execute now; nothing is stored."""

    portfolio_id: str
    at: datetime
    """The time of the decision (UTC)."""
    mode: Mode
    """The trades that were allowed: `full`, `invest_cash` or `sell_only`."""
    reason: CheckReasonView
    """The reason for which orders are planned, or none are."""
    orders: list[DryRunOrderView]
    """The orders that would be sent."""
    skipped: list[SkippedOrderView]
    """The changes towards the target without an order."""
    fees: str
    """The sum of the estimated fees in money. Example: `2.00`"""
    realised_profit: dict[str, str]
    """The profit by sold symbol at average cost, after fees, in money."""
    weights: dict[str, DryRunWeightView]
    """The weights by asset, cash as `$cash`; empty where the portfolio cannot be valued."""
    drift_before: str | None
    """The present drift of the portfolio, half the sum of all drifts, in percent; null where the portfolio cannot be
    valued. Example: `6.2500`"""
    drift_after: str | None
    """The drift after the orders at the planning prices, in percent; null where the portfolio cannot be valued.
    Example: `0.0100`"""
    within_band_after: bool | None
    """True where every weight would be inside its band after the orders; null where nothing is planned. Example:
    `true`"""
    valid_while: str | None
    """A relative move of all prices (0.01 is 1 %) up to which the same symbols are traded on the same sides, or still
    nothing is traded; 0 where the plan may change at any move, null where the portfolio cannot be valued. Example:
    `0.01`"""


class PriceTriggerView(Model):
    """The prices of a symbol at which the portfolio is decided again."""

    symbol: str
    price: str | None
    """The present price of one unit in money; null where the symbol has no usable price. Example: `150.25`"""
    at_or_below: str | None
    """The price at or below which the portfolio is decided again; null where any quote leads to a decision. Example:
    `139.50`"""
    at_or_above: str | None
    """The price at or above which the portfolio is decided again; null where any quote leads to a decision. Example:
    `161.75`"""
    limit: str | None
    """The code of the reason for which the symbol has no usable price or may not be traded; null where it may be
    traded. Example: `no_quote`"""


class TriggersView(Model):
    """The prices at which the portfolio would act. While every price stays strictly between, nothing is traded."""

    portfolio_id: str
    watched: bool
    """False for a portfolio that only a person rebalances. Example: `true`"""
    reason: CheckReasonView
    """The reason of the present decision."""
    next_check_at: datetime | None
    """The time of the next check that no price asks for (UTC); null where none is due."""
    triggers: list[PriceTriggerView]
    """The prices by symbol, ordered by symbol."""


def dry_run_view(run: DryRun) -> Answer:
    """Return the members of a `DryRunView`."""
    plan, currency = run.result.plan, run.inputs.portfolio.currency
    after = measure_drift(run.legs) if run.legs else None
    return {
        "portfolio_id": run.inputs.portfolio.portfolio_id,
        "at": format_time(run.inputs.now),
        "mode": run.inputs.mode.value,
        "reason": reason_members(run.result.reason),
        "orders": [_order_view(order, fee) for order, fee in zip(run.orders, run.fees, strict=True)],
        "skipped": [_skipped_view(leg) for leg in run.result.skipped],
        "fees": money_text(sum(run.fees, Decimal(0)), currency),
        "realised_profit": {symbol: money_text(profit, currency) for symbol, profit in run.realised_profit.items()},
        "weights": {leg.asset: _weight_view(leg) for leg in run.legs},
        "drift_before": None if after is None else percent_text(plan.drift_before if plan else after),
        "drift_after": None if after is None else percent_text(plan.drift_after if plan else after),
        "within_band_after": plan.within_band_after if plan else None,
        "valid_while": None if run.valid_while is None else plain(run.valid_while),
    }


def triggers_view(inputs: DecisionInputs, result: CheckResult) -> Answer:
    """Return the members of a `TriggersView`."""
    portfolio, limits, usable = inputs.portfolio, current_limits(inputs), inputs.usable_prices()
    bounds = result.bounds or {symbol: bounds_around(price, Decimal(0)) for symbol, price in usable.items()}
    next_check_at = portfolio.next_check_at
    return {
        "portfolio_id": portfolio.portfolio_id,
        "watched": True,
        "reason": reason_members(result.reason),
        "next_check_at": next_check_at and format_time(next_check_at),
        "triggers": [
            _trigger_view(symbol, usable.get(symbol), around, limits[symbol].reason if symbol in limits else None)
            for symbol, around in sorted(bounds.items())
        ],
    }


def unwatched_view(portfolio: Portfolio) -> Answer:
    """Return the members of a `TriggersView` for a portfolio that no price rebalances."""
    ids = {"portfolio_id": portfolio.portfolio_id, "watched": False, "next_check_at": None, "triggers": []}
    return {**ids, "reason": reason_members(NOT_WATCHED)}


def _trigger_view(symbol: str, price: Decimal | None, bounds: PriceBounds, limit: str | None) -> Answer:
    return {
        "symbol": symbol,
        "price": None if price is None else plain(price),
        "at_or_below": None if price is None else plain(bounds.lower),
        "at_or_above": None if price is None else plain(bounds.upper),
        "limit": limit,
    }


def _order_view(order: PlannedOrder, fee: Decimal) -> Answer:
    return {
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": f"{to_places(order.quantity, QUANTITY_PLACES):f}",
        "price": plain(order.price),
        "limit_price": plain(order.limit_price),
        "notional": money_text(order.notional, order.currency),
        "fee": money_text(fee, order.currency),
    }


def _skipped_view(leg: SkippedLeg) -> Answer:
    return {"symbol": leg.symbol, "side": leg.side.value, "notional": plain(leg.notional), "reason": leg.reason}


def _weight_view(leg: Leg) -> Answer:
    return {
        "before": percent_text(leg.weight),
        "target": percent_text(leg.target),
        "after": percent_text(leg.weight + leg.change),
    }
