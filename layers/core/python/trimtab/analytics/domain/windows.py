"""Windows: the days that a figure covers."""

from calendar import monthrange
from datetime import date, timedelta
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.errors import Invalid


class Span(StrEnum):
    """The length of a window, counted back from the last day."""

    ONE_MONTH = "1M"
    THREE_MONTHS = "3M"
    SIX_MONTHS = "6M"
    YEAR_TO_DATE = "YTD"
    ONE_YEAR = "1Y"
    ALL = "all"
    CUSTOM = "custom"


_MONTHS = {Span.ONE_MONTH: 1, Span.THREE_MONTHS: 3, Span.SIX_MONTHS: 6, Span.ONE_YEAR: 12}


class Window(Struct, frozen=True):
    """The period from the close on (or before) `first` to the close on (or before) `last`.

    `first` is the opening day and has no return of its own: the year to date opens at the last close of the year
    before. `requested_to` is the requested last day where that day is later than the last valued day.
    """

    span: Span
    first: date
    last: date
    requested_to: date | None = None


def resolve_window(
    span: Span, as_of: date, *, inception: date | None = None, first: date | None = None, last: date | None = None
) -> Window:
    """Return the window of a span that ends on `as_of`.

    A custom window opens on `first` and ends on `last`, or on `as_of` where `last` is missing or later. Months are
    calendar months: one month before 31 March is the last day of February. `all` opens on the day before `inception`,
    the first valued day, or on `as_of` without one. Raises `Invalid` where a custom window opens on its last day or
    later, and where `first` or `last` comes with another span.

    >>> resolve_window(Span.ONE_MONTH, date(2026, 3, 31)).first
    datetime.date(2026, 2, 28)
    """
    if span is Span.CUSTOM:
        return _custom(as_of, first, last)
    if first is not None or last is not None:
        raise Invalid("invalid_window", "`from` and `to` are allowed with window=custom only.")
    if span is Span.ALL:
        return Window(span, min(inception - timedelta(days=1), as_of) if inception else as_of, as_of)
    if span is Span.YEAR_TO_DATE:
        return Window(span, date(as_of.year - 1, 12, 31), as_of)
    return Window(span, months_before(as_of, _MONTHS[span]), as_of)


def months_before(day: date, months: int) -> date:
    """Return the same day `months` calendar months earlier, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _custom(as_of: date, first: date | None, last: date | None) -> Window:
    if first is None:
        raise Invalid("invalid_window", "A custom window needs `from`, its opening day.")
    if first >= (last or as_of):
        raise Invalid("invalid_window", "`from` must be before the last day of the window.")
    if first >= as_of:
        raise Invalid("invalid_window", f"No day after {as_of.isoformat()} is valued yet. Choose an earlier `from`.")
    if last is not None and last > as_of:
        return Window(Span.CUSTOM, first, as_of, requested_to=last)
    return Window(Span.CUSTOM, first, last or as_of)
