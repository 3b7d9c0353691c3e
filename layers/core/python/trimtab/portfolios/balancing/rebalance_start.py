"""The rebalance that a decision starts: the planned rebalance, and the portfolio locked by the rebalance."""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from msgspec.structs import replace

from trimtab.contracts.records import Record
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import round_money
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain
from trimtab.portfolios.balancing.check_decision import CheckResult
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.execution.trading_controls import Control, notional_of, turnover_allowed
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Destination, Mode, Policy
from trimtab.portfolios.portfolio.watch_state import FollowUp, Trigger
from trimtab.portfolios.rebalancing import journal
from trimtab.portfolios.rebalancing.buy_sizing import cost_of, fit_buys_to_cash
from trimtab.portfolios.rebalancing.journal import Funds
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus, new_rebalance, rebalance_id_of
from trimtab.portfolios.rebalancing.orders import Commission
from trimtab.portfolios.rebalancing.timeline import QUOTE


def begin_rebalance(
    inputs: DecisionInputs, result: CheckResult, requested: Rebalance | None, *, run_seconds: int
) -> tuple[Rebalance, Portfolio]:
    """Return the PLANNED rebalance of a check (requested or new), and the portfolio locked by the rebalance.

    Both must be saved in the same transaction: the journal is stored before the first order is sent.
    """
    assert result.plan is not None  # noqa: S101 - called only with a plan
    portfolio, now = inputs.portfolio, inputs.now
    rebalance = requested or _automatic_rebalance(portfolio, inputs.trigger or Trigger.MANUAL, now)
    total = result.valuation.total if result.valuation else ZERO
    funds, commission = _funds(portfolio, portfolio.policy, total), inputs.terms.commission
    controls, policy, traded = inputs.controls, portfolio.policy, portfolio.traded_today
    is_funded = _is_funded(result.plan, funds, commission, portfolio.currency)
    execution = journal.new_execution(
        rebalance.rebalance_id,
        result.plan.orders,
        result.plan.skipped,
        portfolio.policy,
        is_funded=is_funded,
        deadline=now + timedelta(seconds=run_seconds),
        funds=funds,
        commission=commission,
        currency=portfolio.currency,
        max_order_notional=controls.limit_of(Control.MAX_ORDER_NOTIONAL, policy),
        max_turnover=turnover_allowed(controls, policy, total, traded, now),
    )
    if not is_funded and all(order.side is Side.BUY for order in execution.orders):
        execution = fit_buys_to_cash(execution)  # no sell follows that could pay for the rest
    planned = rebalance.transition(
        RebalanceStatus.PLANNED,
        now,
        reason=_with_quote(result.reason, inputs),
        legs=result.plan.legs,
        weights={leg.asset: leg.weight for leg in result.plan.legs},
        execution=execution,
        mode=inputs.mode,
    )
    follow_up = FollowUp(
        result.calendar_at,
        result.deferred_trigger,
        result.retry_at,
        is_deposit_due=portfolio.watch_state.is_deposit_due and not _invests_all_cash(inputs),
    )
    locked = portfolio.lock_for_rebalance(planned.rebalance_id, now, follow_up)
    return planned, locked


def _with_quote(reason: Reason, inputs: DecisionInputs) -> Reason:
    """Return the reason with the newest quote of the portfolio, which is the quote that led to an automatic check."""
    quotes = [quote for quote in inputs.quotes.values() if quote.price is not None and quote.as_of is not None]
    newest = max(quotes, key=lambda quote: (quote.stored_at or quote.as_of, quote.as_of), default=None)
    if newest is None or newest.price is None or newest.as_of is None:
        return reason
    quote = {"symbol": newest.symbol, "price": plain(newest.price), "as_of": format_time(newest.as_of)}
    return replace(reason, details={**reason.details, QUOTE: quote})


def _invests_all_cash(inputs: DecisionInputs) -> bool:
    """Return True if the rebalance also invests a deposit: if it buys, and not only up to the edge of the band."""
    is_to_target = inputs.portfolio.policy.destination is Destination.TARGET
    return inputs.trigger is Trigger.DEPOSIT or (is_to_target and inputs.mode is not Mode.SELL_ONLY)


def records_of_controls(inputs: DecisionInputs, result: CheckResult) -> tuple[Record, ...]:
    """Return the records that the controls store with a plan: the tenant's total, and the claim of the account."""
    total, orders = inputs.tenant_notional, result.plan.orders if result.plan else ()
    return tuple(filter(None, (total and total.add(notional_of(orders)), inputs.claim)))


def _automatic_rebalance(portfolio: Portfolio, trigger: Trigger, now: datetime) -> Rebalance:
    """Return an automatic rebalance; its id is derived from the epoch of the price watches."""
    epoch = portfolio.watch_state.epoch_started
    request_id = f"{trigger.value}-{epoch}"
    return new_rebalance(
        portfolio,
        rebalance_id_of(portfolio.portfolio_id, f"check#{epoch}"),
        request_id,
        ids.request_hash(1, {"request_id": request_id}),
        now,
        trigger=trigger,
        version=0,
    )


def _funds(portfolio: Portfolio, policy: Policy, total: Decimal) -> Funds:
    """Return the cash of the portfolio, and the amounts that buys leave untouched, rounded down to money."""

    def amount_of(weight: Decimal) -> Decimal:
        return round_money(CONTEXT.divide(CONTEXT.multiply(total, weight), HUNDRED), portfolio.currency, ROUND_FLOOR)

    return Funds(portfolio.cash or ZERO, amount_of(policy.cash_buffer), amount_of(policy.cash_target))


def _is_funded(plan: OrderPlan, funds: Funds, commission: Commission, currency: str) -> bool:
    """Return whether the cash above the buffer covers all buys at limit prices, without waiting for the sells."""
    cost = sum((cost_of(order, commission, currency) for order in plan.orders if order.side is Side.BUY), ZERO)
    return cost <= funds.cash - funds.buffer
