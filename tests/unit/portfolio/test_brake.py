"""The brake of a portfolio: the pause after rolled back rebalances, and the quarantine of refused symbols."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.unit.samples import percents, portfolio
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS, Brake, BrakeLimits, Quarantine
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Policy, Restriction
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, Trigger

NOW = datetime(2026, 11, 26, 15, tzinfo=UTC)
DAY_SECONDS = 86_400
FIRST_PAUSE, LONGEST_PAUSE, QUARANTINE_PERIOD = timedelta(minutes=15), timedelta(days=1), timedelta(days=30)


def quarantine_of(restriction: Restriction, since: datetime = NOW) -> Quarantine:
    """Return a quarantine of the usual period."""
    return Quarantine(restriction, "not_tradable", "r-1", since, since + QUARANTINE_PERIOD)


def automatic(cooldown_seconds: int = 0) -> Portfolio:
    """Return a portfolio that prices rebalance."""
    held = {"A": Holding("A", SecurityType.STOCK, Decimal(10))}
    return portfolio(
        allocation=percents(A=50, B=50),
        holdings=held,
        cash=Decimal(0),
        policy=Policy(cooldown_seconds=cooldown_seconds),
    )


def test_the_pause_doubles_with_each_failure_up_to_a_day() -> None:
    brake, now, pauses = Brake(), NOW, []
    for _ in range(10):
        brake = brake.record_failure("r", 0, now)
        assert brake.blocked_until is not None
        pauses.append(brake.blocked_until - now)
        now = brake.blocked_until
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[7:] == [LONGEST_PAUSE] * 3
    assert DEFAULT_LIMITS.pause_after(10**6) == LONGEST_PAUSE
    assert timedelta(seconds=DEFAULT_LIMITS.quarantine_seconds) == QUARANTINE_PERIOD


def test_a_deployment_sets_the_pauses() -> None:
    limits = BrakeLimits(backoff_seconds=60, max_backoff_seconds=150)
    assert [limits.pause_after(failures).seconds for failures in (1, 2, 3, 4)] == [60, 120, 150, 150]
    rolled_back = automatic().release_after_rollback(NOW, "r-1", "order_refused", limits)
    assert rolled_back.brake.blocked_until == NOW + timedelta(minutes=1)
    cancelled = automatic().release_after_cancellation(NOW, limits)
    assert cancelled.brake.blocked_until == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(("cooldown", "pause"), [(60, FIRST_PAUSE), (7 * DAY_SECONDS, timedelta(days=7))])
def test_the_pause_is_at_least_the_cooldown_of_the_policy(cooldown: int, pause: timedelta) -> None:
    assert Brake().record_failure("r", cooldown, NOW).blocked_until == NOW + pause


def test_a_completed_rebalance_ends_the_episode_and_keeps_the_quarantine() -> None:
    braked = Brake().record_failure("r", 0, NOW).isolate({"A": quarantine_of(Restriction.NO_BUY)}, NOW)
    after = braked.record_success(NOW + timedelta(hours=1))
    assert (after.failures, after.blocked_until, sorted(after.quarantine)) == (0, None, ["A"])


def test_a_symbol_refused_on_both_sides_is_frozen() -> None:
    later = NOW + timedelta(days=1)
    brake = Brake().isolate({"A": quarantine_of(Restriction.NO_BUY)}, NOW)
    brake = brake.isolate({"A": quarantine_of(Restriction.NO_SELL, later)}, later)
    assert brake.quarantine["A"] == Quarantine(
        Restriction.FROZEN, "not_tradable", "r-1", NOW, later + QUARANTINE_PERIOD
    )


def test_a_quarantine_expires() -> None:
    brake = Brake().isolate({"A": quarantine_of(Restriction.NO_BUY)}, NOW)
    last_moment = NOW + QUARANTINE_PERIOD - timedelta(microseconds=1)
    assert sorted(brake.in_quarantine(last_moment)) == ["A"]
    assert brake.in_quarantine(NOW + QUARANTINE_PERIOD) == {}
    assert brake.without_expired(NOW + QUARANTINE_PERIOD) == Brake()


def test_a_rollback_alerts_once_an_episode_and_each_new_quarantine_alerts() -> None:
    first = automatic().release_after_rollback(NOW, "r-1", "order_refused")
    later = NOW + timedelta(hours=1)
    second = first.release_after_rollback(later, "r-2", "order_refused")
    second = second.isolate({"A": quarantine_of(Restriction.NO_BUY)}, later)
    assert [event.type for event in first.events] == ["portfolio.backing_off"]
    assert [event.type for event in second.events] == ["symbol.quarantined"]
    assert first.events[0].data["rebalance_id"] == "r-1"
    assert f"/portfolios/{first.portfolio_id}/rebalances/r-1" in first.events[0].data["remedy"]
    completed = second.release(NOW + timedelta(days=1), EvaluationCause.HOLDINGS, rebalanced=True)
    again = completed.release_after_rollback(NOW + timedelta(days=2), "r-3", "order_refused")
    assert [event.type for event in again.events] == ["portfolio.backing_off"]


def test_a_rollback_leaves_the_decision_to_the_end_of_the_pause() -> None:
    after = automatic().release_after_rollback(NOW, "r-1", "order_refused")
    assert (after.watch_state.evaluation_due, after.watch_state.deferred_trigger) == (
        EvaluationCause.REFUSED,
        Trigger.PRICE,
    )


def test_a_cancellation_pauses_without_a_failure_or_an_alert() -> None:
    after = automatic().release_after_cancellation(NOW)
    assert (after.brake, after.events) == (Brake(blocked_until=NOW + FIRST_PAUSE), ())
    assert after.watch_state.deferred_trigger is None


def test_a_lifted_quarantine_is_told_and_decided_at_once() -> None:
    held = automatic().isolate({"A": quarantine_of(Restriction.NO_BUY)}, NOW)
    lifted = held.lift_quarantine("A", NOW + timedelta(hours=1), by="ada", reason="cleared")
    assert (lifted.brake.quarantine, [event.type for event in lifted.events]) == ({}, ["symbol.released"])
    assert lifted.watch_state.deferred_trigger is Trigger.PRICE
