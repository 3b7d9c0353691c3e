"""The decision of a price check: whether a portfolio is rebalanced at the present quotes, and the next price bounds.

Pure: equal portfolio, quotes and time always give an equal result.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import round_money
from trimtab.kernel.money import ZERO, plain
from trimtab.portfolios.balancing import order_planner
from trimtab.portfolios.balancing.current_limits import QUOTED_IN_PERCENT, current_limits, present_target
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs, symbols_of
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.order_sizing import OrderSizing
from trimtab.portfolios.balancing.plan_controls import refuse_plan
from trimtab.portfolios.balancing.price_bounds import PriceBounds, bounds_around
from trimtab.portfolios.balancing.safe_moves import REARM_MOVE, find_safe_move
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, Leg
from trimtab.portfolios.rebalancing.model import Reason
from trimtab.portfolios.rebalancing.orders import SkippedLeg
from trimtab.portfolios.rebalancing.trade_limits import TradeLimits
from trimtab.portfolios.rebalancing.valuation import Valuation, value

CALENDAR_RETRY = timedelta(hours=1)
"""Pause after a calendar day on which nothing could be decided."""
HALT_RETRY = timedelta(minutes=5)
"""Pause after a rebalance that was refused because orders are halted."""
OUTSIDE_BAND = "outside_band"
"""Rule of a rebalance for a weight outside its band."""
TOTAL_DRIFT = "total_drift"
"""Rule of a rebalance for a total drift beyond the policy's."""
MARKET_CLOSED = "market_closed"
"""Reason code while the exchange of an order is closed, at a broker that trades in sessions only."""
SPLIT_CONTRADICTED = "split_contradicted"
"""Reason code while recorded sells exceed a holding, because a split contradicts them."""
NOT_WATCHED = Reason("not_watched", "The portfolio is closed, stale or manual, has no target, or holds nothing.")
NO_QUOTE = "no_quote"
"""Reason code where prices are missing, too old, or from before a split or the present session."""
MAX_NAMED, MAX_LISTED = 10, 90
"""Missing symbols named in a sentence, and listed in the details."""


class CheckResult(Struct, frozen=True):
    """Result of a check.

    * `plan`: orders to execute, None where nothing is traded; then `bounds` are the price bounds by symbol.
    * `calendar_at`: next day of the calendar rule.
    * `deferred_trigger`, `retry_at`: a trigger that was refused for a while, and the end of that while.
    * `safe_move`: the largest relative move of all prices that takes no weight out of its band, None without a value.
    * `skipped`: changes towards the target without an order.
    * `is_deposit_due`: a deposit still waits to be invested.
    * `awaits_quote`: a change took the portfolio out of its band, and the next quote decides.
    """

    reason: Reason
    bounds: Mapping[str, PriceBounds] = field(default_factory=dict)
    plan: OrderPlan | None = None
    valuation: Valuation | None = None
    calendar_at: datetime | None = None
    deferred_trigger: Trigger | None = None
    retry_at: datetime | None = None
    awaits_quote: bool = False
    is_deposit_due: bool = False
    safe_move: Decimal | None = None
    skipped: tuple[SkippedLeg, ...] = ()


def find_refusal(portfolio: Portfolio) -> Reason | None:
    """Return the reason why the portfolio cannot be rebalanced at all, None if it can."""
    rules = (
        (portfolio.status is PortfolioStatus.CLOSED, "closed", "The portfolio is closed. Create it again to open it."),
        (portfolio.status is PortfolioStatus.STALE, "stale", "The portfolio is stale until an operator resolves it."),
        (not portfolio.allocation, "no_target", "The portfolio has no target allocation. Set a target first."),
    )
    return next((Reason(code, message) for applies, code, message in rules if applies), None)


def decide(inputs: DecisionInputs) -> tuple[DecisionInputs, CheckResult]:
    """Return the decision for the trigger or, where that trades nothing, for a deposit to invest; with its inputs."""
    result = evaluate(inputs)
    if result.plan is not None or inputs.trigger is Trigger.MANUAL or not inputs.has_deposit_to_invest:
        return inputs, result
    investing = replace(inputs, trigger=Trigger.DEPOSIT, mode=Mode.INVEST_CASH)
    joined = _join_results(result, evaluate(investing))
    return inputs if joined.plan is None else investing, joined


