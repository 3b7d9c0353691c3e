"""The state machine of an execution: the next step of a rebalance, and the state that each finished step leads to.

Pure functions of the stored journal, the time and the limits. `worker.py` performs the steps and saves their results.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import plain
from trimtab.portfolios.execution.halt_controls import HaltControl, IncidentIds
from trimtab.portfolios.execution.waiting import RetryLimits
from trimtab.portfolios.portfolio.brake import BrakeLimits, Quarantine
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import OnIncomplete, Restriction
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, Trigger
from trimtab.portfolios.rebalancing import buy_sizing
from trimtab.portfolios.rebalancing.journal import FIRST_TOP_UP, MAX_REVERSALS, Execution
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus, RefusalKind
from trimtab.portfolios.rebalancing.payout import pay_out

_S = RebalanceStatus
CANCELLED_CODE = "cancelled"
"""Reason code of a rebalance that a person cancelled."""
DEADLINE_PASSED = "The deadline passed before anything was sent."
MAX_NAMED = 10
"""Maximum number of symbols that a reason names."""


class NextStep(StrEnum):
    """Steps of the execution worker.

    * `START_WAVE`: record the intent to send the next wave; nothing is sent yet.
    * `SYNC_ORDERS`: send or look up the unfinished orders of the wave, and record the answers.
    * `SETTLE_WAVE`: post the fills of a finished wave, together with the state that the wave leads to.
    * `WAIT`: release the lease and request a message at `wake_time`.
    * `CANCEL`: cancel the rebalance, because its deadline passed before any order was sent.
    * `GIVE_UP`: leave the rebalance STALE for an operator.
    """

    START_WAVE = "start_wave"
    SYNC_ORDERS = "sync_orders"
    SETTLE_WAVE = "settle_wave"
    WAIT = "wait"
    CANCEL = "cancel"
    GIVE_UP = "give_up"


def journal_of(rebalance: Rebalance) -> Execution:
    """Return the journal of a rebalance in execution."""
    assert rebalance.execution is not None  # noqa: S101 - the worker never loads a rebalance without a journal
    return rebalance.execution


def next_step(
    rebalance: Rebalance, now: datetime, limits: RetryLimits, *, synced_at: datetime | None = None
) -> NextStep:
    """Return the next step of a PLANNED, EXECUTING or COMPENSATING rebalance.

    `synced_at` is the time at which the caller synchronised the orders of the present wave, None before that. A
    rebalance is given up only after such a synchronisation, so that a late answer of the broker counts.
    """
    execution = journal_of(rebalance)
    if not execution.is_wave_over:
        if synced_at is None:
            return NextStep.SYNC_ORDERS
        is_lost = synced_at >= execution.deadline or must_give_up(execution, limits)
        return NextStep.GIVE_UP if is_lost else NextStep.WAIT
    if not execution.is_wave_posted:
        return NextStep.SETTLE_WAVE
    if now >= execution.deadline and not execution.is_topping_up:
        return NextStep.CANCEL if rebalance.status is _S.PLANNED else NextStep.GIVE_UP
    if not _may_start(execution) or now >= execution.deadline:
        return NextStep.SETTLE_WAVE
    is_early = execution.wake_at is not None and execution.wake_at > now
    return NextStep.WAIT if is_early else NextStep.START_WAVE


def _may_start(execution: Execution) -> bool:
    """Return whether another wave is planned and not cancelled. A cancellation never stops a wave of reversals."""
    upcoming = [order for order in execution.orders if order.wave == execution.next_wave]
    return bool(upcoming) and (not execution.is_cancelled or any(order.reverses for order in upcoming))


# Orders of the present wave ------------------------------------------------------------------------------------------


def must_cancel_open_orders(execution: Execution, now: datetime, limits: RetryLimits) -> bool:
    """Return whether the open orders of the wave are to be cancelled.

    Reasons: a person cancelled the rebalance, the orders take too long, or the rebalance is about to be given up.
    Reversals are not cancelled by a person's cancellation, because they carry it out.
    """
    started = execution.wave_started_at or now
    reverses = any(order.reverses for order in execution.current)
    ends_at = min(started + timedelta(seconds=limits.order_seconds), execution.deadline)
    return (execution.is_cancelled and not reverses) or now >= ends_at or bool(lost_orders(execution, limits))


def lost_orders(execution: Execution, limits: RetryLimits) -> tuple[Order, ...]:
    """Return the orders whose arrival is still unknown after `max_attempts` submissions."""
    return tuple(
        order
        for order in execution.current
        if order.status is OrderStatus.SENT and order.attempts >= limits.max_attempts
    )


def must_give_up(execution: Execution, limits: RetryLimits) -> bool:
    """Return whether to give up: orders are lost, and no open order is left or the extra attempts are used up."""
    lost = lost_orders(execution, limits)
    if any(order.status is OrderStatus.OPEN for order in execution.current):
        return any(order.attempts >= limits.max_attempts + limits.extra_attempts for order in lost)
    return bool(lost)


# Results of a step ---------------------------------------------------------------------------------------------------


class WaveResult(Struct, frozen=True):
    """The next version of a rebalance, and the effect on the portfolio.

    `rebalanced`: fills are kept, so the cooldown begins. `stale_reason` is set if the portfolio becomes STALE.
    """

    rebalance: Rebalance
    rebalanced: bool = False
    stale_reason: str | None = None

    @property
    def is_final(self) -> bool:
        """True if the execution has ended, so that the portfolio is unlocked or stale."""
        return not self.rebalance.is_in_execution

    @property
    def is_failure(self) -> bool:
        """True if the rebalance was rolled back, and not because a person cancelled it."""
        return self.rebalance.status is _S.ROLLED_BACK and self._reason_code != CANCELLED_CODE

    @property
    def incidents(self) -> IncidentIds:
        """The rebalance under each control that counts its end: a rollback, or orders that the broker refused."""
        orders = self.rebalance.execution.orders if self.rebalance.execution and self.is_final else ()
        is_refused = any(order.refusal for order in orders)
        ids = (self.rebalance.rebalance_id,)
        return {
            HaltControl.ROLLBACKS: ids if self.is_failure else (),
            HaltControl.REFUSALS: ids if is_refused else (),
        }

    @property
    def _reason_code(self) -> str:
        return self.rebalance.reason.code if self.rebalance.reason else ""

    def apply_to(self, portfolio: Portfolio, now: datetime, limits: BrakeLimits) -> Portfolio:
        """Return the next version of the portfolio; the lock stays while the execution goes on.

        Symbols that the broker refused permanently are in quarantine at the end, whatever the outcome.
        """
        if not self.is_final:
            return replace(portfolio, version=portfolio.version + 1, updated_at=now, events=())
        quarantine = quarantine_of_refusals(self.rebalance, now, limits)
        return self._release(portfolio, now, limits).isolate(quarantine, now)

    def _release(self, portfolio: Portfolio, now: datetime, limits: BrakeLimits) -> Portfolio:
        if self.stale_reason is not None:
            return portfolio.mark_stale(self.stale_reason, now)
        if self.is_failure:
            released = portfolio.release_after_rollback(now, self.rebalance.rebalance_id, self._reason_code, limits)
            return released.request_investment() if self.rebalance.trigger is Trigger.DEPOSIT else released
        if self.rebalance.status is _S.ROLLED_BACK:
            return portfolio.release_after_cancellation(now, limits)
        due = EvaluationCause.HOLDINGS if self.rebalanced else EvaluationCause.REFUSED
        return portfolio.release(now, due, rebalanced=self.rebalanced)

    def records(
        self, portfolio: Portfolio, now: datetime, limits: BrakeLimits
    ) -> tuple[Rebalance | Portfolio | CashEntry, ...]:
        """Return the records to write: rebalance and portfolio, and the cash entry of a withdrawal that is paid now."""
        payout = pay_out(self.rebalance, portfolio, now)
        if payout is None:
            return (self.rebalance, self.apply_to(portfolio, now, limits))
        return (payout.rebalance, self.apply_to(payout.portfolio, now, limits), payout.entry)


def quarantine_of_refusals(rebalance: Rebalance, now: datetime, limits: BrakeLimits) -> dict[str, Quarantine]:
    """Return the symbols whose orders the broker refused permanently, each with the refused side in quarantine."""
    quarantine: dict[str, Quarantine] = {}
    until = now + timedelta(seconds=limits.quarantine_seconds)
    for order in journal_of(rebalance).orders:
        if order.refusal is not RefusalKind.PERMANENT:
            continue
        restriction = Restriction.NO_BUY if order.side is Side.BUY else Restriction.NO_SELL
        reason = order.reason or "no reason given"
        refused = Quarantine(restriction, reason, rebalance.rebalance_id, now, until)
        earlier = quarantine.get(order.symbol)
        quarantine[order.symbol] = earlier.join(refused) if earlier else refused
    return quarantine


def start_wave(rebalance: Rebalance, now: datetime, unrestored: Mapping[str, Decimal]) -> Rebalance:
    """Record the intent to send the next wave; return the same rebalance where a cancellation came first.

    `unrestored` are the quantities that a wave of reversals does not buy back.
    """
    execution = journal_of(rebalance)
    if execution.next_wave is None or not _may_start(execution):
        return rebalance
    status = _S.EXECUTING if rebalance.status is _S.PLANNED else rebalance.status
    wave = execution.cut_reversals(unrestored).start_wave(execution.next_wave, now)
    return rebalance.transition(status, now, execution=wave)


def next_reversals(execution: Execution) -> tuple[Order, ...]:
    """Return the reversals of the next wave."""
    return tuple(order for order in execution.orders if order.wave == execution.next_wave and order.reverses)


def settle_wave(rebalance: Rebalance, execution: Execution, now: datetime, limits: RetryLimits) -> WaveResult:
    """Return the result of a finished wave whose fills are posted in `execution`."""
    if rebalance.status is _S.COMPENSATING:
        return _settle_reversals(rebalance, execution, now, limits)
    ended = [order for order in execution.current if order.status is OrderStatus.ENDED]
    if execution.is_cancelled and (ended or execution.next_wave):
        return _end_cancelled(rebalance, execution, now)
    if execution.wave >= FIRST_TOP_UP:
        ended = []  # a top-up is an addition to the plan: what it did not buy stays cash
    refused = [order for order in ended if not order.filled]
    if refused or (ended and execution.policy.on_partial_fill is OnIncomplete.COMPENSATE):
        rule, outcome = ("order_refused", "Refused") if refused else ("partial_fill", "Partially filled")
        return _compensate(rebalance, execution, now, rule, _describe(outcome, refused or ended))
    execution = _plan_more_buys(rebalance, execution, now)
    if execution.next_wave:
        return WaveResult(rebalance.transition(_S.EXECUTING, now, execution=execution))
    return _complete(rebalance, execution, now, "executed", "Every order was filled.")


def _plan_more_buys(rebalance: Rebalance, execution: Execution, now: datetime) -> Execution:
    """Return the journal with its buys fitted to the cash, or with a wave of top-ups after complete fills.

    Top-ups that could not be sent are skipped.
    """
    if execution.is_topping_up:
        return _skip_unsent(execution)
    if execution.next_wave:
        return buy_sizing.fit_buys_to_cash(execution)
    is_whole = all(order.status is OrderStatus.FILLED for order in execution.orders)
    if not is_whole or now >= execution.deadline:
        return execution
    return buy_sizing.plan_top_up(execution, rebalance.rebalance_id)


def _end_cancelled(rebalance: Rebalance, execution: Execution, now: datetime) -> WaveResult:
    if execution.policy.on_cancel is OnIncomplete.KEEP:
        return _complete(rebalance, _skip_unsent(execution), now, CANCELLED_CODE, "Cancelled; the fills are kept.")
    return _compensate(rebalance, execution, now, CANCELLED_CODE, "Cancelled; the fills are reversed.")


def post_first_fills(rebalance: Rebalance, count: int, now: datetime) -> WaveResult:
    """Return the rebalance with the first `count` unposted fills of its wave posted, in an unchanged state."""
    execution = journal_of(rebalance)
    posted = execution.mark_posted(execution.unposted[:count])
    return WaveResult(rebalance.transition(rebalance.status, now, execution=posted))


def cancel_unsent(rebalance: Rebalance, now: datetime, detail: str, code: str = CANCELLED_CODE) -> Rebalance:
    """Cancel a rebalance before any order was sent."""
    execution = rebalance.execution and _release(_skip_unsent(rebalance.execution))
    why = _explain(rebalance, code, detail)
    return rebalance.transition(_S.CANCELLED, now, reason=why, execution=execution)


def give_up(rebalance: Rebalance, now: datetime) -> WaveResult:
    """Make the rebalance STALE with unfinished orders, and post the fills of the finished ones.

    The reason names the unfinished orders. The filled part of an open order is not posted, because nothing would post
    the rest of the order later.
    """
    execution = journal_of(rebalance)
    unknown = [order.symbol for order in execution.current if order.status is OrderStatus.SENT]
    still_open = [
        f"{order.symbol} ({plain(order.filled)} of {plain(order.quantity)} filled)"
        for order in execution.current
        if order.status is OrderStatus.OPEN
    ]
    reasons = ["the deadline passed before the rebalance had ended"] if now >= execution.deadline else []
    if unknown:
        reasons.append(f"the broker does not confirm or deny the orders for {', '.join(unknown[:MAX_NAMED])}")
    if still_open:
        reasons.append(f"still open at the broker, and not posted: {', '.join(still_open[:MAX_NAMED])}")
    return mark_stale(rebalance, execution.mark_posted(), now, "; ".join(reasons))


def mark_stale(rebalance: Rebalance, execution: Execution, now: datetime, reason: str) -> WaveResult:
    """Make rebalance and portfolio STALE: only an operator can tell what the portfolio holds."""
    why = _explain(rebalance, "stale", f"{reason[:1].upper()}{reason[1:]}.")
    return WaveResult(
        rebalance.transition(_S.STALE, now, execution=_release(execution), reason=why), stale_reason=reason
    )


def mark_stale_if_overdrawn(
    result: WaveResult, rebalance: Rebalance, cash: Decimal | None, now: datetime
) -> WaveResult:
    """Return the result, or STALE if the execution would end with negative cash, for example after unplanned fees.

    Cash may be negative while the execution goes on, because reversals can restore the balance. An execution that
    raised cash did not overdraw a balance that was negative before.
    """
    if cash is None or cash >= 0 or not result.is_final or result.stale_reason is not None:
        return result
    if (result.rebalance.execution or journal_of(rebalance)).cash_change > 0:
        return result
    reason = f"after posting the fills and their fees, cash is {plain(cash)}"
    return mark_stale(rebalance, result.rebalance.execution or journal_of(rebalance), now, reason)


def _settle_reversals(rebalance: Rebalance, execution: Execution, now: datetime, limits: RetryLimits) -> WaveResult:
    if execution.is_reversed:
        reason = _add_unrestored(rebalance.reason, execution)
        return WaveResult(rebalance.transition(_S.ROLLED_BACK, now, execution=_release(execution), reason=reason))
    if execution.reversals >= MAX_REVERSALS:
        symbols = ", ".join(sorted(execution.net_fills())[:MAX_NAMED])
        return mark_stale(rebalance, execution, now, f"{symbols} could not be reversed in {MAX_REVERSALS} tries")
    wake_at = now + timedelta(seconds=limits.reversal_seconds)
    retrying = replace(execution.plan_reversals(rebalance.rebalance_id), wake_at=wake_at)
    return WaveResult(rebalance.transition(_S.COMPENSATING, now, execution=retrying))


def _add_unrestored(reason: Reason | None, execution: Execution) -> Reason | None:
    """Return the reason with the quantities that were not bought back, in the sentence and in the details."""
    if reason is None or not execution.unrestored:
        return reason
    missing = {symbol: plain(quantity) for symbol, quantity in sorted(execution.unrestored.items())}
    named = ", ".join(f"{quantity} {symbol}" for symbol, quantity in list(missing.items())[:MAX_NAMED])
    message = f"{reason.message} Not bought back, because the cash did not pay for it: {named}."
    return replace(reason, message=message, details={**reason.details, "not_bought_back": missing})


def _complete(rebalance: Rebalance, execution: Execution, now: datetime, rule: str, detail: str) -> WaveResult:
    planned = (order for order in execution.orders if order.wave < FIRST_TOP_UP)
    is_whole = all(order.status is OrderStatus.FILLED for order in planned)
    status = _S.COMPLETED if is_whole else _S.COMPLETED_ADJUSTED
    if not is_whole and rule == "executed":
        rule, detail = "adjusted", "Not every order was filled; `orders` shows the rest."
    why = _explain(rebalance, rule, detail)
    moved = rebalance.transition(status, now, execution=_release(execution), reason=why)
    return WaveResult(moved, rebalanced=any(order.filled for order in execution.orders))


def _compensate(rebalance: Rebalance, execution: Execution, now: datetime, rule: str, detail: str) -> WaveResult:
    reversing = replace(execution.plan_reversals(rebalance.rebalance_id), wake_at=None)
    why = _explain(rebalance, rule, detail)
    return WaveResult(rebalance.transition(_S.COMPENSATING, now, execution=reversing, reason=why))


def _release(execution: Execution) -> Execution:
    return replace(execution, lease_until=None, wake_at=None, waits_for=None)


def _skip_unsent(execution: Execution) -> Execution:
    unsent = [order for order in execution.orders if order.status is OrderStatus.PLANNED]
    return execution.update_orders(lambda order: replace(order, status=OrderStatus.SKIPPED, is_posted=True), unsent)


def _describe(outcome: str, orders: list[Order]) -> str:
    named = (f"{order.symbol} ({order.reason or 'no reason given'})" for order in orders[:MAX_NAMED])
    return f"{outcome}: {', '.join(named)}."


def _explain(rebalance: Rebalance, code: str, message: str) -> Reason:
    """Return the reason for the end of a rebalance; the details of its decision are kept."""
    decision = rebalance.reason
    details = dict(decision.details) if decision else {}
    if decision is not None and "decided" not in details:
        details["decided"] = decision.code
    return Reason(code, message, details)
