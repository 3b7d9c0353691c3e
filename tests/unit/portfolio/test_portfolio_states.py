"""Changes of status, lock, cash, brake and watch state of a portfolio, each with its event and its next evaluation."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.unit.samples import MINUTE, NOW, portfolio
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS, Brake, Quarantine
from trimtab.portfolios.portfolio.cash_rule import CashRule, CashTracking
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Mode, OnDeposit, Policy, Restriction
from trimtab.portfolios.portfolio.portfolio_events import LIFT_QUARANTINE, READ_REBALANCE, RESOLVE, remedy
from trimtab.portfolios.portfolio.traded_today import TradedToday
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, FollowUp, Trigger, WatchState

LATER = NOW + MINUTE
LOCK = Lock("r1", "it is being rebalanced")
WATCHED = WatchState(watched_symbols=("A",), calendar_at=NOW, deferred_trigger=Trigger.PRICE)
REFUSED = Quarantine(Restriction.NO_BUY, "not tradable", "r1", NOW, NOW + timedelta(days=30))
NAMES = {"portfolio_id": portfolio().portfolio_id, "user_id": "1", "name": "default"}


def watched(**changes: object) -> Portfolio:
    """Return a portfolio with watches, in version 3."""
    return portfolio(version=3, watch_state=WATCHED, **changes)


def told(changed: Portfolio) -> list[tuple[str, dict[str, object]]]:
    """Return type and data of the events."""
    return [(event.type, dict(event.data)) for event in changed.events]


def due(changed: Portfolio) -> tuple[EvaluationCause | None, Trigger | None]:
    """Return the cause of the next evaluation, and the deferred trigger."""
    return changed.watch_state.evaluation_due, changed.watch_state.deferred_trigger


def test_a_stale_portfolio_keeps_its_lock_and_names_the_rebalance_to_resolve() -> None:
    stale = watched(lock=LOCK).mark_stale("cash is -1", LATER)
    assert (stale.status, stale.stale_reason, stale.stale_since) == (PortfolioStatus.STALE, "cash is -1", LATER)
    assert (stale.lock, stale.version, stale.updated_at) == (LOCK, 4, LATER)
    details = {"reason": "cash is -1", "rebalance_id": "r1", "remedy": remedy(RESOLVE, NAMES["portfolio_id"])}
    assert told(stale) == [("portfolio.stale", NAMES | details)]
    assert due(stale) == (EvaluationCause.HOLDINGS, Trigger.PRICE)
    assert told(watched().mark_stale("cash is -1", LATER))[0][1]["rebalance_id"] == ""
    assert stale.attention_since == LATER


def test_an_operator_makes_a_stale_portfolio_active_and_unlocked() -> None:
    active = watched(lock=LOCK).mark_stale("cash is -1", NOW).resolve(LATER)
    assert (active.status, active.stale_reason, active.stale_since) == (PortfolioStatus.ACTIVE, None, None)
    assert (active.lock, active.version, active.updated_at) == (None, 5, LATER)
    assert told(active) == [("portfolio.resolved", NAMES)]
    assert due(active) == (EvaluationCause.REFUSED, None)


def refusal(changed: Portfolio) -> tuple[str, str]:
    """Return type and text of the refusal to trade."""
    with pytest.raises(Conflict) as refused:
        changed.require_tradable(LATER)
    return refused.value.type, refused.value.detail


def test_a_refusal_to_trade_says_why() -> None:
    closed = portfolio().close(NOW)
    assert refusal(closed) == ("closed", "The portfolio is closed. Create the portfolio again to open it.")
    stale = portfolio().mark_stale("cash is -1", NOW)
    assert refusal(stale) == ("stale", "The portfolio is stale until an operator resolves it: cash is -1.")
    locked = portfolio(lock=LOCK)
    assert refusal(locked) == ("locked", "The portfolio is locked: it is being rebalanced.")
    portfolio(lock=replace(LOCK, until=LATER)).require_tradable(LATER)
    portfolio(lock=LOCK).require_open_to_deposits()


@pytest.mark.parametrize(("seconds", "wait"), [(None, 60), (10, 11), (59, 60), (600, 60)])
def test_a_locked_portfolio_says_when_to_retry(seconds: int | None, wait: int) -> None:
    until = None if seconds is None else NOW + timedelta(seconds=seconds)
    with pytest.raises(Conflict) as refused:
        portfolio(lock=replace(LOCK, until=until)).require_tradable(NOW)
    assert refused.value.retry_after_seconds == wait


def test_a_portfolio_is_busy_while_its_lock_holds() -> None:
    assert portfolio(lock=LOCK).is_busy(NOW)
    assert not portfolio(lock=replace(LOCK, until=NOW)).is_busy(NOW)
    assert not portfolio().is_busy(NOW)
    assert not portfolio(lock=LOCK, status=PortfolioStatus.STALE).is_busy(NOW)


def test_only_the_owner_releases_a_lock() -> None:
    locked = portfolio(version=3, lock=LOCK)
    assert locked.release_lock_of("r1", NOW) == replace(locked, lock=None)
    assert portfolio().release_lock_of("r1", NOW) == portfolio()
    with pytest.raises(Conflict):
        locked.release_lock_of("r2", NOW)
    expired = portfolio(lock=replace(LOCK, until=NOW))
    assert expired.release_lock_of("r2", LATER) is expired
    taken = portfolio(version=3).take_lock(LOCK, LATER)
    assert (taken.lock, taken.version, taken.updated_at) == (LOCK, 4, LATER)


def test_a_rebalance_locks_the_portfolio_counts_a_run_and_starts_to_track_cash() -> None:
    follow_up = FollowUp(LATER, Trigger.DEPOSIT, NOW, True)
    locked = watched().lock_for_rebalance("r1", LATER, follow_up)
    assert locked.lock == LOCK
    assert (locked.version, locked.updated_at) == (4, LATER)
    assert (locked.cash, locked.cash_rule) == (Decimal(0), CashRule().start(LATER))
    assert locked.traded_today == TradedToday(LATER.date(), runs=1)
    assert locked.watch_state == WATCHED.replan(LATER, follow_up)
    counted = watched(cash=Decimal(5)).lock_for_rebalance("r1", LATER, follow_up)
    assert (counted.cash, counted.cash_rule) == (Decimal(5), CashRule())


def test_turnover_adds_up_in_the_same_version() -> None:
    traded = portfolio(version=3, traded_today=TradedToday(NOW.date(), Decimal(10), 1))
    more = TradedToday(NOW.date(), Decimal(15), 1)
    assert traded.count_turnover(Decimal(5), NOW) == replace(traded, traded_today=more)
    assert traded.count_turnover(Decimal(0), NOW) is traded


def test_cash_adds_up_and_extends_the_time_that_the_rule_counts() -> None:
    assert portfolio().add_cash(Decimal(5), NOW).cash == 5
    changed = portfolio(version=3, cash=Decimal(10)).add_cash(Decimal(-4), LATER)
    assert (changed.cash, changed.version, changed.cash_rule) == (Decimal(6), 3, CashRule().extend(LATER))


def test_another_rule_of_cash_is_a_revision_that_tells_from_when_it_counts() -> None:
    rule = CashRule(next(iter(CashTracking)))
    revised = watched().revise_cash(LATER, Decimal(7), rule, NOW)
    assert (revised.cash, revised.cash_rule, revised.version, revised.revision) == (Decimal(7), rule, 4, 2)
    details = {"cash_tracking": rule.tracking.value, "affects_from": format_time(NOW)}
    assert told(revised) == [("portfolio.updated", NAMES), ("cash.recounted", NAMES | details)]
    assert due(revised) == (EvaluationCause.HOLDINGS, Trigger.PRICE)
    assert revised.watch_state.changed_at == LATER


def test_a_new_policy_restarts_the_calendar_and_a_new_name_changes_nothing_else() -> None:
    revised = watched(rebalanced_at=NOW, reported_at=NOW).revise(LATER, policy=Policy(cooldown_seconds=1))
    assert (revised.rebalanced_at, revised.reported_at, revised.watch_state.calendar_at) == (NOW, NOW, None)
    assert (due(revised)[0], revised.watch_state.changed_at) == (EvaluationCause.HOLDINGS, LATER)
    named = watched().revise(LATER, name="other")
    assert (named.name, named.revision, named.watch_state) == ("other", 2, WATCHED)
    assert watched().revise(LATER, name="default") == watched()


def test_a_deposit_is_invested_where_the_policy_says_so() -> None:
    holds = watched(policy=Policy(on_deposit=OnDeposit.HOLD))
    sells = watched(policy=Policy(on_deposit=OnDeposit.INVEST, mode=Mode.SELL_ONLY))
    assert holds.request_investment() is holds
    assert sells.request_investment() is sells
    invests = watched(policy=Policy(on_deposit=OnDeposit.INVEST)).request_investment()
    assert (invests.version, invests.watch_state.is_deposit_due, due(invests)[0]) == (3, True, EvaluationCause.HOLDINGS)
    refused = replace(WATCHED, evaluation_due=EvaluationCause.REFUSED)
    pending = portfolio(policy=Policy(on_deposit=OnDeposit.INVEST), watch_state=refused).request_investment()
    assert pending.watch_state == replace(refused, is_deposit_due=True)


def test_a_traded_rebalance_starts_the_cooldown_and_ends_an_episode_of_failures() -> None:
    failed = Brake(2, NOW, "r0", LATER, {"A": REFUSED})
    traded = watched(lock=LOCK, brake=failed).release(LATER, EvaluationCause.HOLDINGS, rebalanced=True)
    assert (traded.lock, traded.rebalanced_at, traded.brake) == (None, LATER, Brake(quarantine={"A": REFUSED}))
    assert due(traded) == (EvaluationCause.HOLDINGS, Trigger.PRICE)
    untraded = watched(lock=LOCK, brake=failed).release(LATER, EvaluationCause.REFUSED, rebalanced=False)
    assert (untraded.lock, untraded.rebalanced_at, untraded.brake) == (None, None, failed)
    assert due(untraded) == (EvaluationCause.REFUSED, None)


def test_the_first_rollback_of_an_episode_alerts_and_the_check_after_the_pause_decides() -> None:
    first = watched(lock=LOCK).release_after_rollback(LATER, "r1", "order_refused")
    until = LATER + DEFAULT_LIMITS.pause_after(1)
    assert (first.lock, first.brake) == (None, Brake(1, LATER, "r1", until))
    rest = {"reason_code": "order_refused", "rebalance_id": "r1", "until": format_time(until)}
    text = remedy(READ_REBALANCE, NAMES["portfolio_id"], rebalance_id="r1")
    assert told(first) == [("portfolio.backing_off", NAMES | rest | {"remedy": text})]
    assert due(first) == (EvaluationCause.REFUSED, Trigger.PRICE)
    second = first.release_after_rollback(until, "r2", "order_refused")
    assert (second.brake.failures, second.brake.failing_since, told(second)) == (2, LATER, [])
    scheduled = portfolio(watch_state=WatchState(watched_symbols=("A",))).release_after_rollback(NOW, "r1", "x")
    assert due(scheduled) == (EvaluationCause.REFUSED, Trigger.PRICE)


def test_a_cancellation_pauses_and_is_no_failure() -> None:
    cancelled = watched(lock=LOCK).release_after_cancellation(LATER)
    assert (cancelled.lock, cancelled.version) == (None, 4)
    assert cancelled.brake == Brake(blocked_until=LATER + DEFAULT_LIMITS.pause_after(1))
    assert due(cancelled) == (EvaluationCause.REFUSED, None)


def test_a_symbol_in_quarantine_alerts_and_is_released_by_a_person() -> None:
    isolated = watched().isolate({"B": REFUSED, "A": REFUSED}, NOW)
    assert (isolated.version, isolated.brake.quarantine) == (3, {"A": REFUSED, "B": REFUSED})
    assert [(event.type, event.data["symbol"]) for event in isolated.events] == [
        ("symbol.quarantined", "A"),
        ("symbol.quarantined", "B"),
    ]
    details = {"symbol": "A", "restriction": "no_buy", "reason": "not tradable", "rebalance_id": "r1"}
    text = {"until": format_time(REFUSED.until), "remedy": remedy(LIFT_QUARANTINE, NAMES["portfolio_id"], symbol="A")}
    assert told(isolated)[0] == ("symbol.quarantined", NAMES | details | text)
    assert isolated.attention_since == NOW
    lifted = isolated.lift_quarantine("A", LATER, by="ops", reason="cleared")
    assert (lifted.version, list(lifted.brake.quarantine)) == (4, ["B"])
    assert told(lifted) == [("symbol.released", NAMES | {"symbol": "A", "by": "ops", "reason": "cleared"})]
    assert due(lifted) == (EvaluationCause.REFUSED, Trigger.PRICE)


def test_the_next_evaluation_has_the_newest_cause_except_that_a_target_stays() -> None:
    target = watched().request_evaluation(EvaluationCause.TARGET)
    assert target.request_evaluation(EvaluationCause.REFUSED) is target
    held = watched().request_evaluation(EvaluationCause.HOLDINGS, LATER)
    assert (due(held), held.watch_state.changed_at) == ((EvaluationCause.HOLDINGS, Trigger.PRICE), LATER)
    later = held.request_evaluation(EvaluationCause.REFUSED)
    assert (due(later), later.watch_state.changed_at) == ((EvaluationCause.REFUSED, None), LATER)
    idle = portfolio()
    assert idle.request_evaluation(EvaluationCause.HOLDINGS) is idle


def test_a_price_trigger_waits_for_the_end_of_the_lock() -> None:
    quiet = WatchState(watched_symbols=("A",))
    deferred = portfolio(version=3, watch_state=quiet, lock=replace(LOCK, until=LATER)).defer_price_trigger(NOW)
    assert deferred.watch_state == replace(quiet, deferred_trigger=Trigger.PRICE, retry_at=LATER)
    assert (deferred.version, deferred.next_check_at) == (4, LATER)
    assert portfolio(watch_state=quiet).defer_price_trigger(NOW).watch_state.retry_at is None
    already = watched()
    assert already.defer_price_trigger(NOW) is already


def test_an_evaluation_starts_the_next_epoch_without_expired_quarantines() -> None:
    expired = Brake(quarantine={"A": replace(REFUSED, until=NOW)})
    started = watched(brake=expired).start_evaluation(LATER, ["B"])
    assert (started.watch_state.epoch_started, started.watch_state.watched_symbols) == (1, ("A", "B"))
    assert (started.brake, started.version) == (Brake(), 4)
    state = replace(WATCHED, epoch_done=1)
    assert started.finish_evaluation(LATER, state).watch_state == state


def test_the_next_check_is_that_of_the_watches_or_the_end_of_a_quarantine() -> None:
    held = {"A": replace(Holding("A", SecurityType.STOCK), quantity=Decimal(1))}
    isolated = portfolio(holdings=held, brake=Brake(quarantine={"A": REFUSED}))
    assert isolated.is_automatic
    assert isolated.next_check_at == REFUSED.until
    assert replace(isolated, watch_state=WATCHED).next_check_at == NOW
    assert replace(isolated, holdings={}).next_check_at is None
    assert portfolio(watch_state=WatchState(is_deposit_due=True)).is_automatic
    assert not portfolio().is_automatic