def _join_results(result: CheckResult, invested: CheckResult) -> CheckResult:
    """Return the result of a check that trades nothing, together with the result for a deposit.

    A trigger that the check deferred stays deferred. The deposit stays due where its investment has to wait.
    """
    if invested.plan is not None:
        deferred = {"deferred_trigger": result.deferred_trigger, "retry_at": result.retry_at}
        return replace(invested, calendar_at=result.calendar_at, **deferred)
    if invested.retry_at is None and invested.valuation is not None:
        return result
    retry_at = min(filter(None, (result.retry_at, invested.retry_at)), default=None)
    return replace(result, reason=invested.reason, retry_at=retry_at, is_deposit_due=True)


def evaluate(inputs: DecisionInputs) -> CheckResult:
    """Return the decision at the present quotes: orders to execute, or the reason and the next price bounds."""
    portfolio, symbols, usable = inputs.portfolio, symbols_of(inputs.portfolio), inputs.usable_prices()
    if inputs.oversold:
        return CheckResult(contradicted(inputs), _bounds(inputs, REARM_MOVE), calendar_at=_next_try(inputs))
    until = inputs.first_quotes_until()
    if until is not None and inputs.trigger is not None:
        return CheckResult(
            await_first_quotes(inputs, until),
            _bounds(inputs, REARM_MOVE),
            calendar_at=inputs.calendar_at(),
            deferred_trigger=inputs.trigger,
            retry_at=until,
        )
    prices = {**inputs.last_prices, **usable}
    prices = {symbol: prices[symbol] for symbol in symbols if symbol in prices}
    missing = inputs.without_usable_price()
    is_tradable = len(missing) < len(symbols) and inputs.waiting_for_price() < {*portfolio.allocation}
    if not is_tradable or any(inputs.holds(symbol) and symbol not in prices for symbol in missing):
        return CheckResult(_without_prices(inputs, missing), _bounds(inputs, REARM_MOVE), calendar_at=_next_try(inputs))
    quantities = {symbol: inputs.quantities.get(symbol, ZERO) for symbol in symbols}
    valuation = value(quantities, prices, portfolio.cash or ZERO, portfolio.currency)
    if not valuation.weights:
        return CheckResult(Reason("empty", "The portfolio is worth nothing."), _bounds(inputs, ZERO))
    return _evaluate_weights(inputs, valuation)


def _next_try(inputs: DecisionInputs) -> datetime | None:
    """Return the day of the calendar rule, postponed by an hour where the day has come and nothing can be decided."""
    return inputs.now + CALENDAR_RETRY if inputs.is_calendar_due() else inputs.calendar_at()


def contradicted(inputs: DecisionInputs) -> Reason:
    """Return the reason of a portfolio whose holdings are unknown: recorded sells exceed them after a split."""
    named = ", ".join(inputs.oversold[:MAX_NAMED])
    detail = f"A split contradicts the recorded sells of {named}. Correct the trades, or amend or withdraw the split."
    return Reason(SPLIT_CONTRADICTED, detail, {"oversold": list(inputs.oversold[:MAX_LISTED])})


def _without_prices(inputs: DecisionInputs, missing: list[str]) -> Reason:
    """Return the reason of a portfolio that cannot be valued, or of which nothing can be traded at present prices."""
    held = [symbol for symbol in missing if inputs.has_held_price(symbol)]
    details = {"missing": missing[:MAX_LISTED]}
    if held:
        detail = f"The newest price is held because it is implausible: {', '.join(held[:MAX_NAMED])}."
        return Reason("price_held", detail, {**details, "held": held[:MAX_LISTED]})
    percent = [symbol for symbol in missing if symbol in inputs.quotes and inputs.quotes[symbol].is_in_percent]
    if percent and percent == missing:
        detail = f"Assets quoted in percent of their nominal value are not traded: {', '.join(percent[:MAX_NAMED])}."
        return Reason(QUOTED_IN_PERCENT, detail, details)
    detail = f"No quote, or one that is too old or from before a split: {', '.join(missing[:MAX_NAMED])}."
    return Reason(NO_QUOTE, detail, details)


def await_first_quotes(inputs: DecisionInputs, until: datetime) -> Reason:
    """Return the reason why orders wait for the first quotes of the session."""
    missing = inputs.without_usable_price()
    detail = f"The session has just opened, and has no quote yet of {', '.join(missing[:MAX_NAMED])}."
    return Reason(NO_QUOTE, detail, {"missing": missing[:MAX_LISTED], "until": format_time(until)})


