"""Trading sessions: the hours of an exchange, against the zone database and by their definition."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kernel import xnys
from trimtab.kernel.sessions import is_open, next_open, session_close, session_open
from trimtab.kernel.trading_days import is_trading_day

NEW_YORK = ZoneInfo("America/New_York")
instants = st.datetimes(datetime(2000, 1, 5), datetime(2050, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


def new_york(day: str, wall_time: str) -> datetime:
    """Return a time of day in New York."""
    return datetime.fromisoformat(f"{day}T{wall_time}").replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("day", "wall_time", "expected"),
    [
        ("2026-11-25", "09:29:59", False),
        ("2026-11-25", "09:30", True),
        ("2026-11-25", "15:59:59", True),
        ("2026-11-25", "16:00", False),
        ("2026-11-26", "12:00", False),  # Thanksgiving
        ("2026-11-27", "12:59:59", True),  # closes at 13:00
        ("2026-11-27", "13:00", False),
        ("2026-11-28", "12:00", False),  # a Saturday
        ("2026-03-09", "09:30", True),  # the first session of daylight saving time
        ("2026-03-06", "09:30", True),
        ("2006-04-03", "09:29", False),  # until 2006, from April on
        ("2006-04-03", "09:30", True),
        ("2006-10-30", "15:59", True),
    ],
)
@pytest.mark.parametrize("exchange", ["XNYS", "XNAS", "NASDAQ", "ARCX"])
def test_an_exchange_of_new_york_is_open_in_its_sessions(
    exchange: str, day: str, wall_time: str, expected: bool
) -> None:
    assert is_open(exchange, new_york(day, wall_time)) is expected


@pytest.mark.parametrize("exchange", ["CRYPTO", "XLON", None])
@given(instant=instants)
def test_an_exchange_without_a_known_calendar_never_closes(exchange: str | None, instant: datetime) -> None:
    assert is_open(exchange, instant)
    assert next_open(exchange, instant) == instant
    assert session_open(exchange, instant.date()) == datetime.combine(instant.date(), time(), UTC)
    assert session_open(exchange, instant.date()) <= instant <= session_close(exchange, instant.date())


@given(instants)
def test_the_hours_are_those_of_the_zone_database(instant: datetime) -> None:
    local = instant.astimezone(NEW_YORK)
    closes = time(13) if local.date().isoformat() in xnys.EARLY_CLOSES else time(16)
    expected = is_trading_day(local.date()) and time(9, 30) <= local.time() < closes
    assert is_open("XNYS", instant) is expected


@given(instants)
def test_the_next_open_is_the_instant_itself_or_the_first_open_instant_after(instant: datetime) -> None:
    opening = next_open("XNYS", instant)
    assert is_open("XNYS", opening)
    if opening != instant:
        assert opening > instant
        assert opening.astimezone(NEW_YORK).time() == time(9, 30)
        assert not is_open("XNYS", opening - timedelta(microseconds=1))
        days = range((opening.astimezone(NEW_YORK).date() - instant.astimezone(NEW_YORK).date()).days)
        later = [session_open("XNYS", instant.astimezone(NEW_YORK).date() + timedelta(days=n)) for n in days]
        assert all(other == opening for other in later if other > instant)


@given(st.dates(date(2000, 1, 1), date(2050, 12, 1)))
def test_a_session_opens_before_it_closes_and_on_or_after_its_day(day: date) -> None:
    opens, closes = session_open("XNYS", day), session_close("XNYS", day)
    assert opens.date() == closes.date() >= day
    assert is_open("XNYS", opens)
    assert not is_open("XNYS", closes)
    assert is_open("XNYS", closes - timedelta(microseconds=1))


def test_the_early_closes_are_sessions_in_order() -> None:
    assert list(xnys.EARLY_CLOSES) == sorted(set(xnys.EARLY_CLOSES))
    assert all(is_trading_day(date.fromisoformat(day)) for day in xnys.EARLY_CLOSES)
