"""Executions: a planned rebalance is traded through the broker, once, whatever fails in between.

The journal in the item says what has been done, and is written before anything that it speaks of is done. One worker
at a time holds the lease; each of its writes takes effect only on the version before, so a worker that lost the lease
can change nothing. Waiting is a delayed message, never a worker that sleeps.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Refusal
from trimtab.kernel.money import CONTEXT, ZERO
from trimtab.kernel.retry import TRIES, ConditionFailed, pause
from trimtab.portfolios.execution import state_machine as saga
from trimtab.portfolios.execution.broker import Broker
from trimtab.portfolios.execution.order_sync import Asking
from trimtab.portfolios.execution.state_machine import Move, Patience, Verdict
from trimtab.portfolios.ledger.posting import booked_together, trades_of_fills
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import Halts, Ledger, Requests, Store
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus

MAX_MOVES = 20  # of one invocation: four waves of reversals and their bookings, with room
BOOKED_AT_ONCE = 90  # fills: with portfolio and rebalance, a transaction of DynamoDB has at most 100 items

Parallel = Callable[[Callable[[Order], Order], Iterable[Order]], Iterable[Order]]
"""`map`, or one that does several at once."""


class LeaseLost(Exception):
    """Another worker took the rebalance over: whatever is left to do is its business."""


@dataclass(frozen=True, slots=True)
class Executions:
    """What the worker of the queue `rebalance-executions` does."""

    store: Store
    ledger: Ledger
    broker: Broker
    halts: Halts
    requests: Requests
    clock: Clock
    lease_seconds: int
    patience: Patience = field(default_factory=Patience)
    parallel: Parallel = map
    tell: Callable[[str], None] = lambda _: None
    """Counts what an operator wants to see."""
    note: Callable[[Exception], None] = lambda _: None
    """Logs what a broker should not raise."""
    booked_at_once: int = BOOKED_AT_ONCE

    def run(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> Rebalance | None:
        """The rebalance as far as it can be brought now. None if there is none.

        Raises `LeaseLost` where another worker has taken it over, `Conflict` where its items are contended.
        """
        portfolio, rebalance = self.store.both(tenant_id, portfolio_id, rebalance_id)
        if portfolio is None or rebalance is None or rebalance.execution is None:
            return None
        if not rebalance.is_with_the_broker:
            return rebalance
        now = self.clock()
        held_until = rebalance.execution.lease_until
        if held_until is not None and held_until > _milliseconds(now):
            self.requests.send(rebalance, delay_seconds=(held_until - _milliseconds(now)) // 1000 + 1)
            return rebalance
        run = _Run(self, portfolio, rebalance)
        run.take_lease(now)
        return run.to_the_end_or_the_next_wait()


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


@dataclass(slots=True)
class _Run:
    """One invocation: the newest versions of both items, under this worker's lease."""

    on: Executions
    portfolio: Portfolio
    rebalance: Rebalance
    sent_here: bool = False
    """Whether the present wave was begun by this invocation: then nothing of it can be at the broker yet."""

    @property
    def execution(self) -> Execution:
        assert self.rebalance.execution is not None  # noqa: S101 - `Executions.run` has seen to it
        return self.rebalance.execution

    def take_lease(self, now: datetime) -> None:
        """Raises the fence: what its holder before was about to write is refused from here on."""
        was = self.execution
        taken = replace(
            was,
            fence=was.fence + 1,
            lease_until=_milliseconds(now) + self.on.lease_seconds * 1000,
            resumes=was.resumes + (was.lease_until is not None),
        )
        # Only what comes of it shows that a worker lives: until then the sweeper goes on counting.
        counted = {"resends": self.rebalance.resends, "is_stuck": self.rebalance.is_stuck}
        mine = self.rebalance.moved_to(self.rebalance.status, now, execution=taken, **counted)
        try:
            self.on.store.put(mine)
        except ConditionFailed:
            raise Conflict("contended", "Another worker is at it.", retry_after_seconds=1) from None
        self.rebalance = mine
        if taken.resumes > was.resumes:
            self.on.tell("ExecutionsResumed")

    def to_the_end_or_the_next_wait(self) -> Rebalance:
        for _ in range(MAX_MOVES):
            move = saga.next_move(self.execution, self.on.clock())
            wake_at = self._make(move)
            if wake_at is not None:
                self._wait(wake_at)
            if wake_at is not None or not self.rebalance.is_with_the_broker:
                return self.rebalance
        self._wait(self.on.clock())
        return self.rebalance

    def _make(self, move: Move) -> datetime | None:
        """Makes a move; until when to wait after it, None to go on at once."""
        match move:
            case Move.START:
                return self._start()
            case Move.ASK:
                return self._ask()
            case Move.SETTLE:
                self._settle()
            case Move.WAIT:
                # Not a second later: two messages of one rebalance would put it off for each other for ever.
                return self.execution.wake_at
            case Move.EXPIRE:
                self._expire()
        return None

    # Moves -------------------------------------------------------------------------------------------------------

    def _start(self) -> datetime | None:
        """Writes the intent to send the next wave, and sends nothing yet."""
        wave = self.execution.next_wave
        if wave is None:
            self._conclude(lambda it, now: saga.rolled_back(it, _journal(it), now))
            return None
        if self.execution.is_cancelled and not self._reverses(wave):
            self._conclude(lambda it, now: saga.settled(it, _journal(it), now, self.on.patience))
            return None
        if self.on.halts.reason(self.portfolio.tenant_id) is not None:
            return self._in(self.on.patience.halt_seconds)
        if not self._can_pay_for(wave):
            reason = "buying back what was sold costs more than the portfolio's cash"
            self._conclude(lambda it, now: saga.stale(it, _journal(it), now, reason))
            return None
        status = self.rebalance.status
        if status is RebalanceStatus.PLANNED:
            status = RebalanceStatus.EXECUTING

        def started(it: Rebalance, now: datetime) -> Rebalance:
            # A cancel that came in between stops the wave; then the next move looks at it.
            if it.status is RebalanceStatus.CANCELLED or (_journal(it).is_cancelled and not self._reverses(wave)):
                return it
            return it.moved_to(status, now, execution=_journal(it).started(wave, now))

        before = self.rebalance
        self._write(lambda now: (started(self.rebalance, now),))
        self.sent_here = self.rebalance is not before and self.execution.wave == wave
        if not self.sent_here and self.rebalance.is_with_the_broker:
            self._conclude(lambda it, now: saga.settled(it, _journal(it), now, self.on.patience))
        return None

    def _reverses(self, wave: int) -> bool:
        return any(each.reverses for each in self.execution.orders if each.wave == wave)

    def _can_pay_for(self, wave: int) -> bool:
        """Whether cash covers what a wave of reversals buys back, at the quotes of now."""
        orders = [each for each in self.execution.orders if each.wave == wave and each.reverses]
        if not any(each.side is Side.BUY for each in orders):
            return True
        quotes = self.on.ledger.quotes(sorted({each.symbol for each in orders}))
        cash = self.portfolio.cash or ZERO
        for each in orders:
            quote = quotes.get(each.symbol)
            worth = CONTEXT.multiply(each.quantity, (quote and quote.price) or each.price)
            cash += worth if each.side is Side.SELL else -worth
        return cash >= 0

    def _ask(self) -> datetime | None:
        """Sends what was not sent, looks up what was, and writes what is known then."""
        now = self.on.clock()
        stopping = saga.is_to_be_cancelled(self.execution, self.on.patience, now)
        halted = not self.sent_here and self._halted_with_unknown_orders()
        waiting = [each for each in self.execution.current if not each.status.is_over]
        known = {
            order.client_order_id: order
            for order in self.on.parallel(lambda it: self._brought_up(it, stopping=stopping, halted=halted), waiting)
        }
        self.sent_here = False

        def asked(it: Rebalance, now: datetime) -> Rebalance:
            journal = _journal(it).changed(lambda order: known[order.client_order_id], waiting)
            return it.moved_to(it.status, now, execution=replace(journal, passes=journal.passes + 1))

        self._write(lambda now: (asked(self.rebalance, now),))
        if self.execution.is_wave_over:
            return None
        if saga.is_to_be_given_up(self.execution, self.on.patience):
            self._give_up()
            return None
        return self._in(saga.pause_seconds(self.execution, self.on.patience))

    def _halted_with_unknown_orders(self) -> bool:
        unknown = any(each.status is OrderStatus.SENT for each in self.execution.current)
        return unknown and self.on.halts.reason(self.portfolio.tenant_id) is not None

    def _brought_up(self, order: Order, *, stopping: bool, halted: bool) -> Order:
        on, account = self.on, self.portfolio.portfolio_id
        return Asking(on.broker, account, self.sent_here, halted, stopping, on.note).brought_up(order)

    def _settle(self) -> None:
        """Books the fills of the wave, together with what the wave comes to."""
        self._conclude(lambda it, now: saga.settled(it, _journal(it).booked(), now, self.on.patience))

    def _expire(self) -> None:
        """The deadline has passed: nothing sent, nothing done; else a last look, and an operator has to know."""
        if self.rebalance.status is RebalanceStatus.PLANNED:
            detail = "The deadline passed before anything was sent."
            self._conclude(lambda it, now: Verdict(saga.cancelled(it, now, detail)))
        elif self.execution.is_wave_over or self._ask() is not None:
            self._give_up("the deadline passed before the rebalance had ended")

    def _give_up(self, reason: str = "") -> None:
        self._conclude(lambda it, now: saga.given_up(it, _journal(it), now, reason))

    # Writes ------------------------------------------------------------------------------------------------------

    def _conclude(self, verdict_of: Callable[[Rebalance, datetime], Verdict]) -> None:
        """The verdict in one transaction with the trades of all fills that were not booked, and the portfolio after
        them. Where the fills are too many for one, others go before it: each with its say in the journal."""
        before, most = self.rebalance, self.on.booked_at_once

        def booked_in_part(it: Rebalance, now: datetime) -> Verdict:
            return Verdict(it.moved_to(it.status, now, execution=_journal(it).booked(_journal(it).unbooked[:most])))

        for _ in range((len(self.execution.unbooked) - 1) // most):
            self._book(booked_in_part)
            if not self.rebalance.is_with_the_broker:
                break  # the ledger has refused them
        else:
            self._book(verdict_of)
        self._tell_what_became_of(before)

    def _book(self, verdict_of: Callable[[Rebalance, datetime], Verdict]) -> None:
        """One transaction: the verdict, the trades of as many fills as it holds, and the portfolio after them."""

        def things(now: datetime) -> tuple[Portfolio | Rebalance | Trade, ...]:
            unbooked = self.execution.unbooked[: self.on.booked_at_once]
            verdict = verdict_of(self.rebalance, now)
            trades = trades_of_fills(self.portfolio, self.rebalance.rebalance_id, unbooked, now)
            try:
                booked = booked_together(self.on.ledger, self.portfolio, trades, now)
            except Refusal as refusal:
                # The broker has done what the ledger cannot hold: nothing is booked, and an operator has to look.
                verdict = saga.stale(self.rebalance, self.execution, now, refusal.detail.rstrip("."))
                trades, booked = [], self.portfolio
            verdict = saga.unless_overdrawn(verdict, self.rebalance, booked.cash, now)
            if not trades and not verdict.is_final:
                return (verdict.rebalance,)
            return (verdict.rebalance, verdict.released(booked, now), *trades)

        self._write(things)

    def _tell_what_became_of(self, before: Rebalance) -> None:
        was_reversing = before.status is RebalanceStatus.COMPENSATING
        match self.rebalance.status:
            case RebalanceStatus.COMPENSATING:
                self.on.tell("CompensationFailures" if was_reversing else "Compensations")
            case RebalanceStatus.STALE:
                self.on.tell("StalePortfolios")
                if was_reversing:
                    self.on.tell("CompensationFailures")

    def _in(self, seconds: int) -> datetime:
        return self.on.clock() + timedelta(seconds=seconds)

    def _wait(self, wake_at: datetime) -> None:
        """Lets go of the lease and asks to be woken; the message comes last, for without it the sweeper sends one."""

        def resting(it: Rebalance, now: datetime) -> Rebalance:
            journal = replace(_journal(it), lease_until=None, wake_at=wake_at)
            return it.moved_to(it.status, now, execution=journal)

        self._write(lambda now: (resting(self.rebalance, now),))
        if self.rebalance.is_with_the_broker:
            seconds = ceil((wake_at - self.on.clock()).total_seconds())
            self.on.requests.send(self.rebalance, delay_seconds=max(0, seconds))

    def _write(self, things_at: Callable[[datetime], tuple[Portfolio | Rebalance | Trade, ...]]) -> None:
        """Writes what follows from the newest versions; made anew where somebody else changed them meanwhile."""
        for number in range(TRIES):
            if number:
                pause(number)
            things = things_at(self.on.clock())
            if things == (self.rebalance,):
                return
            try:
                self.on.ledger.put(*things)
            except ConditionFailed:
                if self._is_there_already(things):
                    return
                continue
            self._remember(things)
            return
        raise Conflict("contended", "Others keep changing it.", retry_after_seconds=1)

    def _is_there_already(self, things: tuple[Portfolio | Rebalance | Trade, ...]) -> bool:
        """Reads both items again; whether this very write took effect, with its answer lost.

        Raises `LeaseLost` where another worker has raised the fence.
        """
        it = self.rebalance
        portfolio, rebalance = self.on.store.both(it.tenant_id, it.portfolio_id, it.rebalance_id)
        if portfolio is None or rebalance is None or rebalance.execution is None:
            raise LeaseLost
        if rebalance.execution.fence != self.execution.fence or not rebalance.is_with_the_broker:
            done = rebalance in things
            self.portfolio, self.rebalance = portfolio, rebalance
            if done:
                return True
            raise LeaseLost
        self.portfolio, self.rebalance = portfolio, rebalance
        return rebalance in things

    def _remember(self, things: tuple[Portfolio | Rebalance | Trade, ...]) -> None:
        for thing in things:
            if isinstance(thing, Portfolio):
                self.portfolio = thing
            elif isinstance(thing, Rebalance):
                self.rebalance = thing


def _journal(rebalance: Rebalance) -> Execution:
    assert rebalance.execution is not None  # noqa: S101 - only rebalances with one are executed
    return rebalance.execution
