"""Price checks: the worker that evaluates portfolios whose price bounds were crossed, that are due, or that changed.

No crossing is missed: a quote is stored before watches are queried, an evaluation writes its watches before it reads
the quotes again, and both reads are strongly consistent. So at least one of the two reads sees the other's write.
Concurrent evaluations do not interfere: each starts a new epoch of the portfolio, and a watch row is replaced only by a
row of a higher epoch.
"""

from datetime import datetime

from msgspec import Struct

from trimtab.contracts.messages import CheckRequested
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import Clock, format_time
from trimtab.kernel.errors import Conflict
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.balancing import check_decision
from trimtab.portfolios.balancing.check_decision import (
    MARKET_CLOSED,
    NO_QUOTE,
    NOT_WATCHED,
    SPLIT_CONTRADICTED,
    CheckResult,
)
from trimtab.portfolios.balancing.check_store import LastCheck
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs, symbols_of
from trimtab.portfolios.balancing.decision_reader import DecisionReader
from trimtab.portfolios.balancing.lock_repair import find_repair
from trimtab.portfolios.balancing.plan_controls import ACCOUNT_IN_USE, CONTROL_REFUSED
from trimtab.portfolios.balancing.rebalance_start import begin_rebalance, records_of_controls
from trimtab.portfolios.balancing.watch_store import WatchStore
from trimtab.portfolios.balancing.withdrawal_decision import INSUFFICIENT_FUNDS, find_withdrawal_refusal
from trimtab.portfolios.execution.halt_controls import HaltControl
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, FollowUp, Trigger, WatchState
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.payout import pay_out
from trimtab.portfolios.rebalancing.store import RebalanceStore

MAX_ROUNDS = 3
"""Maximum number of evaluations for one message if quotes keep crossing the new bounds; then the message is retried."""
IN_PROGRESS = Reason("in_progress", "Skipped: the portfolio is being rebalanced, or its trades are being recalculated.")

NEEDS_PERSON = frozenset({"halted", CONTROL_REFUSED, ACCOUNT_IN_USE, SPLIT_CONTRADICTED})
"""Reason codes of checks that only a person can clear."""


class CheckOutcome(Struct, frozen=True):
    """Outcome of one message: the code of the reason, and the rebalance that was started or decided, if any."""

    reason_code: str
    rebalance: Rebalance | None = None
    is_evaluated: bool = True


SKIPPED = CheckOutcome("skipped", is_evaluated=False)


