"""The execution worker: trades a planned rebalance through the broker, exactly once, whatever fails in between.

The journal in the rebalance item is a write-ahead log: it is saved before each step that it describes. One worker at a
time holds the lease; every write is conditional on the version before, so a worker that lost the lease changes
nothing. Waiting is a delayed message, never a sleeping worker. `state_machine.py` says what the next step is.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import ceil
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.kernel.clock import Clock, to_epoch_milliseconds
from trimtab.kernel.errors import Conflict, Refusal
from trimtab.kernel.money import ZERO
from trimtab.kernel.retry import MAX_ATTEMPTS, ConditionFailed, sleep_before_retry
from trimtab.portfolios.execution import state_machine, waiting
from trimtab.portfolios.execution.broker import Broker, BrokerTerms
from trimtab.portfolios.execution.halts import HaltStore
from trimtab.portfolios.execution.order_sync import OrderSync
from trimtab.portfolios.execution.state_machine import CANCELLED_CODE, NextStep, WaveResult, journal_of
from trimtab.portfolios.execution.waiting import HALTED, MARKET_CLOSED, MESSAGE_RATE, Pause, RetryLimits
from trimtab.portfolios.ledger.new_entries import RebalanceTrade
from trimtab.portfolios.ledger.posting import post_fills
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import OnIncomplete
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.buy_sizing import Quantities, unpaid_reversals
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus
from trimtab.portfolios.rebalancing.store import RebalanceStore

MAX_STEPS = 30
"""Steps of one invocation: up to eight waves, each started, synchronised and settled, and a margin."""
MAX_FILLS_PER_TRANSACTION = 90
"""Fills in one transaction: portfolio and rebalance included, DynamoDB allows 100 items."""

ParallelMap = Callable[[Callable[[Order], Order], Iterable[Order]], Iterable[Order]]
"""`map`, or the `map` of a thread pool."""
Record = Portfolio | Rebalance | Trade | CashEntry


class LeaseLost(Exception):
    """Raised when another worker has taken over the rebalance; this worker must stop."""


class ExecutionWorker(Struct, frozen=True):
    """Consumer of the queue `rebalance-executions`.

    `parallel_map` sends the orders of a wave. `count` increments the metric of the given name; `log_error` logs
    exceptions that a broker should not raise. `terms` say whether the broker trades in sessions only.
    `reserve_messages` returns how many of the wanted messages may go to the broker in this minute.
    """

    store: RebalanceStore
    ledger: LedgerStore
    broker: Broker
    halts: HaltStore
    queues: WorkerQueues
    clock: Clock
    lease_seconds: int
    limits: RetryLimits = field(default_factory=RetryLimits)
    parallel_map: ParallelMap = map
    count: Callable[[str], None] = lambda _: None
    log_error: Callable[[Exception], None] = lambda _: None
    max_fills_per_transaction: int = MAX_FILLS_PER_TRANSACTION
    terms: BrokerTerms = BrokerTerms()
    reserve_messages: Callable[[int, datetime], int] = lambda wanted, _: wanted

    def run(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> Rebalance | None:
        """Advance the rebalance until the end or the next wait, and return the rebalance; None if not found.

        Raises `LeaseLost` where another worker has taken over, `Conflict` where concurrent writes persist.
        """
        portfolio, rebalance = self.store.portfolio_and_rebalance(tenant_id, portfolio_id, rebalance_id)
        if portfolio is None or rebalance is None or rebalance.execution is None:
            return None
        if not rebalance.is_in_execution:
            return rebalance
        now = self.clock()
        lease_until = rebalance.execution.lease_until
        if lease_until is not None and lease_until > to_epoch_milliseconds(now):
            self.queues.wake(rebalance, delay_seconds=(lease_until - to_epoch_milliseconds(now)) // 1000 + 1)
            return rebalance
        run = _ExecutionRun(self, portfolio, rebalance)
        run.take_lease(now)
        return run.advance()


class _ExecutionRun(Struct):
    """State of an invocation: the newest versions of portfolio and rebalance, under the lease of the worker.

    `is_new_wave`: the invocation started the present wave, so the broker cannot have any of the orders yet.
    `synced_at`: time of the newest synchronisation of the present wave. `is_rate_limited`: the message rate kept orders
    from being synchronised then.
    """

    worker: ExecutionWorker
    portfolio: Portfolio
    rebalance: Rebalance
    is_new_wave: bool = False
    synced_at: datetime | None = None
    is_rate_limited: bool = False

    @property
    def execution(self) -> Execution:
        return journal_of(self.rebalance)

    def take_lease(self, now: datetime) -> None:
        """Raise the fence: pending writes of the previous lease holder are refused from here on."""
        before = self.execution
        leased = replace(
            before,
            fence=before.fence + 1,
            lease_until=to_epoch_milliseconds(now) + self.worker.lease_seconds * 1000,
            resumes=before.resumes + (before.lease_until is not None),
        )
        # The sweeper's count is kept: only progress, not a lease, shows that the execution is alive.
        counted = {"resends": self.rebalance.resends, "is_stuck": self.rebalance.is_stuck}
        taken = self.rebalance.transition(self.rebalance.status, now, execution=leased, **counted)
        try:
            self.worker.store.put(taken)
        except ConditionFailed:
            raise Conflict("contended", "Another worker took the lease first.", retry_after_seconds=1) from None
        self.rebalance = taken
        if leased.resumes > before.resumes:
            self.worker.count("ExecutionsResumed")

    def advance(self) -> Rebalance:
        """Perform steps until the rebalance ends or has to wait."""
        for _ in range(MAX_STEPS):
            now = self.worker.clock()
            step = state_machine.next_step(self.rebalance, now, self.worker.limits, synced_at=self.synced_at)
            pause = self._perform(step)
            if pause is not None:
                self._wait(pause)
            if pause is not None or not self.rebalance.is_in_execution:
                return self.rebalance
        self._wait(Pause(self.worker.clock()))
        return self.rebalance

    def _perform(self, step: NextStep) -> Pause | None:
        """Perform a step; return the pause after the step, None to continue at once."""
        match step:
            case NextStep.START_WAVE:
                return self._start_wave()
            case NextStep.SYNC_ORDERS:
                self._sync_orders()
            case NextStep.SETTLE_WAVE:
                self._settle_wave()
            case NextStep.WAIT:
                return self._next_pause()
            case NextStep.CANCEL:
                self._conclude(_cancellation(state_machine.DEADLINE_PASSED, CANCELLED_CODE))
            case NextStep.GIVE_UP:
                self._conclude(state_machine.give_up)
            case _:
                assert_never(step)
        return None

    # Steps -------------------------------------------------------------------------------------------------------

    def _start_wave(self) -> Pause | None:
        """Record the intent to send the next wave, unless something forbids to send or reversals cannot be paid for.

        Top-ups do not wait: without them the plan is complete.
        """
        wave, obstacle = self.execution.next_wave, self._obstacle()
        if obstacle is not None and self.execution.is_topping_up:
            self._settle_wave()
            return None
        if obstacle is not None and self._is_too_late_to_begin(obstacle):
            detail = "The exchange opens after the deadline, and nothing was sent."
            self._conclude(_cancellation(detail, MARKET_CLOSED))
            return None
        if obstacle is not None:
            return obstacle
        unrestored = self._unpaid_reversals()
        if unrestored is None:
            reason = "buying back what was sold costs far more than the portfolio's cash"
            self._conclude(
                lambda rebalance, now: state_machine.mark_stale(rebalance, journal_of(rebalance), now, reason)
            )
            return None
        self._save(lambda now: (state_machine.start_wave(self.rebalance, now, unrestored),))
        self.is_new_wave, self.synced_at = self.execution.wave == wave, None
        return None

    def _obstacle(self) -> Pause | None:
        """Return the wait for a halt or a closed exchange before the next wave, None where it may be sent."""
        if self.worker.halts.reason(self.portfolio.tenant_id) is not None:
            return Pause(self.worker.clock() + timedelta(seconds=self.worker.limits.halt_seconds), HALTED)
        return self._closed_until(order for order in self.execution.orders if order.wave == self.execution.next_wave)

    def _closed_until(self, orders: Iterable[Order]) -> Pause | None:
        """Return the wait for the exchanges of the orders to open, None where the broker trades now."""
        if not self.worker.terms.trades_by_session:
            return None
        assets = self.worker.ledger.assets(sorted({order.symbol for order in orders}))
        opening = waiting.next_opening(assets.values(), self.worker.clock())
        return Pause(opening, MARKET_CLOSED) if opening else None

    def _is_too_late_to_begin(self, obstacle: Pause) -> bool:
        is_closed = obstacle.reason == MARKET_CLOSED and obstacle.until >= self.execution.deadline
        return is_closed and self.rebalance.status is RebalanceStatus.PLANNED

    def _next_pause(self) -> Pause:
        """Return the wait of a rebalance that cannot continue now; unsent orders wait for the open of the exchange."""
        unfinished = [order for order in self.execution.current if not order.status.is_over]
        if unfinished and all(order.status is OrderStatus.SENT for order in unfinished):
            closed = self._closed_until(unfinished)
            if closed is not None:
                return closed
        until = waiting.wake_time(self.execution, self.worker.clock(), self.worker.limits)
        if unfinished:
            return Pause(until, MESSAGE_RATE if self.is_rate_limited else None)
        return Pause(until, self.execution.waits_for)

    def _unpaid_reversals(self) -> Quantities | None:
        """Return the quantities that cash cannot buy back at the present quotes, None where too much is missing.

        Only the policy `on_partial_fill: keep` accepts a reversal in part.
        """
        reversals = state_machine.next_reversals(self.execution)
        if all(order.side is Side.SELL for order in reversals):
            return {}
        quotes = self.worker.ledger.quotes(sorted({order.symbol for order in reversals}))
        prices = {symbol: quote.price for symbol, quote in quotes.items() if quote.price is not None}
        keeps_rest = self.execution.policy.on_partial_fill is OnIncomplete.KEEP
        accepted = self.portfolio.policy.max_slippage if keeps_rest else ZERO
        return unpaid_reversals(self.execution, self.portfolio.cash or ZERO, prices, accepted)

    def _sync_orders(self) -> None:
        """Synchronise every unfinished order of the wave with the broker, and save the answers."""
        now = self.worker.clock()
        unfinished = [order for order in self.execution.current if not order.status.is_over]
        sync = OrderSync(
            *(self.worker.broker, self.portfolio.portfolio_id, self.execution.currency),
            is_new_wave=self.is_new_wave,
            may_send=self.is_new_wave or self._may_resend(unfinished),
            is_stopping=state_machine.must_cancel_open_orders(self.execution, now, self.worker.limits),
            now=now,
            log_error=self.worker.log_error,
        )
        permitted = self._permitted(unfinished, now)
        refreshed = {order.client_order_id: order for order in self.worker.parallel_map(sync.refresh, permitted)}
        self.is_new_wave, self.synced_at = False, now
        self.is_rate_limited = len(permitted) < len(unfinished)

        def synced(saved_at: datetime) -> tuple[Rebalance]:
            journal = self.execution.update_orders(lambda order: refreshed[order.client_order_id], permitted)
            journal = replace(journal, polls=journal.polls + 1)
            return (self.rebalance.transition(self.rebalance.status, saved_at, execution=journal),)

        self._save(synced)

    def _permitted(self, unfinished: list[Order], now: datetime) -> list[Order]:
        """Return the orders that the message rate lets be synchronised now; at the deadline nothing is held back."""
        if now >= self.execution.deadline:
            return unfinished
        return unfinished[: self.worker.reserve_messages(len(unfinished), now)]

    def _may_resend(self, unfinished: list[Order]) -> bool:
        """Return whether an order that never arrived may be sent again now."""
        unknown = [order for order in unfinished if order.status is OrderStatus.SENT]
        if not unknown:
            return True
        is_halted = self.worker.halts.reason(self.portfolio.tenant_id) is not None
        return not is_halted and self._closed_until(unknown) is None

    def _settle_wave(self) -> None:
        def settled(rebalance: Rebalance, now: datetime) -> WaveResult:
            posted = journal_of(rebalance).mark_posted()
            return state_machine.settle_wave(rebalance, posted, now, self.worker.limits)

        self._conclude(settled)

    def _wait(self, pause: Pause) -> None:
        """Release the lease and ask for a message; if the crash comes before the message, the sweeper sends one."""

        def paused(now: datetime) -> tuple[Rebalance]:
            is_planned = self.rebalance.status is RebalanceStatus.PLANNED
            journal = waiting.pause(self.execution, pause, is_planned=is_planned)
            return (self.rebalance.transition(self.rebalance.status, now, execution=journal),)

        self._save(paused)
        if self.rebalance.is_in_execution:
            seconds = ceil((pause.until - self.worker.clock()).total_seconds())
            self.worker.queues.wake(self.rebalance, delay_seconds=max(0, seconds))

    # Writes ------------------------------------------------------------------------------------------------------

    def _conclude(self, result_of: Callable[[Rebalance, datetime], WaveResult]) -> None:
        """Save the result of a step, the trades of all unposted fills, and the portfolio after the trades.

        Fills beyond the size of a transaction are posted before, in batches marked in the journal.
        """
        before, most = self.rebalance, self.worker.max_fills_per_transaction
        for _ in range((len(self.execution.unposted) - 1) // most):
            self._post(lambda rebalance, now: state_machine.post_first_fills(rebalance, most, now))
            if not self.rebalance.is_in_execution:
                break  # the ledger refused the fills
        else:
            self._post(result_of)
        self._count_outcome(before)

    def _post(self, result_of: Callable[[Rebalance, datetime], WaveResult]) -> None:
        """Save in one transaction: the result, the trades of as many fills as fit, and the portfolio after them."""

        def posted(now: datetime) -> tuple[Record, ...]:
            unposted = self.execution.unposted[: self.worker.max_fills_per_transaction]
            result = result_of(self.rebalance, now)
            trades = trades_of_fills(self.portfolio, self.rebalance.rebalance_id, unposted, now)
            try:
                after = post_fills(self.worker.ledger, self.portfolio, trades, now)
            except Refusal as refusal:
                # The broker filled what the ledger cannot hold: nothing is posted, and an operator has to decide.
                result = state_machine.mark_stale(self.rebalance, self.execution, now, refusal.detail.rstrip("."))
                trades, after = [], self.portfolio
            after = after.count_turnover(sum((trade.amount for trade in trades), ZERO), now)
            result = state_machine.mark_stale_if_overdrawn(result, self.rebalance, after.cash, now)
            # Before the write: a crash in between repeats the call, and the id counts once.
            self.worker.halts.record(self.portfolio.tenant_id, result.incidents, now)
            if not trades and not result.is_final:
                return (result.rebalance,)
            return (*result.records(after, now, self.worker.limits.brake), *trades)

        self._save(posted)

    def _count_outcome(self, before: Rebalance) -> None:
        was_compensating = before.status is RebalanceStatus.COMPENSATING
        if self.rebalance.status is RebalanceStatus.COMPENSATING and not was_compensating:
            self.worker.count("Compensations")
        if self.rebalance.status is RebalanceStatus.STALE:
            self.worker.count("StalePortfolios")
        if was_compensating and self.rebalance.status in {RebalanceStatus.COMPENSATING, RebalanceStatus.STALE}:
            self.worker.count("CompensationFailures")

    def _save(self, records_at: Callable[[datetime], tuple[Record, ...]]) -> None:
        """Write the records that follow from the newest versions; after a concurrent write, compute them again."""
        for number in range(MAX_ATTEMPTS):
            if number:
                sleep_before_retry(number)
            records = records_at(self.worker.clock())
            if records == (self.rebalance,):
                return
            try:
                self.worker.ledger.put(*records)
            except ConditionFailed:
                if self._is_saved_already(records):
                    return
                continue
            for record in records:
                if isinstance(record, Portfolio):
                    self.portfolio = record
                elif isinstance(record, Rebalance):
                    self.rebalance = record
            return
        raise Conflict("contended", "Concurrent writes to the rebalance persist.", retry_after_seconds=1)

    def _is_saved_already(self, records: tuple[Record, ...]) -> bool:
        """Read both items again, and return whether this very write took effect with its answer lost.

        Raises `LeaseLost` where another worker has raised the fence.
        """
        before = self.rebalance
        portfolio, rebalance = self.worker.store.portfolio_and_rebalance(
            before.tenant_id, before.portfolio_id, before.rebalance_id
        )
        if portfolio is None or rebalance is None or rebalance.execution is None:
            raise LeaseLost
        self.portfolio, self.rebalance = portfolio, rebalance
        is_saved = rebalance in records
        if not is_saved and (rebalance.execution.fence != journal_of(before).fence or not rebalance.is_in_execution):
            raise LeaseLost
        return is_saved


def _cancellation(detail: str, code: str) -> Callable[[Rebalance, datetime], WaveResult]:
    """Return the step that cancels a rebalance before any order was sent."""
    return lambda rebalance, now: WaveResult(state_machine.cancel_unsent(rebalance, now, detail, code))


def trades_of_fills(portfolio: Portfolio, rebalance_id: str, orders: Iterable[Order], now: datetime) -> list[Trade]:
    """Return the trades of the orders that were filled; the `ref_id` of a trade is the order's client order id."""
    fills = [
        RebalanceTrade(order.client_order_id, order.symbol, order.side, order.filled, order.amount, order.fees)
        for order in orders
        if order.filled
    ]
    return [fill.to_trade(portfolio, rebalance_id, now) for fill in fills]
