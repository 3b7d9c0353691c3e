"""The decision on a withdrawal: pay from cash, sell first, wait for the open, or refuse. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.money import ZERO, plain
from trimtab.portfolios.balancing.check_decision import (
    CheckResult,
    await_first_quotes,
    await_open,
    contradicted,
    find_refusal,
)
from trimtab.portfolios.balancing.current_limits import current_limits
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs, symbols_of
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.plan_controls import refuse_plan
from trimtab.portfolios.balancing.withdrawal_plan import plan_withdrawal
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing.model import Reason
from trimtab.portfolios.rebalancing.valuation import value

INSUFFICIENT_FUNDS = "insufficient_funds"
NO_TARGET = "no_target"


def find_withdrawal_refusal(portfolio: Portfolio) -> Reason | None:
    """Return the reason why nothing can be withdrawn at all, None if something can; a target is not needed."""
    refusal = find_refusal(portfolio)
    return None if portfolio.status is PortfolioStatus.ACTIVE else refusal


def decide_withdrawal(inputs: DecisionInputs, amount: Decimal) -> CheckResult:
    """Return the decision: a plan, without orders where cash pays for all, or the reason against.

    Holdings without a usable price are not sold. Checks that other triggers asked for stay as they are.
    """
    if inputs.oversold:
        return _without_plan(inputs, contradicted(inputs))
    portfolio, prices = inputs.portfolio, {**inputs.last_prices, **inputs.usable_prices()}
    priced = [symbol for symbol in symbols_of(portfolio) if symbol in prices]
    valuation = value(
        {symbol: inputs.quantities.get(symbol, ZERO) for symbol in priced},
        {symbol: prices[symbol] for symbol in priced},
        portfolio.cash or ZERO,
        portfolio.currency,
    )
    found = plan_withdrawal(
        valuation,
        portfolio.allocation,
        portfolio.policy,
        amount,
        limits=current_limits(inputs),
        commission=inputs.terms.commission,
    )
    details = {"amount": plain(amount), "cash": plain(valuation.cash), "available": plain(found.available)}
    waits = _find_wait(inputs, found.plan, details)
    if waits is not None:
        return CheckResult(waits[0], retry_at=waits[1])
    if found.plan is None:
        message = f"At most {plain(found.available)} can be withdrawn at the present prices, sells included."
        return _without_plan(inputs, Reason(INSUFFICIENT_FUNDS, message, details))
    if found.plan.orders and inputs.halt_reason is not None:
        return _without_plan(inputs, Reason("halted", f"Orders are halted: {inputs.halt_reason}.", details))
    refused = refuse_plan(inputs, found.plan, valuation.total, details) if found.plan.orders else None
    if refused is not None:
        return _without_plan(inputs, refused[0])
    reason = Reason("withdrawal", f"A person withdraws {plain(amount)}.", details)
    return CheckResult(reason, {}, found.plan, valuation, **_other_checks(inputs))


def _find_wait(
    inputs: DecisionInputs, plan: OrderPlan | None, details: Mapping[str, Any]
) -> tuple[Reason, datetime] | None:
    """Return the reason to wait for the open of an exchange or for its first quotes, and the end of the wait."""
    until = inputs.first_quotes_until() if plan is None or plan.orders else None
    if until is not None:
        return await_first_quotes(inputs, until), until
    closed = inputs.closed_exchanges(order.symbol for order in plan.orders) if plan else {}
    return await_open(closed, details) if closed and inputs.halt_reason is None else None


def _without_plan(inputs: DecisionInputs, reason: Reason) -> CheckResult:
    return CheckResult(reason, **_other_checks(inputs))


def _other_checks(inputs: DecisionInputs) -> Mapping[str, Any]:
    state = inputs.portfolio.watch_state
    return {
        "calendar_at": inputs.calendar_at(),
        "deferred_trigger": state.deferred_trigger,
        "retry_at": state.retry_at,
    }