class PriceChecker(Struct, frozen=True):
    """Consumer of the queue `checks`. Rebalances that a check starts have a deadline after `run_seconds`."""

    store: RebalanceStore
    ledger: LedgerStore
    decisions: DecisionReader
    watches: WatchStore
    queues: WorkerQueues
    clock: Clock
    run_seconds: int = 6 * 3600

    def run(self, message: CheckRequested) -> CheckOutcome | None:
        """Run one check; return None if the portfolio or the rebalance does not exist.

        Raises `Conflict` if concurrent writes to the portfolio or its watches prevent every attempt.
        """
        rebalance_id = message.rebalance_id
        if rebalance_id is not None:
            return retry_on_conflict(lambda: self._decide_requested(message, rebalance_id))
        return retry_on_conflict(lambda: self._check(message))

    # Rebalances requested by a person ----------------------------------------------------------------------------

    def _decide_requested(self, message: CheckRequested, rebalance_id: str) -> CheckOutcome | None:
        portfolio, rebalance = self.store.portfolio_and_rebalance(message.tenant_id, message.portfolio_id, rebalance_id)
        if portfolio is None or rebalance is None:
            return None
        if rebalance.status is RebalanceStatus.PLANNED:
            self.queues.wake(rebalance)  # an earlier delivery may have crashed before it sent the message
        if rebalance.status is not RebalanceStatus.REQUESTED:
            return SKIPPED
        now, refusal = self.clock(), _find_refusal(portfolio, rebalance)
        if refusal is not None:
            return self._save_decision(rebalance.record_outcome(RebalanceStatus.REJECTED, refusal, now))
        if portfolio.is_busy(now):
            return self._save_decision(rebalance.record_outcome(RebalanceStatus.NO_ACTION, IN_PROGRESS, now))
        if rebalance.withdrawal is not None:
            inputs, result = self.decisions.decide_withdrawal(portfolio, rebalance.withdrawal.amount)
        else:
            inputs, result = self.decisions.decide(portfolio, Trigger.MANUAL, rebalance.mode)
        if result.plan is not None:
            return self._begin_rebalance(inputs, result, rebalance)
        self._count_incidents(inputs, result, rebalance_id)
        return self._save_decision(_without_orders(rebalance, result, now))

    def _pay_from_cash(self, portfolio: Portfolio, rebalance: Rebalance, reason: Reason) -> CheckOutcome:
        """Complete the withdrawal without an order, in one transaction with the cash entry."""
        now = self.clock()
        payout = pay_out(rebalance.record_outcome(RebalanceStatus.COMPLETED, reason, now), portfolio, now)
        assert payout is not None  # noqa: S101 - a plan without orders is made only where cash covers the amount
        self.store.put(payout.rebalance, payout.portfolio.post(now), payout.entry)
        return CheckOutcome(reason.code, payout.rebalance)

    def _save_decision(self, rebalance: Rebalance) -> CheckOutcome:
        self.store.put(rebalance)
        return CheckOutcome(rebalance.reason.code if rebalance.reason else "", rebalance)

    # Checks for prices, due dates and changes --------------------------------------------------------------------

    def _check(self, message: CheckRequested) -> CheckOutcome | None:
        portfolio = self.store.portfolio(message.tenant_id, message.portfolio_id)
        if portfolio is None:
            return None
        watch_state, now = portfolio.watch_state, self.clock()
        skip_rules = (
            # A later evaluation has already seen the change.
            message.trigger == "change" and watch_state.cause is None,
            # A later, finished evaluation has already seen the quote.
            message.epoch is not None
            and message.epoch < watch_state.epoch_decided
            and watch_state.epoch_done == watch_state.epoch_started,
            message.trigger == "schedule" and (portfolio.next_check_at is None or portfolio.next_check_at > now),
        )
        if any(skip_rules):
            return SKIPPED
        if portfolio.is_busy(now):
            repaired = self._repair_lock(portfolio)
            if repaired is None:
                return self._note_in_progress(portfolio, message.trigger)
            portfolio = repaired
        return self._evaluate(portfolio, _trigger_of(message.trigger, watch_state, now))

    def _repair_lock(self, portfolio: Portfolio) -> Portfolio | None:
        """Release a lock whose rebalance has ended or expired unsent; return the unlocked portfolio, None otherwise."""
        owner = portfolio.lock.owner if portfolio.lock else ""
        rebalance = self.store.rebalance(portfolio.tenant_id, portfolio.portfolio_id, owner)
        repair = find_repair(portfolio, rebalance, self.clock())
        if repair is None:
            return None
        self.store.put(*repair.records)
        return repair.portfolio

    def _note_in_progress(self, portfolio: Portfolio, trigger: str) -> CheckOutcome:
        now = self.clock()
        note = LastCheck(portfolio.tenant_id, portfolio.portfolio_id, trigger, now, IN_PROGRESS)
        after = portfolio.defer_price_trigger(now) if trigger == "price" else portfolio
        self.store.put(*([] if after is portfolio else [after]), note)
        return CheckOutcome(IN_PROGRESS.code, is_evaluated=False)

    def _evaluate(self, portfolio: Portfolio, trigger: Trigger | None) -> CheckOutcome:
        """Evaluate, and repeat the evaluation if a new quote has crossed the new bounds before they were written."""
        for _ in range(MAX_ROUNDS):
            outcome = self._evaluate_once(portfolio, trigger)
            if isinstance(outcome, CheckOutcome):
                return outcome
            portfolio, trigger = outcome, trigger or Trigger.PRICE
        raise Conflict("contended", "Quotes arrive faster than the portfolio is evaluated.", retry_after_seconds=1)

    def _evaluate_once(self, portfolio: Portfolio, trigger: Trigger | None) -> CheckOutcome | Portfolio:
        """Evaluate in a new epoch; return the portfolio instead of an outcome if a new quote crossed the new bounds."""
        symbols = symbols_of(portfolio) if portfolio.is_automatic else []
        now, dropped = self.clock(), set(portfolio.watch_state.watched_symbols) - set(symbols)
        portfolio = portfolio.start_evaluation(now, symbols)
        self.store.put(portfolio)
        result, inputs = CheckResult(NOT_WATCHED), None
        if symbols:
            inputs, result = self.decisions.decide(portfolio, trigger)
            self._count_incidents(inputs, result)
            if result.plan is not None:
                return self._begin_rebalance(inputs, result, None)
        self.watches.write(portfolio, result.bounds, inputs.quotes if inputs else {}, dropped)
        if inputs is not None and self._is_crossed_by_newer_quote(inputs, result):
            return portfolio
        follow_up = FollowUp(result.calendar_at, result.deferred_trigger, result.retry_at, result.is_deposit_due)
        waits_for = _need_of_person(inputs, result) if inputs else None
        watch_state = portfolio.watch_state.finish(
            now, symbols, follow_up, awaits_quote=result.awaits_quote, waits_for=waits_for
        )
        done = portfolio.finish_evaluation(now, watch_state)
        decided_by = inputs.trigger if inputs else trigger
        trigger_name = decided_by.value if decided_by else "change"
        self.store.put(done, LastCheck(done.tenant_id, done.portfolio_id, trigger_name, now, result.reason))
        return CheckOutcome(result.reason.code)

    def _count_incidents(self, inputs: DecisionInputs, result: CheckResult, rebalance_id: str | None = None) -> None:
        """Count the held prices that the portfolio needs, and a refused plan: too many of them halt the tenant.

        A refused plan counts once for each new quote, or once for the rebalance that a person requested.
        """
        portfolio, quotes = inputs.portfolio, inputs.quotes
        held = [f"{symbol}@{format_time(quote.held.held_at)}" for symbol, quote in quotes.items() if quote.held]
        newest = max((quote.stored_at for quote in quotes.values() if quote.stored_at), default=inputs.now)
        refused = [rebalance_id or f"{portfolio.portfolio_id}@{format_time(newest)}"]
        incidents = {
            HaltControl.HELD_PRICES: held,
            HaltControl.REFUSALS: refused if result.reason.code == CONTROL_REFUSED else [],
        }
        self.decisions.halts.record(portfolio.tenant_id, incidents, inputs.now)

    def _is_crossed_by_newer_quote(self, inputs: DecisionInputs, result: CheckResult) -> bool:
        quotes = self.ledger.quotes(sorted(result.bounds))
        return any(
            quote.price is not None
            and _is_newer(quote, inputs.quotes.get(symbol))
            and result.bounds[symbol].are_crossed_by(quote.price)
            for symbol, quote in quotes.items()
        )

    def _begin_rebalance(
        self, inputs: DecisionInputs, result: CheckResult, requested: Rebalance | None
    ) -> CheckOutcome:
        if requested is not None and result.plan is not None and not result.plan.orders:
            return self._pay_from_cash(inputs.portfolio, requested, result.reason)
        rebalance, locked = begin_rebalance(inputs, result, requested, run_seconds=self.run_seconds)
        self.store.put(rebalance, locked, *records_of_controls(inputs, result))
        self.queues.wake(rebalance)
        return CheckOutcome(result.reason.code, rebalance)