def _bounds(inputs: DecisionInputs, move: Decimal) -> dict[str, PriceBounds]:
    """Return the price bounds of each symbol at this relative move; any quote crosses those without a usable price."""
    usable = inputs.usable_prices()
    return {symbol: bounds_around(usable.get(symbol), move) for symbol in symbols_of(inputs.portfolio)}


def _evaluate_weights(inputs: DecisionInputs, valuation: Valuation) -> CheckResult:
    """Evaluate a valued portfolio."""
    allocation, policy = present_target(inputs, valuation.weights)
    legs = drift.compare_weights(valuation.weights, drift.target_weights(allocation, policy))
    limits = current_limits(inputs)
    sizing = order_planner.size_orders(
        valuation, allocation, policy, inputs.mode, limits=limits, commission=inputs.terms.commission
    )
    move = find_safe_move(sizing)
    details = _details(inputs, valuation, legs, limits)

    def without_orders(reason: Reason, least_move: Decimal, **changes: Any) -> CheckResult:
        bounds = _bounds(inputs, max(move, least_move))
        members = {"valuation": valuation, "safe_move": move, "calendar_at": inputs.calendar_at(), **changes}
        return CheckResult(reason, bounds, **members)

    rules = _rules_for_rebalance(inputs, sizing)
    if not rules:
        reason = _without_rule(details, is_outside=bool(order_planner.outside(legs, policy)))
        return without_orders(reason, ZERO, calendar_at=inputs.next_calendar_at())
    if inputs.trigger is None:
        least_move = REARM_MOVE if inputs.was_refused else ZERO
        return without_orders(_await_quote(inputs, details), least_move, awaits_quote=not inputs.was_refused)
    deferral = _deferral(inputs, inputs.trigger, details)
    if deferral is not None:
        reason, retry_at = deferral
        return without_orders(reason, REARM_MOVE, deferred_trigger=inputs.trigger, retry_at=retry_at)
    plan = order_planner.plan_sized_orders(sizing, allocation)
    details |= _plan_details(plan)
    rule = next((rule for rule in rules if _is_served(rule[0], plan)), None)
    if rule is None:
        reason = Reason("nothing_to_trade", "No order that the policy allows would lead closer to the target.", details)
        move = find_safe_move(sizing, plan)
        return without_orders(reason, ZERO, calendar_at=inputs.next_calendar_at(), skipped=plan.skipped)
    closed = inputs.closed_exchanges(order.symbol for order in plan.orders)
    refused = await_open(closed, details) if closed else refuse_plan(inputs, plan, valuation.total, details)
    if refused is not None:
        reason, again_at = refused
        deferred = {"deferred_trigger": inputs.trigger, "retry_at": again_at} if again_at else {}
        return without_orders(reason, REARM_MOVE, **deferred)
    return CheckResult(Reason(*rule, details), {}, plan, valuation, inputs.next_calendar_at(), skipped=plan.skipped)


def _is_served(rule: str, plan: OrderPlan) -> bool:
    """Return whether the plan serves the rule: orders must cure what broke the rule."""
    cures = {OUTSIDE_BAND: bool(plan.cured), TOTAL_DRIFT: plan.cures_drift}
    return bool(plan.orders) and cures.get(rule, True)


def _rules_for_rebalance(inputs: DecisionInputs, sizing: OrderSizing) -> tuple[tuple[str, str], ...]:
    """Return the code and the sentence of each rule that calls for a rebalance, the strongest first."""
    policy, legs = inputs.portfolio.policy, sizing.legs
    is_outside = bool(drift.legs_outside(legs, sizing.tolerance))
    is_drift_large = policy.total_drift is not None and drift.measure_drift(legs) > policy.total_drift
    rules = (
        (inputs.trigger is Trigger.MANUAL, "requested", "A person requested the rebalance."),
        (inputs.trigger is Trigger.DEPOSIT, "deposit", "The policy invests deposits at once."),
        (is_outside, OUTSIDE_BAND, "At least one weight is outside its band."),
        (is_drift_large, TOTAL_DRIFT, "The total drift is too large."),
        (inputs.trigger is not None and inputs.is_calendar_due(), "calendar", "The calendar rule is due."),
    )
    return tuple((rule, detail) for holds, rule, detail in rules if holds)


