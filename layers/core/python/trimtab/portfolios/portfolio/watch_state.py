"""Watch state of a portfolio: progress of the evaluations of price watches, and the cause of the next evaluation."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import Quote


class Trigger(StrEnum):
    """Cause of a rebalance: a drift report, a price, a schedule, a new target, a deposit or a person."""

    REPORT = "report"
    PRICE = "price"
    SCHEDULE = "schedule"
    TARGET = "target"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    MANUAL = "manual"


class EvaluationCause(StrEnum):
    """Cause for which the price watches of a portfolio have to be evaluated again, the least urgent first.

    HOLDINGS: holdings, cash, policy or status changed. REFUSED: a rebalance ended without trades; the watches are set
    1 % apart from the present prices. TARGET: a new target, which is rebalanced at once.
    """

    HOLDINGS = "holdings"
    REFUSED = "refused"
    TARGET = "target"


class FollowUp(Struct, frozen=True):
    """Checks that follow a check: next calendar day, deferred trigger with its time, and a deposit still to invest."""

    calendar_at: datetime | None = None
    deferred_trigger: Trigger | None = None
    retry_at: datetime | None = None
    is_deposit_due: bool = False


class WatchState(Struct, frozen=True, omit_defaults=True):
    """State of the price watches of a portfolio, stored with the portfolio.

    Each evaluation of a portfolio takes the next epoch. `epoch_started` belongs to the newest evaluation, `epoch_done`
    to the newest evaluation whose watches are all written, `epoch_decided` to the newest evaluation that did not wait
    for a quote. `watched_symbols` have rows in the table of watches. `evaluation_due` is the cause of the next
    evaluation, `evaluation_pending` the cause of an evaluation that started and is not done. Until that evaluation is
    done, `changed_at` is the time of the newest change of holdings, cash or policy, or of the newest plan of a
    rebalance. `calendar_at` is the next day of the calendar rule. `deferred_trigger` asked for a rebalance while the
    portfolio was locked, orders were halted or a cooldown ran: the next evaluation, at `retry_at` at the latest,
    decides by the deferred trigger. `is_deposit_due` is true while a deposit waits to be invested. `waits_for` is the
    code of what only a person can clear, such as `price_held`, as of the newest evaluation; `waits_since` its start.
    """

    epoch_started: int = 0
    epoch_done: int = 0
    epoch_decided: int = 0
    watched_symbols: tuple[str, ...] = ()
    evaluation_due: EvaluationCause | None = None
    evaluation_pending: EvaluationCause | None = None
    changed_at: datetime | None = None
    calendar_at: datetime | None = None
    deferred_trigger: Trigger | None = None
    retry_at: datetime | None = None
    is_deposit_due: bool = False
    waits_for: str | None = None
    waits_since: datetime | None = None

    def start(self, symbols: Iterable[str]) -> "WatchState":
        """Return the state in the next epoch; old and new symbols may have watches until the evaluation is done."""
        return replace(
            self,
            epoch_started=self.epoch_started + 1,
            watched_symbols=tuple(sorted({*self.watched_symbols, *symbols})),
            evaluation_due=None,
            evaluation_pending=self.cause,
        )

    def finish(
        self,
        now: datetime,
        symbols: Iterable[str],
        follow_up: FollowUp,
        *,
        awaits_quote: bool = False,
        waits_for: str | None = None,
    ) -> "WatchState":
        """Return the state with all watches of the epoch written; `awaits_quote` where the next quote decides."""
        waits_since = (self.waits_since if waits_for == self.waits_for else None) or now
        return replace(
            self._followed_by(follow_up),
            epoch_done=self.epoch_started,
            epoch_decided=self.epoch_decided if awaits_quote else self.epoch_started,
            watched_symbols=tuple(sorted(symbols)),
            evaluation_pending=None,
            changed_at=None,
            waits_for=waits_for,
            waits_since=waits_since if waits_for else None,
        )

    def replan(self, now: datetime, follow_up: FollowUp) -> "WatchState":
        """Return the state after a rebalance was planned at the quotes of `now`."""
        return replace(self._followed_by(follow_up), evaluation_pending=None, changed_at=now)

    def _followed_by(self, follow_up: FollowUp) -> "WatchState":
        return replace(
            self,
            calendar_at=follow_up.calendar_at,
            deferred_trigger=follow_up.deferred_trigger,
            retry_at=follow_up.retry_at,
            is_deposit_due=follow_up.is_deposit_due,
        )

    @property
    def cause(self) -> EvaluationCause | None:
        """The more urgent cause of the two, None where no evaluation is due or pending."""
        causes = (cause for cause in (self.evaluation_due, self.evaluation_pending) if cause)
        return max(causes, key=list(EvaluationCause).index, default=None)

    def is_followed_by(self, quotes: Iterable[Quote]) -> bool:
        """Return whether one of the quotes was stored after the change that is to be evaluated.

        Such a quote decides, whoever reads the quote first: the evaluation of the change or a check of a crossed watch.
        """
        changed_at = self.changed_at
        return changed_at is not None and any(quote.stored_at and quote.stored_at > changed_at for quote in quotes)

    @property
    def next_at(self) -> datetime | None:
        """Time of the next check that no price asks for; a deferred trigger goes before the calendar rule."""
        return self.retry_at or self.calendar_at
