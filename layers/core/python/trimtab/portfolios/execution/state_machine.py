"""The saga: what the execution worker does next, and what a finished wave comes to. Pure; the journal decides."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.model import Portfolio, WatchDue
from trimtab.portfolios.portfolio.policy import Afterwards
from trimtab.portfolios.rebalancing.journal import MAX_REVERSALS, Execution
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Why
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus

_S = RebalanceStatus


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the worker waits: for an order to fill before it is cancelled, before reversals are tried again, while
    orders are halted; how often an order may be sent without an answer, and how often more while others are being
    cancelled before it is given up. Times are in seconds."""

    order_seconds: int = 300
    reversal_seconds: int = 30
    halt_seconds: int = 60
    most_attempts: int = 8
    last_attempts: int = 2
    longest_pause_seconds: int = 60


class Move(StrEnum):
    """What comes next: start a wave, ask the broker about it, book it, wait, or give up at the deadline."""

    START = "start"
    ASK = "ask"
    SETTLE = "settle"
    WAIT = "wait"
    EXPIRE = "expire"


def next_move(execution: Execution, now: datetime) -> Move:
    """What the journal says comes next."""
    if not execution.is_wave_over:
        return Move.EXPIRE if now >= execution.deadline else Move.ASK
    if not execution.is_wave_booked:
        return Move.SETTLE
    if now >= execution.deadline:
        return Move.EXPIRE
    if execution.wake_at is not None and execution.wake_at > now:
        return Move.WAIT
    return Move.START


def pause_seconds(execution: Execution, patience: Patience) -> int:
    """How long to wait before the broker is asked again: twice as long each time."""
    return int(min(2**execution.passes, patience.longest_pause_seconds))


def is_to_be_cancelled(execution: Execution, patience: Patience, now: datetime) -> bool:
    """Whether the open orders of the wave shall end: somebody cancelled the run, they take too long, or it is about to
    be given up.

    Reversals are never cancelled by a cancel: they are what it asked for.
    """
    started = execution.wave_started_at or now
    reverses = any(each.reverses for each in execution.current)
    ends_at = min(started + timedelta(seconds=patience.order_seconds), execution.deadline)
    is_lost = bool(unknown_for_good(execution, patience))
    return (execution.is_cancelled and not reverses) or now >= ends_at or is_lost


def unknown_for_good(execution: Execution, patience: Patience) -> tuple[Order, ...]:
    """The orders of which nobody knows whether they arrived, after as many tries as there are."""
    return tuple(
        each
        for each in execution.current
        if each.status is OrderStatus.SENT and each.attempts >= patience.most_attempts
    )


def is_to_be_given_up(execution: Execution, patience: Patience) -> bool:
    """Whether there are such orders, and no other is open any more or could be ended in a few looks."""
    lost = unknown_for_good(execution, patience)
    if any(each.status is OrderStatus.OPEN for each in execution.current):
        lost = tuple(each for each in lost if each.attempts >= patience.most_attempts + patience.last_attempts)
    return bool(lost)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rebalance becomes: its next version, and what that means for the portfolio."""

    rebalance: Rebalance
    rebalanced: bool = False
    stale_reason: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether the portfolio is let go."""
        return not self.rebalance.is_with_the_broker

    def released(self, portfolio: Portfolio, now: datetime) -> Portfolio:
        """The portfolio after it, one version on; still locked while there is more to do."""
        if self.stale_reason is not None:
            return portfolio.stale(self.stale_reason, now)
        if not self.is_final:
            return replace(portfolio, version=portfolio.version + 1, updated_at=now, events=())
        due = WatchDue.HOLDINGS if self.rebalanced else WatchDue.REFUSED
        return portfolio.released(now, due, rebalanced=self.rebalanced)


def settled(rebalance: Rebalance, execution: Execution, now: datetime, patience: Patience) -> Verdict:
    """What a wave that is over comes to, once its fills are booked."""
    if rebalance.status is _S.COMPENSATING:
        return _reversed(rebalance, execution, now, patience)
    ended = [each for each in execution.current if each.status is OrderStatus.ENDED]
    if execution.is_cancelled and (ended or execution.next_wave):
        if execution.terms.on_cancel is Afterwards.KEEP:
            return _completed(rebalance, _without_the_rest(execution), now, "cancelled", "Cancelled; the fills stay.")
        return _compensating(rebalance, execution, now, "cancelled", "Cancelled: what was filled is reversed.")
    refused = [each for each in ended if not each.filled]
    if refused or (ended and execution.terms.on_partial_fill is Afterwards.COMPENSATE):
        rule, detail = ("order_refused", "Refused") if refused else ("partial_fill", "Filled in part")
        return _compensating(rebalance, execution, now, rule, _names(detail, refused or ended))
    execution = execution.with_buys_paid_for()
    if execution.next_wave:
        return Verdict(rebalance.moved_to(_S.EXECUTING, now, execution=execution))
    return _completed(rebalance, execution, now, "executed", "Every order was filled.")