def await_open(closed: Mapping[str, datetime], details: Mapping[str, Any]) -> tuple[Reason, datetime]:
    """Return the reason why orders wait for the open of their exchanges, and the time of the last open."""
    opening = max(closed.values())
    names = ", ".join([*closed][:MAX_NAMED])
    detail = f"Orders wait until {format_time(opening)}: the exchange is closed for {names}."
    details = {**details, "until": format_time(opening), "closed": [*closed][:MAX_LISTED]}
    return Reason(MARKET_CLOSED, detail, details), opening


def _without_rule(details: Mapping[str, Any], *, is_outside: bool) -> Reason:
    """Return the reason of a portfolio that no rule rebalances; the limits of symbols may keep weights out of bands."""
    if is_outside:
        detail = "Weights are outside their bands, but the limits of symbols allow no order that leads closer."
        return Reason("nothing_to_trade", detail, details)
    return Reason("within_band", "Every weight is within its band.", details)


def _await_quote(inputs: DecisionInputs, details: Mapping[str, Any]) -> Reason:
    """Return the reason why a portfolio outside its band stays so until a price moves."""
    detail = "Outside its band by a trade, not by a price: the next quote decides."
    if inputs.was_refused:
        detail = "The last rebalance traded nothing: a price move of 1 % triggers the next check."
    return Reason("awaiting_quote", detail, details)


def _deferral(inputs: DecisionInputs, trigger: Trigger, details: Mapping[str, Any]) -> tuple[Reason, datetime] | None:
    """Return the reason why nothing may be traded now, and the time of the next try; None where trading is allowed."""
    if inputs.halt_reason is not None:
        return Reason("halted", f"Orders are halted: {inputs.halt_reason}.", details), inputs.now + HALT_RETRY
    brake = inputs.portfolio.brake
    if trigger is not Trigger.MANUAL and brake.blocked_until is not None and brake.blocks(inputs.now):
        details = {**details, "until": format_time(brake.blocked_until), "failures": brake.failures}
        return Reason(
            "backing_off", "The pause after a rolled back rebalance has not ended.", details
        ), brake.blocked_until
    end = inputs.portfolio.cooldown_end()
    if _respects_cooldown(trigger) and end is not None and inputs.now < end:
        details = {**details, "until": format_time(end)}
        return Reason("cooldown", "The cooldown after the last rebalance has not ended.", details), end
    return None


def _respects_cooldown(trigger: Trigger) -> bool:
    match trigger:
        case Trigger.PRICE | Trigger.SCHEDULE:
            return True
        case Trigger.REPORT | Trigger.TARGET | Trigger.DEPOSIT | Trigger.WITHDRAWAL | Trigger.MANUAL:
            return False
        case _:
            assert_never(trigger)


def _details(
    inputs: DecisionInputs, valuation: Valuation, legs: tuple[Leg, ...], limits: TradeLimits
) -> dict[str, Any]:
    portfolio, trigger = inputs.portfolio, inputs.trigger
    cooldown_end = portfolio.cooldown_end()
    cash = next(leg for leg in legs if leg.asset == CASH)
    details: dict[str, Any] = {
        "trigger": trigger.value if trigger else "change",
        "revision": portfolio.revision,
        "value": plain(round_money(valuation.total, valuation.currency)),
        "cash": plain(valuation.cash),
        "cash_weight": plain(cash.weight),
        "drift": plain(drift.measure_drift(legs)),
        "band": portfolio.policy.price_band.to_details(),
        "cooldown": {"seconds": portfolio.policy.cooldown_seconds},
        "destination": portfolio.policy.destination.value,
        "outside": len(order_planner.outside(legs, portfolio.policy)),
        "prices": {symbol: plain(price) for symbol, price in sorted(valuation.prices.items())},
    }
    if limits:
        details["limits"] = {symbol: limit.reason for symbol, limit in [*limits.items()][:MAX_LISTED]}
    if portfolio.policy.bands:
        details["bands"] = {symbol: band.to_details() for symbol, band in portfolio.policy.bands.items()}
    if cooldown_end is not None:
        details["cooldown"]["until"] = format_time(cooldown_end)
    return details


def _plan_details(plan: OrderPlan) -> dict[str, Any]:
    return {
        "drift_after": plain(plan.drift_after),
        "within_band_after": plan.within_band_after,
        "cured": list(plan.cured),
        "skipped": [[leg.symbol, leg.side.value, plain(leg.notional), leg.reason] for leg in plan.skipped],
    }
