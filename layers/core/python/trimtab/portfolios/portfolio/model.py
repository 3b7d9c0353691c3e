"""Portfolio aggregate: target, policy, holdings and cash of a user, changed only on the version before."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import ZERO
from trimtab.portfolios.portfolio import portfolio_item
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS, Brake, BrakeLimits, Quarantine
from trimtab.portfolios.portfolio.cash_rule import CashRule
from trimtab.portfolios.portfolio.holdings import Holding
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.policy import Automation, Mode, OnDeposit, Policy
from trimtab.portfolios.portfolio.portfolio_events import (
    backing_off_event,
    portfolio_event,
    quarantined_event,
    stale_event,
)
from trimtab.portfolios.portfolio.traded_today import TradedToday, add_run, add_turnover
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, FollowUp, Trigger, WatchState

Allocation = Mapping[str, Decimal]
MAX_HOLDINGS = 500


class ReportMark(Struct, frozen=True, order=True):
    """Order of drift reports: the newest `as_of` counts, ties are broken by the rebalance id."""

    as_of: datetime
    rebalance_id: str


class Portfolio(Record, frozen=True):
    """A portfolio: the aggregate that every change of target, policy, holdings and cash goes through.

    `allocation` maps assets to target weights in percent, `holdings` symbols to holdings; `cash` is money, None where
    cash is not tracked; `cash_rule` tells which trades change cash. `version` counts the writes, `revision` the changes
    of target, policy and status that a client sees (the ETag). `last_report` is the newest applied drift report,
    `reported_at` the `as_of` of the newest report with transactions, `rebalanced_at` the end of the newest traded
    rebalance. `traded_today` are totals of the newest day with a rebalance, None before the first.
    """

    tenant_id: str
    portfolio_id: str
    user_id: str
    name: str
    currency: str
    allocation: Allocation
    policy: Policy
    cash: Decimal | None
    request_hash: str
    created_at: datetime
    updated_at: datetime
    status: PortfolioStatus = PortfolioStatus.ACTIVE
    revision: int = 1
    last_report: ReportMark | None = None
    rebalanced_at: datetime | None = None
    reported_at: datetime | None = None
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    lock: Lock | None = None
    traded_today: TradedToday | None = None
    stale_reason: str | None = None
    stale_since: datetime | None = None
    watch_state: WatchState = field(default_factory=WatchState)
    brake: Brake = field(default_factory=Brake)
    cash_rule: CashRule = field(default_factory=CashRule)

    # Target, policy and status --------------------------------------------------------------------------------------

    def revise(
        self,
        now: datetime,
        *,
        allocation: Allocation | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> "Portfolio":
        """Return the next revision with another target, policy or name; the portfolio itself where all are the same.

        A new target takes effect at once and so ends the cooldown. Raises `Conflict` (`closed`).
        """
        self.require_open()
        wanted = (self.allocation if allocation is None else allocation, self.policy if policy is None else policy)
        is_same = wanted == (self.allocation, self.policy)
        if is_same and name in {None, self.name}:
            return self
        revised = replace(self, name=name or self.name)._next_revision(now, "portfolio.updated")
        if is_same:
            return revised
        revised = replace(
            revised,
            allocation=wanted[0],
            policy=wanted[1],
            rebalanced_at=self.rebalanced_at if allocation is None else None,
            reported_at=self.reported_at if allocation is None else None,
            watch_state=replace(self.watch_state, calendar_at=None),
        )
        if allocation is not None:
            return revised.request_evaluation(EvaluationCause.TARGET)
        return revised.request_evaluation(EvaluationCause.HOLDINGS, changed_at=now)

    def close(self, now: datetime) -> "Portfolio":
        """Return the portfolio as closed, or the portfolio itself where it is closed; raises `Conflict` (`locked`)."""
        if self.status is PortfolioStatus.CLOSED:
            return self
        self._require_unlocked(now)
        closed = replace(self._next_revision(now, "portfolio.closed"), status=PortfolioStatus.CLOSED)
        return closed.request_evaluation(EvaluationCause.HOLDINGS)

    def reopen(self, wanted: "Portfolio") -> "Portfolio":
        """Return the closed portfolio as the new creation wants; version and revision continue to count.

        Tracked cash keeps its balance and its rule: only the ledger changes tracked cash.
        """
        is_untracked = self.cash is None and wanted.cash is not None
        return replace(
            self._next_revision(wanted.created_at, "portfolio.created"),
            status=PortfolioStatus.ACTIVE,
            currency=wanted.currency,
            allocation=wanted.allocation,
            policy=wanted.policy,
            cash=wanted.cash if is_untracked else self.cash,
            cash_rule=CashRule(since=wanted.created_at) if is_untracked else self.cash_rule,
            request_hash=wanted.request_hash,
            rebalanced_at=None,
            reported_at=None,
        ).request_evaluation(EvaluationCause.TARGET)

    def mark_stale(self, reason: str, now: datetime) -> "Portfolio":
        """Return the portfolio as STALE, with the event that alerts an operator.

        The lock stays: the lock names the rebalance that the operator resolves.
        """
        owner = self.lock.owner if self.lock else ""
        event = stale_event(self.portfolio_id, self.user_id, self.name, reason=reason, rebalance_id=owner)
        changes = {"status": PortfolioStatus.STALE, "stale_reason": reason, "stale_since": now}
        stale = self._next_version(now, **changes, events=(event,))
        return stale.request_evaluation(EvaluationCause.HOLDINGS)

    def resolve(self, now: datetime) -> "Portfolio":
        """Return the STALE portfolio as active and unlocked, after an operator has said what the portfolio holds."""
        event = portfolio_event("portfolio.resolved", self.portfolio_id, self.user_id, self.name)
        changes = {"status": PortfolioStatus.ACTIVE, "stale_reason": None, "stale_since": None, "lock": None}
        active = self._next_version(now, **changes, events=(event,))
        return active.request_evaluation(EvaluationCause.REFUSED)

    def require_open(self) -> None:
        """Raise `Conflict` (`closed`) for a closed portfolio."""
        if self.status is PortfolioStatus.CLOSED:
            raise Conflict("closed", "The portfolio is closed. Create the portfolio again to open it.")

    def require_open_to_deposits(self) -> None:
        """Raise `Conflict` (`closed`, `stale`) where not even cash may come in; a lock does not keep deposits out."""
        self.require_open()
        if self.status is PortfolioStatus.STALE:
            raise Conflict("stale", f"The portfolio is stale until an operator resolves it: {self.stale_reason}.")

    def require_tradable(self, now: datetime) -> None:
        """Raise `Conflict` (`closed`, `stale`, `locked`) where holdings and cash may not change now."""
        self.require_open_to_deposits()
        self._require_unlocked(now)

    # Ledger and locks -----------------------------------------------------------------------------------------------

    def post(self, now: datetime, *, holdings: Iterable[Holding] = (), is_fill: bool = False) -> "Portfolio":
        """Return the next version with these holdings; `is_fill` where a rebalance changed holdings or cash.

        Raises `Unprocessable` (`too_many_holdings`).
        """
        changed = {**self.holdings, **{holding.symbol: holding for holding in holdings}}
        if len(changed) > MAX_HOLDINGS:
            raise Unprocessable("too_many_holdings", f"A portfolio holds at most {MAX_HOLDINGS} symbols.")
        posted = self._next_version(now, holdings=changed)
        return posted.request_evaluation(EvaluationCause.HOLDINGS, changed_at=None if is_fill else now)

    def add_cash(self, change: Decimal, at: datetime) -> "Portfolio":
        """Return the portfolio, in the same version, after a change of cash that is never refused, such as a fill."""
        return replace(self, cash=(self.cash or ZERO) + change, cash_rule=self.cash_rule.extend(at))

    def revise_cash(self, now: datetime, cash: Decimal | None, rule: CashRule, affects_from: datetime) -> "Portfolio":
        """Return the next revision with another rule of cash, and the balance that results from the rule."""
        details = {"cash_tracking": rule.tracking.value, "affects_from": format_time(affects_from)}
        event = portfolio_event("cash.recounted", self.portfolio_id, self.user_id, self.name, **details)
        revised = replace(self._next_revision(now, "portfolio.updated"), cash=cash, cash_rule=rule)
        revised = replace(revised, events=(*revised.events, event))
        return revised.request_evaluation(EvaluationCause.HOLDINGS, changed_at=now)

    def request_investment(self) -> "Portfolio":
        """Return the portfolio with a deposit that the policy invests at once, in the same version.

        Returns the portfolio itself where the policy holds deposits in cash.
        """
        if self.policy.on_deposit is OnDeposit.HOLD or self.policy.mode is Mode.SELL_ONLY:
            return self
        due = replace(self, watch_state=replace(self.watch_state, is_deposit_due=True))
        return due if self.watch_state.evaluation_due else due.request_evaluation(EvaluationCause.HOLDINGS)

    def take_lock(self, lock: Lock, now: datetime) -> "Portfolio":
        """Return the portfolio locked by the owner of the lock."""
        return self._next_version(now, lock=lock)

    def release_lock_of(self, owner: str, now: datetime) -> "Portfolio":
        """Return the portfolio without the owner's lock, in the same version: the owner's next write stores both.

        Raises `Conflict` while another owner's lock holds.
        """
        if self.lock is not None and self.lock.owner == owner:
            return replace(self, lock=None)
        self.require_tradable(now)
        return self

    def lock_for_rebalance(self, rebalance_id: str, now: datetime, follow_up: FollowUp) -> "Portfolio":
        """Return the portfolio locked by a rebalance planned at the quotes of `now`.

        Cash that was not tracked is zero now, and tracked from now on.
        """
        watch_state = self.watch_state.replan(now, follow_up)
        started = {"cash": ZERO, "cash_rule": self.cash_rule.start(now)} if self.cash is None else {}
        lock = Lock(rebalance_id, "it is being rebalanced")
        traded_today = add_run(self.traded_today, now)
        return self._next_version(now, lock=lock, watch_state=watch_state, traded_today=traded_today, **started)

    def count_turnover(self, amount: Decimal, now: datetime) -> "Portfolio":
        """Return the portfolio, in the same version, with fills of this amount in the totals of the day."""
        return replace(self, traded_today=add_turnover(self.traded_today, amount, now)) if amount else self

    def release(self, now: datetime, cause: EvaluationCause, *, rebalanced: bool) -> "Portfolio":
        """Return the portfolio unlocked after a rebalance; `rebalanced` (trades remain) starts the cooldown.

        `rebalanced` also ends an episode of rolled back rebalances.
        """
        if not rebalanced:
            return self._next_version(now, lock=None).request_evaluation(cause)
        brake = self.brake.record_success(now)
        return self._next_version(now, lock=None, rebalanced_at=now, brake=brake).request_evaluation(cause)

    def release_after_rollback(
        self, now: datetime, rebalance_id: str, reason_code: str, limits: BrakeLimits = DEFAULT_LIMITS
    ) -> "Portfolio":
        """Return the portfolio unlocked after a rolled back rebalance, with automatic rebalances blocked for a while.

        The first rollback of an episode alerts an operator. The check at the end of the pause decides by the present
        prices.
        """
        brake, events = self.brake.record_failure(rebalance_id, self.policy.cooldown_seconds, now, limits), []
        if brake.failures == 1 and brake.blocked_until is not None:
            failure = {"reason_code": reason_code, "rebalance_id": rebalance_id}
            names = (self.portfolio_id, self.user_id, self.name)
            events.append(backing_off_event(*names, **failure, until=brake.blocked_until))
        return self._next_version(now, lock=None, brake=brake, events=tuple(events))._request_decision()

    def release_after_cancellation(self, now: datetime, limits: BrakeLimits = DEFAULT_LIMITS) -> "Portfolio":
        """Return the portfolio unlocked after a person's cancellation with reversed fills: a pause, not a failure."""
        brake = self.brake.pause(self.policy.cooldown_seconds, now, limits.pause_after(1))
        return self._next_version(now, lock=None, brake=brake).request_evaluation(EvaluationCause.REFUSED)

    def isolate(self, quarantine: Mapping[str, Quarantine], now: datetime) -> "Portfolio":
        """Return the portfolio, in the same version, with symbols in quarantine; each alerts an operator."""
        names, added = (self.portfolio_id, self.user_id, self.name), sorted(quarantine.items())
        events = [quarantined_event(*names, symbol=symbol, quarantine=each) for symbol, each in added]
        return replace(self, brake=self.brake.isolate(quarantine, now), events=(*self.events, *events))

    def lift_quarantine(self, symbol: str, now: datetime, *, by: str, reason: str) -> "Portfolio":
        """Return the portfolio with the symbol tradable again; the portfolio is checked at once."""
        details = {"symbol": symbol, "by": by, "reason": reason}
        event = portfolio_event("symbol.released", self.portfolio_id, self.user_id, self.name, **details)
        return self._next_version(now, brake=self.brake.lift(symbol, now), events=(event,))._request_decision()

    def _request_decision(self) -> "Portfolio":
        """Return the portfolio with an evaluation due that may rebalance at the present prices."""
        due = self.request_evaluation(EvaluationCause.REFUSED)
        deferred = due.watch_state.deferred_trigger or Trigger.PRICE
        return replace(due, watch_state=replace(due.watch_state, deferred_trigger=deferred)) if due is not self else due

    def is_busy(self, now: datetime) -> bool:
        """Return whether a rebalance or recalculation is changing the holdings now; a STALE portfolio is not busy."""
        return self.status is PortfolioStatus.ACTIVE and self.lock is not None and self.lock.holds(now)

    def _require_unlocked(self, now: datetime) -> None:
        if self.lock is not None and self.lock.holds(now):
            seconds_left = (self.lock.until - now).total_seconds() if self.lock.until else 60
            wait = min(60, int(seconds_left) + 1)
            raise Conflict("locked", f"The portfolio is locked: {self.lock.reason}.", retry_after_seconds=wait)

    # Drift reports and cooldown -------------------------------------------------------------------------------------

    def record_report(self, now: datetime, report: ReportMark, *, rebalanced: bool) -> "Portfolio":
        """Return the portfolio after a drift report; `rebalanced` where the report led to transactions."""
        return self._next_version(now, last_report=report, reported_at=report.as_of if rebalanced else self.reported_at)

    def cooldown_end(self) -> datetime | None:
        """Return the end of the cooldown after the newest traded rebalance, None without a cooldown."""
        return self._after_cooldown(self.rebalanced_at)

    def report_cooldown_end(self) -> datetime | None:
        """Return the end of the cooldown for drift reports: after the newest trade or report with transactions."""
        return self._after_cooldown(max(filter(None, (self.rebalanced_at, self.reported_at)), default=None))

    def _after_cooldown(self, last: datetime | None) -> datetime | None:
        if last is None or not self.policy.cooldown_seconds:
            return None
        return last + timedelta(seconds=self.policy.cooldown_seconds)

    # Price watches --------------------------------------------------------------------------------------------------

    @property
    def is_automatic(self) -> bool:
        """True where prices and the calendar rebalance the portfolio: active, automatic, with a target, and with
        holdings or a deposit to invest."""
        wants = self.status is PortfolioStatus.ACTIVE and self.policy.automation is Automation.AUTO
        is_invested = any(holding.quantity for holding in self.holdings.values())
        return wants and bool(self.allocation) and (is_invested or self.watch_state.is_deposit_due)

    def request_evaluation(self, cause: EvaluationCause, changed_at: datetime | None = None) -> "Portfolio":
        """Return the portfolio with an evaluation of its watches due, where there are watches or a need for them.

        `changed_at` is the time of a change after which only a newer quote triggers a rebalance.
        After a rebalance that ended without trades, a deferred trigger is dropped: the same attempt would fail again.
        """
        state = self.watch_state
        if not (self.is_automatic or state.watched_symbols or state.next_at):
            return self
        if state.evaluation_due is EvaluationCause.TARGET:
            return self
        deferred = None if cause is EvaluationCause.REFUSED else state.deferred_trigger
        changed_at = changed_at or state.changed_at
        return replace(
            self,
            watch_state=replace(state, evaluation_due=cause, deferred_trigger=deferred, changed_at=changed_at),
        )

    def defer_price_trigger(self, now: datetime) -> "Portfolio":
        """Return the locked portfolio with the price trigger deferred; the portfolio itself where one is deferred.

        A lock that expires, and is not released by its owner, is followed by a check at its end.
        """
        if self.watch_state.deferred_trigger is not None:
            return self
        retry_at = self.lock.until if self.lock else None
        deferred = replace(self.watch_state, deferred_trigger=Trigger.PRICE, retry_at=retry_at)
        return self._next_version(now, watch_state=deferred)

    @property
    def next_check_at(self) -> datetime | None:
        """Time of the next check that no price asks for: that of the watch state, or the expiry of a quarantine."""
        expiry = self.brake.next_expiry if self.is_automatic else None
        return min(filter(None, (self.watch_state.next_at, expiry)), default=None)

    @property
    def attention_since(self) -> datetime | None:
        """Earliest time since which the portfolio needs a person, None if the portfolio needs nobody."""
        if self.status is PortfolioStatus.CLOSED:
            return None
        return min(
            filter(None, (self.stale_since, self.brake.attention_since, self.watch_state.waits_since)), default=None
        )

    def start_evaluation(self, now: datetime, symbols: Iterable[str]) -> "Portfolio":
        """Return the portfolio in the next epoch; old and new symbols may have watches until the evaluation is done."""
        brake = self.brake.without_expired(now)
        return self._next_version(now, watch_state=self.watch_state.start(symbols), brake=brake)

    def finish_evaluation(self, now: datetime, watch_state: WatchState) -> "Portfolio":
        """Return the portfolio with all watches of the epoch written; `watch_state` is the finished state."""
        return self._next_version(now, watch_state=watch_state)

    # Versions and stored form ---------------------------------------------------------------------------------------

    def _next_version(self, now: datetime, **changes: Any) -> "Portfolio":
        return replace(self, version=self.version + 1, updated_at=now, **{"events": (), **changes})

    def _next_revision(self, now: datetime, event: str) -> "Portfolio":
        events = (portfolio_event(event, self.portfolio_id, self.user_id, self.name),)
        return self._next_version(now, revision=self.revision + 1, events=events)

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the portfolio item; see `portfolio_item`."""
        return portfolio_item.attributes_of(self)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Portfolio":
        """Return the portfolio of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return from_attributes(portfolio_item.members_of(item), cls)
            case version:
                raise UnknownForm("portfolio", version)


def portfolio_id_of(tenant_id: str, user_id: str, name: str) -> str:
    """Return the id of a user's portfolio; every creation of the portfolio derives the same id."""
    return ids.derive_id(tenant_id, user_id, name)
