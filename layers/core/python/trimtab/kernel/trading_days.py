"""The days on which XNYS (New York) trades, from a table that is made beforehand."""

from datetime import date, timedelta

from trimtab.kernel.xnys import CLOSED

LONGEST_CLOSURE_DAYS = 7
_CLOSED = frozenset(CLOSED)
_FRIDAY = 4


def is_trading_day(day: date) -> bool:
    """Whether the exchange has a session on this day, be it a short one.

    Outside the years of the table every weekday counts as one.
    """
    return day.weekday() <= _FRIDAY and day.isoformat() not in _CLOSED


def on_or_before(day: date) -> date:
    """The day itself where it is a trading day, else the last trading day before it."""
    candidates = (day - timedelta(days=back) for back in range(LONGEST_CLOSURE_DAYS + 1))
    return next(each for each in candidates if is_trading_day(each))