def _find_refusal(portfolio: Portfolio, requested: Rebalance) -> Reason | None:
    """Return the reason why the portfolio cannot do what was requested at all, None if it can."""
    if requested.withdrawal is not None:
        return find_withdrawal_refusal(portfolio)
    return check_decision.find_refusal(portfolio)


def _without_orders(requested: Rebalance, result: CheckResult, now: datetime) -> Rebalance:
    """Return the requested rebalance that trades nothing now: it waits for the open or for quotes, or it ends."""
    if result.reason.code in {MARKET_CLOSED, NO_QUOTE} and result.retry_at is not None:
        return requested.wait_until(result.retry_at, result.reason, now)
    is_refused = result.reason.code in {INSUFFICIENT_FUNDS, CONTROL_REFUSED, ACCOUNT_IN_USE, SPLIT_CONTRADICTED}
    outcome = RebalanceStatus.REJECTED if is_refused else RebalanceStatus.NO_ACTION
    return requested.record_outcome(outcome, result.reason, now)


def _need_of_person(inputs: DecisionInputs, result: CheckResult) -> str | None:
    """Return the code of what only a person can clear, None where the portfolio waits for nobody."""
    if any(quote.held for quote in inputs.quotes.values()):
        return "price_held"
    return result.reason.code if result.reason.code in NEEDS_PERSON else None


def _is_newer(quote: Quote, seen: Quote | None) -> bool:
    return seen is None or quote.version > seen.version


def _trigger_of(requested: str, watch_state: WatchState, now: datetime) -> Trigger | None:
    """Return the trigger of the check, or None if the check only writes the watches again.

    Order of precedence: a new target (also a deferred one), a crossed price, another deferred trigger, a due date.
    """
    if watch_state.cause is EvaluationCause.TARGET:
        return Trigger.TARGET
    if requested == "price" and watch_state.deferred_trigger is not Trigger.TARGET:
        return Trigger.PRICE
    is_day = watch_state.calendar_at is not None and watch_state.calendar_at <= now
    is_scheduled = requested == "schedule" and (is_day or not watch_state.is_deposit_due)
    return watch_state.deferred_trigger or (Trigger.SCHEDULE if is_scheduled else None)
