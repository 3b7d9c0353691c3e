"""Trading sessions of exchanges: when orders for an asset can be filled.

The exchanges of the United States share the calendar of XNYS: 09:30 to 16:00 in New York, 13:00 on early closes. Any
other exchange, or None, never closes: crypto assets trade around the clock, and a calendar that the platform does not
have must not keep an asset from being traded. Daylight saving time follows the rule of the United States and not the
zone database: the runtime of AWS Lambda does not promise a database, and a package would lengthen each cold start.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from trimtab.kernel.trading_days import LONGEST_CLOSURE_DAYS, is_trading_day
from trimtab.kernel.xnys import EARLY_CLOSES

# fmt: off
US_EXCHANGES = frozenset((
    "AMEX", "ARCA", "ARCX", "BATS", "BATY", "CBOE", "EDGA", "EDGX", "EPRL", "IEX", "IEXG", "LTSE", "MEMX", "NASDAQ",
    "NYSE", "OTC", "OTCM", "PINX", "XASE", "XBOS", "XCHI", "XCIS", "XNAS", "XNCM", "XNGS", "XNMS", "XNYS", "XPHL",
))
# fmt: on
"""Market identifier codes (ISO 10383) and common names of the exchanges with the sessions of XNYS."""

_OPENS, _CLOSES, _CLOSES_EARLY = time(9, 30), time(16), time(13)
_EARLY_CLOSES = frozenset(EARLY_CLOSES)
_DAY = timedelta(days=1)
_SUNDAY = 6


def has_sessions(exchange: str | None) -> bool:
    """Return True if the exchange closes at times; False for an exchange that never closes."""
    return exchange in US_EXCHANGES


def is_open(exchange: str | None, instant: datetime) -> bool:
    """Return True if the exchange trades at the instant: from the open on, and before the close.

    >>> noon = datetime(2026, 11, 27, 17, tzinfo=UTC)  # the day after Thanksgiving closes at 13:00, or 18:00 UTC
    >>> is_open("XNYS", noon), is_open("XNYS", noon + timedelta(hours=1)), is_open("CRYPTO", noon + timedelta(hours=1))
    (True, False, True)
    """
    if not has_sessions(exchange):
        return True
    day = (instant.astimezone(UTC) - timedelta(hours=4)).date()
    return is_trading_day(day) and _open_of(day) <= instant < _close_of(day)


def opened_at(exchange: str | None, instant: datetime) -> datetime | None:
    """Return the opening of the session at the instant; None while the exchange is closed, or where it never closes.

    >>> opened_at("XNYS", datetime(2026, 11, 27, 17, tzinfo=UTC)).isoformat()
    '2026-11-27T14:30:00+00:00'
    >>> opened_at("CRYPTO", datetime(2026, 11, 27, 17, tzinfo=UTC))
    """
    if not has_sessions(exchange) or not is_open(exchange, instant):
        return None
    return _open_of((instant.astimezone(UTC) - timedelta(hours=4)).date())


def next_open(exchange: str | None, instant: datetime) -> datetime:
    """Return the instant if the exchange is open then, else the opening of the next session in UTC.

    >>> next_open("XNAS", datetime(2026, 11, 25, 21, tzinfo=UTC)).isoformat()  # Thursday is Thanksgiving
    '2026-11-27T14:30:00+00:00'
    """
    if is_open(exchange, instant):
        return instant
    day = (instant.astimezone(UTC) - timedelta(hours=4)).date()
    opening = session_open(exchange, day)
    return opening if opening > instant else session_open(exchange, day + _DAY)


def session_open(exchange: str | None, day: date) -> datetime:
    """Return the opening, in UTC, of the first session on or after a day of the exchange.

    An exchange that never closes opens a day at 00:00 UTC.

    >>> session_open("XNYS", date(2026, 7, 3)).isoformat()  # a holiday on a Friday
    '2026-07-06T13:30:00+00:00'
    """
    return _open_of(_session_on_or_after(day)) if has_sessions(exchange) else datetime.combine(day, time(), UTC)


def session_close(exchange: str | None, day: date) -> datetime:
    """Return the close, in UTC, of the first session on or after a day of the exchange.

    An exchange that never closes ends a day with its last microsecond in UTC.

    >>> session_close("XNYS", date(2026, 12, 24)).isoformat()
    '2026-12-24T18:00:00+00:00'
    """
    if not has_sessions(exchange):
        return datetime.combine(day, time.max, UTC)
    return _close_of(_session_on_or_after(day))


def _session_on_or_after(day: date) -> date:
    candidates = (day + timedelta(days=ahead) for ahead in range(LONGEST_CLOSURE_DAYS + 1))
    return next(candidate for candidate in candidates if is_trading_day(candidate))


def _open_of(session: date) -> datetime:
    return new_york_time(session, _OPENS)


def _close_of(session: date) -> datetime:
    return new_york_time(session, _CLOSES_EARLY if session.isoformat() in _EARLY_CLOSES else _CLOSES)


def new_york_time(day: date, wall_time: time) -> datetime:
    """Return a time of day in New York, later than 02:00, in UTC."""
    starts, ends = _daylight_saving(day.year)
    return datetime.combine(day, wall_time, UTC) + timedelta(hours=4 if starts <= day < ends else 5)


@lru_cache(maxsize=8)
def _daylight_saving(year: int) -> tuple[date, date]:
    """Return the first day of daylight saving time, and the first day after it.

    March to November since 2007 (Energy Policy Act of 2005), April to October before.
    """
    if year >= 2007:
        return _sunday_on_or_after(date(year, 3, 8)), _sunday_on_or_after(date(year, 11, 1))
    return _sunday_on_or_after(date(year, 4, 1)), _sunday_on_or_after(date(year, 10, 25))


def _sunday_on_or_after(day: date) -> date:
    return day + timedelta(days=_SUNDAY - day.weekday())
