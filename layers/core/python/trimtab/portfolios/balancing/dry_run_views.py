"""Answers of the routes that decide without storing: dry runs and price triggers."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
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
    """An order that would be sent: quantity, planning price, limit price, value and estimated fee (money)."""

    symbol: str
    side: str
    quantity: str
    price: str
    limit_price: str
    notional: str
    fee: str


class DryRunWeightView(Model):
    """Weights of an asset in percent: before the orders, the target, and after the orders at the planning prices."""

    before: PercentText
    target: PercentText
    after: PercentText


class DryRunView(Model):
    """The rebalance that a run would execute now; nothing is stored.

    `reason` says why orders are planned, or why none are. `fees` is the sum of the estimated fees,
    `realised_profit` the profit by sold symbol at average cost, after fees (money). `skipped` are the changes towards
    the target without an order. `drift_before` and `drift_after` are in percent. `valid_while` is a relative move
    of all prices (0.01 is 1 %) up to which the same symbols are traded on the same sides, or still nothing is traded;
    0 where the plan may jump at any move. Weights, drifts and `valid_while` are empty or null where the portfolio
    cannot be valued.
    """

    portfolio_id: str
    at: datetime
    mode: Mode
    reason: CheckReasonView
    orders: list[DryRunOrderView]
    skipped: list[SkippedOrderView]
    fees: str
    realised_profit: dict[str, str]
    weights: dict[str, DryRunWeightView]
    drift_before: str | None
    drift_after: str | None
    within_band_after: bool | None
    valid_while: str | None


class PriceTriggerView(Model):
    """The prices of a symbol at which the portfolio is decided again: at or below, and at or above.

    `price` is the present price. All three are null where any quote leads to a decision, because the symbol has no
    usable price; `limit` then says why. `limit` is also set where an asset or the policy forbids trades.
    """

    symbol: str
    price: str | None
    at_or_below: str | None
    at_or_above: str | None
    limit: str | None


class TriggersView(Model):
    """The prices at which the portfolio would act. While every price stays strictly between, nothing is traded.

    `watched` is false for a portfolio that only a person rebalances. `reason` is the present decision,
    `next_check_at` the time of the next check that no price asks for.
    """

    portfolio_id: str
    watched: bool
    reason: CheckReasonView
    next_check_at: datetime | None
    triggers: list[PriceTriggerView]


def dry_run_view(run: DryRun) -> Answer:
    """Return the members of a `DryRunView`."""
    plan = run.result.plan
    after = measure_drift(run.legs) if run.legs else None
    return {
        "portfolio_id": run.inputs.portfolio.portfolio_id,
        "at": format_time(run.inputs.now),
        "mode": run.inputs.mode.value,
        "reason": reason_members(run.result.reason),
        "orders": [_order_view(order, fee) for order, fee in zip(run.orders, run.fees, strict=True)],
        "skipped": [_skipped_view(leg) for leg in run.result.skipped],
        "fees": f"{sum(run.fees, Decimal(0)):.2f}",
        "realised_profit": {symbol: f"{profit:.2f}" for symbol, profit in run.realised_profit.items()},
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
        "notional": f"{order.notional:.2f}",
        "fee": f"{fee:.2f}",
    }


def _skipped_view(leg: SkippedLeg) -> Answer:
    return {"symbol": leg.symbol, "side": leg.side.value, "notional": plain(leg.notional), "reason": leg.reason}


def _weight_view(leg: Leg) -> Answer:
    return {
        "before": percent_text(leg.weight),
        "target": percent_text(leg.target),
        "after": percent_text(leg.weight + leg.change),
    }
