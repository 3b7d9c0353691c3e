"""Trading days, and when a calendar condition is due."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kernel import trading_days, xnys
from trimtab.kernel.trading_days import is_trading_day, on_or_before
from trimtab.portfolios.balancing import calendar
from trimtab.portfolios.balancing.calendar import next_due
from trimtab.portfolios.portfolio.policy import CalendarRule, Frequency

FIRST, LAST = date(xnys.FIRST_YEAR, 1, 1), date(xnys.LAST_YEAR, 12, 31)
LENGTH = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.ANNUALLY: 12}
rules = st.one_of(
    st.builds(CalendarRule, st.just(Frequency.WEEKLY), st.integers(1, 7)),
    st.builds(CalendarRule, st.just(Frequency.MONTHLY), st.integers(1, 31)),
    st.builds(CalendarRule, st.just(Frequency.QUARTERLY), st.integers(1, 31), st.integers(1, 3)),
    st.builds(CalendarRule, st.just(Frequency.ANNUALLY), st.integers(1, 31), st.integers(1, 12)),
)
instants = st.datetimes(datetime(2001, 1, 1), datetime(2048, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def days(first: date, last: date) -> list[date]:
    """All of them, both ends included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def due(day: date) -> datetime:
    """The instant of a due day."""
    return datetime.combine(day, time(15, 30), UTC)


def all_due(rule: CalendarRule, first: int, last: int) -> list[datetime]:
    """Every due instant of the rule in these years, from its definition: one a period, moved back to a trading day."""
    if rule.frequency is Frequency.WEEKLY:
        nominal = [day for day in days(date(first, 1, 1), date(last, 12, 31)) if day.isoweekday() == rule.day]
    else:
        length = LENGTH[rule.frequency]
        of_period = (rule.month - 1) if length > 1 else 0
        months = [(year, month) for year in range(first, last + 1) for month in range(1, 13)]
        nominal = [
            date(year, month, min(rule.day, monthrange(year, month)[1]))
            for year, month in months
            if (month - 1) % length == of_period
        ]
    return [due(max(day for day in days(each - timedelta(days=9), each) if is_trading_day(day))) for each in nominal]


@pytest.mark.parametrize(
    "day",
    ["2001-09-11", "2012-10-29", "2018-12-05", "2022-06-20", "2025-01-09", "2026-07-03", "2026-11-26", "2027-01-01"],
)
def test_a_weekday_without_a_session_is_no_trading_day(day: str) -> None:
    assert not is_trading_day(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2021-12-31", "2021-06-18", "2025-11-28", "2026-10-12", "2026-11-11"])
def test_a_day_that_only_others_have_off_or_a_half_day_is_one(day: str) -> None:
    assert is_trading_day(date.fromisoformat(day))


def test_the_table_holds_weekdays_in_order_and_no_closure_is_too_long_for_the_search() -> None:
    closed = [date.fromisoformat(day) for day in xnys.CLOSED]
    assert closed == sorted(set(closed))
    assert all(FIRST <= day <= LAST and day.isoweekday() <= 5 for day in closed)
    assert {day.year for day in closed} == set(range(xnys.FIRST_YEAR, xnys.LAST_YEAR + 1))
    open_days = [day for day in days(FIRST, LAST) if is_trading_day(day)]
    longest = max((later - earlier).days for earlier, later in pairwise(open_days))
    assert longest <= trading_days.LONGEST_CLOSURE_DAYS
    assert 250 <= len(open_days) / (xnys.LAST_YEAR - xnys.FIRST_YEAR + 1) <= 253


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_on_or_before_is_the_nearest_trading_day_that_is_not_later(day: date) -> None:
    found = on_or_before(day)
    assert is_trading_day(found)
    assert found <= day
    assert not any(is_trading_day(each) for each in days(found + timedelta(days=1), day))


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        (CalendarRule(Frequency.WEEKLY, 1), "2026-11-21T09:30", "2026-11-23"),
        (CalendarRule(Frequency.WEEKLY, 4), "2026-11-21T09:30", "2026-11-25"),  # Thanksgiving is a Thursday
        (CalendarRule(Frequency.WEEKLY, 7), "2026-11-20T15:30", "2026-11-27"),
        (CalendarRule(Frequency.MONTHLY, 31), "2026-02-01T00:00", "2026-02-27"),
        (CalendarRule(Frequency.MONTHLY, 1), "2026-07-31T15:29", "2026-07-31"),  # 1 August is a Saturday
        (CalendarRule(Frequency.MONTHLY, 1), "2026-07-31T15:30", "2026-09-01"),
        (CalendarRule(Frequency.MONTHLY, 1), "2026-07-01T15:30", "2026-07-31"),
        (
            CalendarRule(Frequency.MONTHLY, 1),
            "2026-12-15T00:00",
            "2026-12-31",
        ),  # New Year's Day: due in the year before
        (CalendarRule(Frequency.QUARTERLY, 1, 1), "2026-12-31T15:30", "2027-04-01"),
        (CalendarRule(Frequency.QUARTERLY, 31, 2), "2026-11-21T09:30", "2026-11-30"),
        (CalendarRule(Frequency.ANNUALLY, 1, 1), "2026-12-31T15:29", "2026-12-31"),
        (CalendarRule(Frequency.ANNUALLY, 29, 2), "2027-01-01T00:00", "2027-02-26"),
        (CalendarRule(Frequency.ANNUALLY, 4, 7), "2026-01-01T00:00", "2026-07-02"),
    ],
)
def test_a_day_that_is_missing_or_closed_moves_back(rule: CalendarRule, after: str, expected: str) -> None:
    assert next_due(rule, datetime.fromisoformat(after).replace(tzinfo=UTC)) == due(date.fromisoformat(expected))


@given(rules, instants)
def test_the_next_due_instant_is_the_first_one_after(rule: CalendarRule, after: datetime) -> None:
    expected = min(each for each in all_due(rule, after.year - 1, after.year + 2) if each > after)
    found = next_due(rule, after)
    assert found == expected
    assert next_due(rule, found - timedelta(microseconds=1)) == found
    assert next_due(rule, after.astimezone(timezone(timedelta(hours=-11)))) == found


@pytest.mark.parametrize("day", [1, 2, 3, 4, 15, 28, 29, 30, 31])
@pytest.mark.parametrize("every", LENGTH)
def test_no_period_is_skipped_or_doubled(every: Frequency, day: int) -> None:
    rule = CalendarRule(every, day)
    found, at = [], due(date(2000, 6, 30))
    while at.year < 2049:
        at = next_due(rule, at)
        found.append(at)
    expected = [each for each in all_due(rule, 2000, 2051) if due(date(2000, 6, 30)) < each <= at]
    assert found == expected


@pytest.mark.parametrize("day", range(1, 8))
def test_no_week_is_skipped_or_doubled(day: int) -> None:
    rule, at, found = CalendarRule(Frequency.WEEKLY, day), due(date(2001, 8, 1)), []
    for _ in range(60):
        at = next_due(rule, at)
        found.append(at)
    assert found == [each for each in all_due(rule, 2001, 2003) if each > due(date(2001, 8, 1))][:60]


def test_every_frequency_has_a_length() -> None:
    assert {Frequency.WEEKLY, *calendar._MONTHS} == set(Frequency)
