"""Churn: the turnover of a portfolio is bounded by the cooldown and the backoff, for any quotes and refusals."""

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.balancing.test_check_decision import NOW, at, invested
from trimtab.contracts.quotes import Quote
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, FollowUp, Trigger

STEP = st.tuples(
    st.integers(min_value=1, max_value=10_000),
    st.sampled_from([1, 2, 5]),
    st.booleans(),
)
"""Seconds since the quote before, the price, and True where the broker refuses."""


@settings(max_examples=40)
@given(
    steps=st.lists(STEP, min_size=20, max_size=100),
    cooldown=st.sampled_from([0, 600, 86_400]),
    trigger=st.sampled_from([Trigger.PRICE, Trigger.SCHEDULE, Trigger.TARGET]),
)
def test_every_attempt_waits_for_the_cooldown_and_the_backoff_and_every_episode_alerts_once(
    steps: list[tuple[int, int, bool]], cooldown: int, trigger: Trigger
) -> None:
    portfolio, now = invested({"A": 50, "B": 50}, Policy(cooldown_seconds=cooldown)), NOW
    allowed_from, failures, alerts, episodes = NOW, 0, 0, 0
    turnover = most = Decimal(0)
    for number, (seconds, price, is_refused) in enumerate(steps):
        now += timedelta(seconds=seconds)
        quotes = [Quote("A", Decimal(price), now), Quote("B", Decimal(1), now)]
        plan = at(portfolio, trigger, quotes, now=now).plan
        if plan is None:
            continue
        assert now >= allowed_from, "no attempt during the pause"
        sold = sum((order.notional for order in plan.orders if order.side is Side.SELL), Decimal(0))
        turnover, most = turnover + 2 * sold, max(most, 2 * sold)
        locked = portfolio.lock_for_rebalance(str(number), now, FollowUp())
        if is_refused:
            failures, episodes = failures + 1, episodes + (failures == 0)
            portfolio = locked.release_after_rollback(now, str(number), "order_refused")
            alerts += sum(event.type == "portfolio.backing_off" for event in portfolio.events)
            allowed_from = now + max(timedelta(seconds=cooldown), DEFAULT_LIMITS.pause_after(failures))
        else:
            failures = 0
            portfolio = locked.release(now, EvaluationCause.HOLDINGS, rebalanced=True)
            allowed_from = now + timedelta(seconds=cooldown if trigger is not Trigger.TARGET else 0)
    assert alerts == episodes
    if all(is_refused for *_, is_refused in steps):
        assert turnover <= most * _most_attempts(now, cooldown)


def _most_attempts(end: datetime, cooldown: int) -> int:
    """Return how many refused attempts fit before the end if each starts when the pause before has just ended."""
    at, attempts = NOW, 0
    while at <= end:
        attempts += 1
        at += max(timedelta(seconds=cooldown), DEFAULT_LIMITS.pause_after(attempts))
    return attempts


@settings(max_examples=20)
@given(seconds=st.lists(st.integers(min_value=1, max_value=600), min_size=100, max_size=100))
def test_a_hundred_refused_quotes_turn_over_no_more_than_the_backoff_allows(seconds: list[int]) -> None:
    portfolio, now, attempts = invested({"A": 50, "B": 50}, Policy(cooldown_seconds=86_400)), NOW, 0
    for number, pause in enumerate(seconds):
        now += timedelta(seconds=pause)
        quotes = [Quote("A", Decimal(2), now), Quote("B", Decimal(1), now)]
        if at(portfolio, Trigger.PRICE, quotes, now=now).plan is None:
            continue
        attempts += 1
        portfolio = portfolio.lock_for_rebalance(str(number), now, FollowUp())
        portfolio = portfolio.release_after_rollback(now, str(number), "order_refused")
    assert attempts <= _most_attempts(now, 86_400) <= 2
