"""One alert for each episode outside a limit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.analytics.domain.alerts import Episode, Measure, Rule, RuleKind, evaluate, evaluate_all, first_episode
from trimtab.kernel.errors import Invalid

START = datetime(2026, 3, 2, 22, tzinfo=UTC)
RULE = Rule("r1", RuleKind.DRAWDOWN_ABOVE, Decimal(10))


def run(rule: Rule, *values: str | None) -> tuple[Episode, list[int]]:
    """The last episode, and at which of the daily measures an alert was raised."""
    episode, raised = first_episode("p1", rule), []
    for place, value in enumerate(values):
        measure = Measure(START + timedelta(days=place), None if value is None else Decimal(value))
        episode, is_raised = evaluate(rule, measure, episode)
        if is_raised:
            raised.append(place)
    return episode, raised


def test_an_episode_raises_one_alert_and_being_back_inside_arms_it_again() -> None:
    episode, raised = run(RULE, "4", "11", "15", "12", "9", "10.0001")
    assert raised == [1, 5]
    assert episode.number == 2
    assert episode.is_open
    assert episode.peak == Decimal("10.0001")
    assert episode.opened_at == START + timedelta(days=5)


def test_exactly_at_the_limit_is_inside() -> None:
    episode, raised = run(RULE, "10", "10.0001", "10")
    assert raised == [1]
    assert not episode.is_open
    assert episode.closed_at == START + timedelta(days=2)


def test_what_could_not_be_measured_neither_raises_nor_ends_anything() -> None:
    _, raised = run(RULE, None, "11", None, "12", None)
    assert raised == [1]


def test_a_measure_that_comes_twice_or_late_changes_nothing() -> None:
    measure = Measure(START, Decimal(11))
    after, raised = evaluate(RULE, measure, first_episode("p1", RULE))
    assert raised
    assert evaluate(RULE, measure, after) == (after, False)
    assert evaluate(RULE, Measure(START - timedelta(days=1), Decimal(1)), after) == (after, False)


@pytest.mark.parametrize("kind", [RuleKind.STALE, RuleKind.MISSING_DATA])
def test_rules_without_a_threshold_are_outside_as_soon_as_they_count_anything(kind: RuleKind) -> None:
    _, raised = run(Rule("r2", kind), "0", "1", "3", "0", "2")
    assert raised == [1, 4]


def test_the_id_of_an_alert_follows_from_portfolio_rule_and_episode() -> None:
    one, _ = run(RULE, "11")
    again, _ = run(RULE, "11", "12")
    second, _ = run(RULE, "11", "9", "11")
    other = replace(one, subject="p2")
    assert one.alert_id == again.alert_id
    set_again = replace(one, opened_at=START + timedelta(days=9))
    assert one.alert_id != set_again.alert_id, "another episode with number 1, of a rule that was gone in between"
    assert len({one.alert_id, second.alert_id, other.alert_id, replace(one, rule_id="r9").alert_id}) == 4


@pytest.mark.parametrize(
    ("kind", "threshold"),
    [
        (RuleKind.VAR_ABOVE, None),
        (RuleKind.DRIFT_ABOVE, Decimal(0)),
        (RuleKind.DRIFT_ABOVE, Decimal("100.0001")),
        (RuleKind.STALE, Decimal(1)),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(kind: RuleKind, threshold: Decimal | None) -> None:
    with pytest.raises(Invalid):
        Rule("r", kind, threshold)


def test_every_rule_is_evaluated_at_its_measure_and_removed_ones_are_forgotten() -> None:
    var, drift = Rule("r2", RuleKind.VAR_ABOVE, Decimal(2)), Rule("r3", RuleKind.DRIFT_ABOVE, Decimal(5))
    measures = {
        RuleKind.DRAWDOWN_ABOVE: Measure(START, Decimal(11)),
        RuleKind.VAR_ABOVE: Measure(START, Decimal(1)),
    }
    kept = Episode("p1", "r3", number=4, is_open=True)
    after, raised = evaluate_all([RULE, var, drift], measures, {"gone": Episode("p1", "gone"), "r3": kept}, "p1")
    assert sorted(after) == ["r1", "r2", "r3"]
    assert after["r3"] == kept
    assert [(rule.rule_id, episode.number) for rule, episode in raised] == [("r1", 1)]


@given(st.lists(st.integers(0, 20).map(Decimal), max_size=30))
def test_alerts_are_as_many_as_the_times_the_limit_was_left(values: list[Decimal]) -> None:
    outside = [value > 10 for value in values]
    entered = sum(now and not before for before, now in zip([False, *outside], outside, strict=False))
    episode, raised = run(RULE, *map(str, values))
    assert len(raised) == episode.number == entered
