"""Automatic halts: incidents count once, within the window, and again from zero after a halt was lifted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.portfolios.execution.halt_controls import MAX_REMEMBERED, HaltBounds, HaltControl, Incidents

NOW = datetime(2026, 11, 26, 15, tzinfo=UTC)
ROLLBACKS = HaltControl.ROLLBACKS


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 900)), max_size=60),
    st.integers(min_value=1, max_value=8),
)
def test_a_control_trips_exactly_when_so_many_different_incidents_lie_in_the_window(
    reports: list[tuple[int, int]], bound: int
) -> None:
    bounds, incidents, now = HaltBounds(window_seconds=3600, rollbacks=bound), Incidents(), NOW
    first_seen: dict[int, datetime] = {}
    for number, pause in reports:
        now += timedelta(seconds=pause)
        incidents = incidents.add(ROLLBACKS, [f"r-{number}"], now, bounds)
        start = now - timedelta(seconds=3600)
        first_seen = {known: at for known, at in first_seen.items() if at > start}
        first_seen.setdefault(number, now)
        assert incidents.count(ROLLBACKS, now, bounds) == len(first_seen)
        assert incidents.is_over(ROLLBACKS, now, bounds) == (len(first_seen) >= bound)


def test_a_repeated_report_changes_nothing() -> None:
    incidents = Incidents().add(ROLLBACKS, ["r-1"], NOW, HaltBounds())
    assert incidents.add(ROLLBACKS, ["r-1"], NOW + timedelta(minutes=5), HaltBounds()) is incidents


def test_after_a_lift_the_count_starts_at_zero_and_old_reports_stay_known() -> None:
    bounds = HaltBounds(rollbacks=2)
    over = Incidents().add(ROLLBACKS, ["r-1", "r-2"], NOW, bounds)
    lifted = Incidents(over.seen, NOW + timedelta(minutes=1))
    later = NOW + timedelta(minutes=2)
    assert over.is_over(ROLLBACKS, NOW, bounds)
    assert lifted.add(ROLLBACKS, ["r-1"], later, bounds) is lifted
    assert lifted.add(ROLLBACKS, ["r-3"], later, bounds).count(ROLLBACKS, later, bounds) == 1


def test_controls_count_apart_and_zero_switches_a_control_off() -> None:
    bounds = HaltBounds(rollbacks=1, held_prices=0)
    incidents = Incidents().add(HaltControl.HELD_PRICES, ["A@1", "B@1"], NOW, bounds)
    assert not incidents.is_over(HaltControl.HELD_PRICES, NOW, bounds)
    assert not incidents.is_over(ROLLBACKS, NOW, bounds)


def test_the_remembered_incidents_are_bounded() -> None:
    incidents = Incidents().add(ROLLBACKS, [str(number) for number in range(1000)], NOW, HaltBounds())
    assert len(incidents.seen[ROLLBACKS]) == MAX_REMEMBERED
    with pytest.raises(ValueError, match="at most"):
        HaltBounds(rollbacks=MAX_REMEMBERED + 1)