def _names(what: str, orders: list[Order]) -> str:
    each = ", ".join(f"{it.symbol} ({it.reason or 'no reason given'})" for it in orders[:10])
    return f"{what}: {each}."


def _completed(rebalance: Rebalance, execution: Execution, now: datetime, rule: str, detail: str) -> Verdict:
    whole = all(each.status is OrderStatus.FILLED for each in execution.orders)
    status = _S.COMPLETED if whole else _S.COMPLETED_ADJUSTED
    if not whole and rule == "executed":
        rule, detail = "adjusted", "What could be filled was filled; see the orders for the rest."
    ended = replace(execution, lease_until=None, wake_at=None)
    moved = rebalance.moved_to(status, now, execution=ended, why=_because(rebalance, rule, detail))
    return Verdict(moved, rebalanced=any(each.filled for each in execution.orders))


def _without_the_rest(execution: Execution) -> Execution:
    rest = [each for each in execution.orders if each.status is OrderStatus.PLANNED]
    return execution.changed(lambda it: replace(it, status=OrderStatus.SKIPPED, is_booked=True), rest)


def _compensating(rebalance: Rebalance, execution: Execution, now: datetime, rule: str, detail: str) -> Verdict:
    reversing = replace(execution.reversing(rebalance.rebalance_id), wake_at=None)
    why = _because(rebalance, rule, detail)
    return Verdict(rebalance.moved_to(_S.COMPENSATING, now, execution=reversing, why=why))


def _reversed(rebalance: Rebalance, execution: Execution, now: datetime, patience: Patience) -> Verdict:
    left = execution.net_fills()
    if not left:
        return rolled_back(rebalance, execution, now)
    if execution.reversals >= MAX_REVERSALS:
        reason = f"{', '.join(sorted(left)[:10])} could not be reversed in {MAX_REVERSALS} tries"
        return stale(rebalance, execution, now, reason)
    again = replace(
        execution.reversing(rebalance.rebalance_id), wake_at=now + timedelta(seconds=patience.reversal_seconds)
    )
    return Verdict(rebalance.moved_to(_S.COMPENSATING, now, execution=again))


def rolled_back(rebalance: Rebalance, execution: Execution, now: datetime) -> Verdict:
    """Everything that was filled is reversed; the difference of the prices is booked."""
    ended = replace(execution, lease_until=None, wake_at=None)
    return Verdict(rebalance.moved_to(_S.ROLLED_BACK, now, execution=ended))


def stale(rebalance: Rebalance, execution: Execution, now: datetime, reason: str) -> Verdict:
    """Nobody knows any more what the portfolio holds: an operator has to."""
    ended = replace(execution, lease_until=None, wake_at=None)
    why = _because(rebalance, "stale", f"{reason[:1].upper()}{reason[1:]}.")
    return Verdict(rebalance.moved_to(_S.STALE, now, execution=ended, why=why), stale_reason=reason)


def unless_overdrawn(verdict: Verdict, rebalance: Rebalance, cash: Decimal | None, now: datetime) -> Verdict:
    """The verdict; stale where it would let the portfolio go with less than no cash, as fees can do that no plan knew.

    While there is more to do, cash may be below zero: a reversal brings it back.
    """
    if cash is None or cash >= 0 or not verdict.is_final or verdict.stale_reason is not None:
        return verdict
    execution = verdict.rebalance.execution or rebalance.execution
    assert execution is not None  # noqa: S101 - only rebalances with one are executed
    return stale(rebalance, execution, now, f"with what was filled and its fees booked, cash is {plain(cash)}")


def given_up(rebalance: Rebalance, execution: Execution, now: datetime, reason: str) -> Verdict:
    """Stale with orders of the wave that are not over: the reason names those, and what filled of the others is booked.

    A part that an open order has filled is not: nobody would book the rest of it.
    """
    unknown = [each.symbol for each in execution.current if each.status is OrderStatus.SENT]
    still_open = [
        f"{each.symbol} ({plain(each.filled)} of {plain(each.quantity)} filled)"
        for each in execution.current
        if each.status is OrderStatus.OPEN
    ]
    facts = [reason] if reason else []
    if unknown:
        facts.append(f"the broker does not say what became of the orders for {', '.join(unknown[:10])}")
    if still_open:
        facts.append(f"still open at the broker, and not booked: {', '.join(still_open[:10])}")
    return stale(rebalance, execution.booked(), now, "; ".join(facts))


def cancelled(rebalance: Rebalance, now: datetime, detail: str) -> Rebalance:
    """Ended before anything was sent."""
    execution = rebalance.execution and replace(_without_the_rest(rebalance.execution), lease_until=None, wake_at=None)
    why = _because(rebalance, "cancelled", detail)
    return rebalance.moved_to(_S.CANCELLED, now, why=why, execution=execution)


def _because(rebalance: Rebalance, rule: str, detail: str) -> Why:
    """The reason why it ended so, with the decision that began it kept beside."""
    decision = rebalance.why
    facts = dict(decision.facts) if decision else {}
    if decision is not None and "decided" not in facts:
        facts["decided"] = decision.rule
    return Why(rule, detail, facts)
