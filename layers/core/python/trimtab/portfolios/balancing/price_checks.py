"""Checking: portfolios whose prices crossed an edge, whose day has come, or that changed, are looked at once.

A quote is stored before watches are queried, an evaluation writes its watches before it reads the quotes again, and
both read consistently: so one of them sees the other. Evaluations do not mix: each takes an epoch on the portfolio,
and a watch is written only over one of a lower epoch.
"""

from msgspec import Struct

from trimtab.contracts.messages import CheckRequested
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.portfolios.balancing import check_decision as checks
from trimtab.portfolios.balancing.check_decision import Checked, Situation
from trimtab.portfolios.balancing.check_store import CheckNote
from trimtab.portfolios.balancing.price_bounds import crossed
from trimtab.portfolios.balancing.watch_store import WatchStore
from trimtab.portfolios.execution.halts import HaltStore
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import Trigger, WatchDue, Watching
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Why
from trimtab.portfolios.rebalancing.store import RebalanceStore

MAX_ROUNDS = 3
"""How often one message evaluates anew because quotes moved on under it; then the queue delivers it again."""


class Outcome(Struct, frozen=True):
    """What became of a check: its rule, and the rebalance that it began, if it began one."""

    rule: str
    rebalance: Rebalance | None = None
    is_evaluated: bool = True


SKIPPED = Outcome("skipped", is_evaluated=False)


