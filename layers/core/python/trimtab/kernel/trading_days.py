"""Trading days of the New York Stock Exchange (XNYS), from a generated table."""

from datetime import date, timedelta

from trimtab.kernel.xnys import CLOSED

LONGEST_CLOSURE_DAYS = 7
_CLOSED = frozenset(CLOSED)
_FRIDAY = 4


def is_trading_day(day: date) -> bool:
    """Return True if the exchange has a session on the day; half days count.

    Outside the years of the table every weekday is taken for a trading day.

    >>> is_trading_day(date(2026, 12, 24)), is_trading_day(date(2026, 12, 25))
    (True, False)
    """
    return day.weekday() <= _FRIDAY and day.isoformat() not in _CLOSED


def on_or_before(day: date) -> date:
    """Return the day, or the last trading day before it if the exchange is closed on that day.

    >>> on_or_before(date(2026, 12, 27))
    datetime.date(2026, 12, 24)
    """
    candidates = (day - timedelta(days=back) for back in range(LONGEST_CLOSURE_DAYS + 1))
    return next(candidate for candidate in candidates if is_trading_day(candidate))
