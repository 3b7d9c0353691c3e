"""Windows of time: which days a figure is about."""

from calendar import monthrange
from datetime import date, timedelta
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.errors import Invalid


class Span(StrEnum):
    """How far a window goes back."""

    ONE_MONTH = "1M"
    THREE_MONTHS = "3M"
    SIX_MONTHS = "6M"
    YEAR_TO_DATE = "YTD"
    ONE_YEAR = "1Y"
    ALL = "all"
    CUSTOM = "custom"


_MONTHS = {Span.ONE_MONTH: 1, Span.THREE_MONTHS: 3, Span.SIX_MONTHS: 6, Span.ONE_YEAR: 12}


class Window(Struct, frozen=True):
    """From the close on (or before) `first` to the close on (or before) `last`.

    So the first day is where it opens, not one that is measured: the year to date opens at the last close of the year
    before. `asked_to` is the last day that was asked for, where that is later than any that is known.
    """

    span: Span
    first: date
    last: date
    asked_to: date | None = None


def window(
    span: Span, as_of: date, *, inception: date | None = None, first: date | None = None, last: date | None = None
) -> Window:
    """The window that ends on `as_of`; a custom one ends on `last`, if given and not after that, and opens on `first`.

    Months are calendar months: one month before 31 March is the last day of February. `all` opens on the day before
    `inception`, the day of the first snapshot (on `as_of` where there is none). `Invalid` where a custom window opens
    on its last day or later, or where days are given for another window.
    """
    if span is Span.CUSTOM:
        return _custom(as_of, first, last)
    if first is not None or last is not None:
        raise Invalid("invalid_window", "Give from and to with the window custom only.")
    if span is Span.ALL:
        return Window(span, min(inception - timedelta(days=1), as_of) if inception else as_of, as_of)
    if span is Span.YEAR_TO_DATE:
        return Window(span, date(as_of.year - 1, 12, 31), as_of)
    return Window(span, months_before(as_of, _MONTHS[span]), as_of)


def months_before(day: date, months: int) -> date:
    """The same day so many calendar months before, or the last one of that month where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _custom(as_of: date, first: date | None, last: date | None) -> Window:
    if first is None:
        raise Invalid("invalid_window", "A custom window needs the day on which it opens: from.")
    if first >= (last or as_of):
        raise Invalid("invalid_window", "A window opens before its last day.")
    if first >= as_of:
        raise Invalid("invalid_window", f"There is nothing yet after {as_of.isoformat()}: open the window before that.")
    if last is not None and last > as_of:
        return Window(Span.CUSTOM, first, as_of, asked_to=last)
    return Window(Span.CUSTOM, first, last or as_of)