class Checking(Struct, frozen=True):
    """What the worker of the queue `checks` does."""

    store: RebalanceStore
    holdings: HoldingsReader
    watches: WatchStore
    halts: HaltStore
    requests: WorkerQueues
    clock: Clock
    run_seconds: int = 6 * 3600

    def run(self, message: CheckRequested) -> Outcome | None:
        """What became of the check; None where there is no such portfolio or rebalance.

        Raises `Conflict` where others keep changing the portfolio or its watches: the message is delivered again.
        """
        if message.rebalance_id is not None:
            return retrying_on_conflict(lambda: self._asked_for(message, str(message.rebalance_id)))
        return retrying_on_conflict(lambda: self._called_for(message))

    def _called_for(self, message: CheckRequested) -> Outcome | None:
        portfolio = self.store.portfolio(message.tenant_id, message.portfolio_id)
        if portfolio is None:
            return None
        watching, now = portfolio.watching, self.clock()
        skipped = (
            message.trigger == "changed" and watching.reason is None,  # an evaluation has seen the change
            message.epoch is not None
            and message.epoch < watching.decided
            and watching.done == watching.begun,  # and this one the quote
            message.trigger == "due" and (watching.next_at is None or watching.next_at > now),
        )
        if any(skipped):
            return SKIPPED
        if portfolio.is_busy(now):
            return self._in_progress(portfolio, message.trigger)
        return self._evaluated(portfolio, _trigger(message.trigger, watching))

    # What a person asked for -------------------------------------------------------------------------------------

    def _asked_for(self, message: CheckRequested, rebalance_id: str) -> Outcome | None:
        portfolio, asked = self.store.portfolio_and_rebalance(message.tenant_id, message.portfolio_id, rebalance_id)
        if portfolio is None or asked is None:
            return None
        if asked.status is RebalanceStatus.PLANNED:
            self.requests.wake(asked)  # a crashed delivery may have planned it and sent nothing
        return self._decided(portfolio, asked) if asked.status is RebalanceStatus.REQUESTED else SKIPPED

    def _decided(self, portfolio: Portfolio, asked: Rebalance) -> Outcome:
        now = self.clock()
        why = checks.refused(portfolio)
        if why is not None:
            return self._recorded(asked.decided(RebalanceStatus.REJECTED, why, now))
        if portfolio.is_busy(now):
            return self._recorded(asked.decided(RebalanceStatus.NO_ACTION, _IN_PROGRESS, now))
        situation = self._situation(portfolio, Trigger.PERSON, asked.mode)
        checked = checks.check(situation)
        if checked.plan is None:
            return self._recorded(asked.decided(RebalanceStatus.NO_ACTION, checked.why, now))
        return self._planned(situation, checked, asked)

    def _recorded(self, decided: Rebalance) -> Outcome:
        self.store.put(decided)
        return Outcome(decided.why.rule if decided.why else "", decided)

    # What prices, time and changes ask for -----------------------------------------------------------------------

    def _in_progress(self, portfolio: Portfolio, trigger: str) -> Outcome:
        now = self.clock()
        note = CheckNote(portfolio.tenant_id, portfolio.portfolio_id, trigger, now, _IN_PROGRESS)
        after = portfolio.crossed_while_locked(now) if trigger == "crossed" else portfolio
        if after is portfolio:
            self.store.put(note)
        else:
            self.store.put(after, note)
        return Outcome(_IN_PROGRESS.rule, is_evaluated=False)

    def _evaluated(self, portfolio: Portfolio, trigger: Trigger | None) -> Outcome:
        """Evaluated until no quote crosses the new watches while they are written."""
        for _ in range(MAX_ROUNDS):
            outcome = self._evaluated_once(portfolio, trigger)
            if isinstance(outcome, Outcome):
                return outcome
            portfolio, trigger = outcome, trigger or Trigger.CROSSED
        raise Conflict("contended", "Quotes move faster than the portfolio is evaluated.", retry_after_seconds=1)

    def _evaluated_once(self, portfolio: Portfolio, trigger: Trigger | None) -> Outcome | Portfolio:
        """One evaluation in an epoch of its own; the portfolio where a quote crossed its watches before it was done."""
        watched = checks.symbols_of(portfolio) if portfolio.balances_itself else []
        now, before = self.clock(), set(portfolio.watching.symbols)
        portfolio = portfolio.evaluation_begun(now, watched)
        self.store.put(portfolio)
        checked, situation = Checked(_NOT_WATCHED), None
        if watched:
            situation = self._situation(portfolio, trigger)
            checked = checks.check(situation)
            if checked.plan is not None:
                return self._planned(situation, checked, None)
        seen = situation.quotes if situation else {}
        self.watches.write(portfolio, checked.edges, seen, before - set(watched))
        if situation is not None and self._has_moved_on(situation, checked):
            return portfolio
        done = portfolio.evaluation_done(
            now,
            watched,
            calendar_at=checked.calendar_at,
            kept=checked.kept,
            again_at=checked.again_at,
            is_waiting=checked.is_waiting,
        )
        name = trigger.value if trigger else "changed"
        self.store.put(done, CheckNote(done.tenant_id, done.portfolio_id, name, now, checked.why))
        return Outcome(checked.why.rule)

    def _has_moved_on(self, situation: Situation, checked: Checked) -> bool:
        """Whether a quote that came meanwhile crosses a watch that was written before it was read."""
        return any(
            quote.as_of is not None
            and quote.price is not None
            and _is_newer(quote, situation.quotes.get(symbol))
            and crossed(checked.edges[symbol], quote.price)
            for symbol, quote in self.holdings.ledger.quotes(sorted(checked.edges)).items()
        )

    def _situation(self, portfolio: Portfolio, trigger: Trigger | None, mode: Mode | None = None) -> Situation:
        quotes = self.holdings.ledger.quotes(checks.symbols_of(portfolio))
        held = self.holdings.apply_splits(portfolio, quotes)
        return Situation(
            portfolio=portfolio,
            quantities={symbol: holding.quantity for symbol, holding in held.items()},
            quotes=quotes,
            now=self.clock(),
            trigger=trigger,
            mode=mode or portfolio.policy.mode,
            halted=self.halts.reason(portfolio.tenant_id) if trigger else None,
            was_refused=portfolio.watching.reason is WatchDue.REFUSED,
        )

    def _planned(self, situation: Situation, checked: Checked, asked: Rebalance | None) -> Outcome:
        rebalance, locked = checks.planned(situation, checked, asked, run_seconds=self.run_seconds)
        self.store.put(rebalance, locked)
        self.requests.wake(rebalance)
        return Outcome(checked.why.rule, rebalance)


_IN_PROGRESS = Why("in_progress", "Skipped: the portfolio is being rebalanced, or its trades are being recalculated.")
_NOT_WATCHED = Why("not_watched", "The portfolio is closed, stale or manual, has no target, or holds nothing.")


def _is_newer(quote: Quote, seen: Quote | None) -> bool:
    return quote.as_of is not None and (seen is None or seen.as_of is None or quote.as_of > seen.as_of)


def _trigger(asked: str, watching: Watching) -> Trigger | None:
    """What the check may decide by: a change alone only writes watches, unless it finds what was kept.

    A new target counts whatever woke it, and a crossing more than the time at which it was to be looked at again.
    """
    if watching.reason is WatchDue.TARGET:
        return Trigger.TARGET
    if asked == "crossed" and watching.kept is not Trigger.TARGET:
        return Trigger.CROSSED
    return watching.kept or (Trigger.DUE if asked == "due" else None)
