"""Alert rules: one alert per episode, and every kind handled."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.analytics.domain.alerts import (
    AlertKind,
    AlertRule,
    Episode,
    Measurement,
    describe_alert,
    evaluate_rule,
    evaluate_rules,
)
from trimtab.kernel.errors import Invalid

START = datetime(2026, 3, 2, 22, tzinfo=UTC)
OUTSIDE = Measurement(START, Decimal(7))
RULE = AlertRule("r1", AlertKind.DRAWDOWN_ABOVE, Decimal(10))


def run(rule: AlertRule, *values: str | None) -> tuple[Episode, list[int]]:
    """Return the last episode, and the indexes of the daily measurements that raised an alert."""
    episode, raised = Episode(rule.rule_id), []
    for place, value in enumerate(values):
        measurement = Measurement(START + timedelta(days=place), None if value is None else Decimal(value))
        episode, is_raised = evaluate_rule(rule, measurement, episode)
        if is_raised:
            raised.append(place)
    return episode, raised


def test_an_episode_raises_one_alert_and_a_value_well_inside_ends_it() -> None:
    episode, raised = run(RULE, "4", "11", "15", "12", "8.9999", "10.0001")
    assert raised == [1, 5]
    assert episode.number == 2
    assert episode.is_open
    assert episode.peak == Decimal("10.0001")
    assert episode.opened_at == START + timedelta(days=5)


def test_exactly_at_the_limit_is_inside() -> None:
    episode, raised = run(RULE, "10", "10.0001", "10")
    assert raised == [1]
    assert episode.is_open


def test_a_measurement_that_swings_about_the_limit_raises_one_alert() -> None:
    episode, raised = run(RULE, *["10.02", "9.97"] * 4, "9")
    assert raised == [0]
    assert (episode.number, episode.is_open) == (1, True), "exactly at the threshold less the hysteresis"
    episode, raised = run(RULE, *["10.02", "9.97"] * 4, "8.99", "9.97", "10.02")
    assert raised == [0, 10]


@pytest.mark.parametrize(("hysteresis", "raised"), [("0", [0, 2, 4, 6]), ("0.02", [0, 2, 4, 6]), ("0.03", [0])])
def test_a_rule_may_have_a_hysteresis_of_its_own(hysteresis: str, raised: list[int]) -> None:
    rule = AlertRule("r1", AlertKind.DRIFT_ABOVE, Decimal(10), Decimal(hysteresis))
    assert run(rule, *["10.02", "9.97"] * 4)[1] == raised


@pytest.mark.parametrize(
    ("kind", "threshold", "hysteresis"),
    [
        (AlertKind.DRIFT_ABOVE, "10", "10"),
        (AlertKind.DRIFT_ABOVE, "10", "-0.1"),
        (AlertKind.STALE, None, "0"),
    ],
)
def test_a_hysteresis_out_of_range_is_refused(kind: AlertKind, threshold: str | None, hysteresis: str) -> None:
    with pytest.raises(Invalid, match="hysteresis"):
        AlertRule("r", kind, Decimal(threshold) if threshold else None, Decimal(hysteresis))


def test_a_missing_value_neither_raises_nor_ends_an_episode() -> None:
    _, raised = run(RULE, None, "11", None, "12", None)
    assert raised == [1]


def test_a_repeated_or_late_measurement_changes_nothing() -> None:
    measurement = Measurement(START, Decimal(11))
    after, raised = evaluate_rule(RULE, measurement, Episode(RULE.rule_id))
    assert raised
    assert evaluate_rule(RULE, measurement, after) == (after, False)
    assert evaluate_rule(RULE, Measurement(START - timedelta(days=1), Decimal(1)), after) == (after, False)


@pytest.mark.parametrize("kind", [AlertKind.STALE, AlertKind.MISSING_DATA])
def test_kinds_without_a_threshold_are_outside_above_zero(kind: AlertKind) -> None:
    _, raised = run(AlertRule("r2", kind), "0", "1", "3", "0", "2")
    assert raised == [1, 4]


def test_the_id_of_an_alert_follows_from_portfolio_rule_and_episode() -> None:
    one, _ = run(RULE, "11")
    again, _ = run(RULE, "11", "12")
    second, _ = run(RULE, "11", "8", "11")
    assert one.alert_id("p1") == again.alert_id("p1")
    set_again = replace(one, opened_at=START + timedelta(days=9))
    assert one.alert_id("p1") != set_again.alert_id("p1"), "a rule that was removed and set again"
    other_rule = replace(one, rule_id="r9")
    ids = {one.alert_id("p1"), second.alert_id("p1"), one.alert_id("p2"), other_rule.alert_id("p1")}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("kind", "threshold"),
    [
        (AlertKind.VAR_ABOVE, None),
        (AlertKind.DRIFT_ABOVE, Decimal(0)),
        (AlertKind.DRIFT_ABOVE, Decimal("100.0001")),
        (AlertKind.STALE, Decimal(1)),
    ],
)
def test_thresholds_out_of_range_are_refused(kind: AlertKind, threshold: Decimal | None) -> None:
    with pytest.raises(Invalid):
        AlertRule("r", kind, threshold)


def test_every_rule_is_evaluated_with_its_measurement_and_removed_rules_lose_their_episode() -> None:
    var, drift = AlertRule("r2", AlertKind.VAR_ABOVE, Decimal(2)), AlertRule("r3", AlertKind.DRIFT_ABOVE, Decimal(5))
    measurements = {
        AlertKind.DRAWDOWN_ABOVE: Measurement(START, Decimal(11)),
        AlertKind.VAR_ABOVE: Measurement(START, Decimal(1)),
    }
    kept = Episode("r3", number=4, is_open=True)
    after, raised = evaluate_rules([RULE, var, drift], measurements, {"gone": Episode("gone"), "r3": kept})
    assert sorted(after) == ["r1", "r2", "r3"]
    assert after["r3"] == kept
    assert [(rule.rule_id, episode.number) for rule, episode in raised] == [("r1", 1)]


@given(st.lists(st.integers(0, 20).map(Decimal), max_size=30), st.integers(0, 9))
def test_two_alerts_have_a_measurement_below_the_hysteresis_in_between(values: list[Decimal], hysteresis: int) -> None:
    rule = AlertRule("r1", AlertKind.DRAWDOWN_ABOVE, Decimal(10), Decimal(hysteresis))
    expected, armed = [], True
    for place, value in enumerate(values):
        if armed and value > 10:
            expected.append(place)
        armed = value < 10 - hysteresis or (armed and value <= 10)
    episode, raised = run(rule, *map(str, values))
    assert (raised, episode.number, episode.is_open) == (expected, len(expected), not armed)


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_has_words_and_says_whether_it_has_a_threshold(kind: AlertKind) -> None:
    rule = AlertRule("r", kind, Decimal(5) if kind.has_threshold else None)
    words = describe_alert(rule, Measurement(START, Decimal(7), "AAPL"), "Portfolio A (p1)")
    assert words.title
    assert words.text.startswith("Portfolio A (p1)")


def test_a_kind_that_is_added_without_a_case_fails_this_module_instead_of_a_valuation() -> None:
    make_enum: Any = StrEnum
    members = {kind.name: kind.value for kind in AlertKind} | {"VOLATILITY_ABOVE": "volatility_above"}
    added = make_enum("AlertKind", members).VOLATILITY_ABOVE
    rule: Any = SimpleNamespace(kind=added, limit=Decimal(5))
    has_threshold: Any = AlertKind.has_threshold
    with pytest.raises(AssertionError, match="VOLATILITY_ABOVE"):
        has_threshold.fget(added)
    with pytest.raises(AssertionError, match="VOLATILITY_ABOVE"):
        describe_alert(rule, OUTSIDE, "Portfolio A (p1)")
