"""Windows: the days that a figure covers."""

from datetime import date

import pytest

from trimtab.analytics.domain.windows import Span, Window, months_before, resolve_window
from trimtab.kernel.errors import Invalid

AS_OF = date(2028, 3, 31)


@pytest.mark.parametrize(
    ("span", "first"),
    [
        (Span.ONE_MONTH, date(2028, 2, 29)),
        (Span.THREE_MONTHS, date(2027, 12, 31)),
        (Span.SIX_MONTHS, date(2027, 9, 30)),
        (Span.YEAR_TO_DATE, date(2027, 12, 31)),
        (Span.ONE_YEAR, date(2027, 3, 31)),
    ],
)
def test_a_window_opens_on_the_same_day_of_a_month_before_or_on_its_last(span: Span, first: date) -> None:
    assert resolve_window(span, AS_OF) == Window(span, first, AS_OF)


def test_a_leap_day_has_a_year_before_it() -> None:
    assert months_before(date(2028, 2, 29), 12) == date(2027, 2, 28)
    assert months_before(date(2028, 1, 15), 1) == date(2027, 12, 15)


def test_all_opens_the_day_before_the_first_value() -> None:
    assert resolve_window(Span.ALL, AS_OF, inception=date(2020, 5, 4)) == Window(Span.ALL, date(2020, 5, 3), AS_OF)
    assert resolve_window(Span.ALL, AS_OF) == Window(Span.ALL, AS_OF, AS_OF), "without any valued day"


def test_a_custom_window_ends_today_unless_it_says_otherwise() -> None:
    first = date(2028, 1, 1)
    assert resolve_window(Span.CUSTOM, AS_OF, first=first) == Window(Span.CUSTOM, first, AS_OF)
    assert resolve_window(Span.CUSTOM, AS_OF, first=first, last=date(2028, 2, 1)).last == date(2028, 2, 1)
    later = date(2028, 4, 1)
    assert resolve_window(Span.CUSTOM, AS_OF, first=first, last=later) == Window(
        Span.CUSTOM, first, AS_OF, requested_to=later
    )


@pytest.mark.parametrize(
    ("span", "first", "last"),
    [
        (Span.CUSTOM, None, None),
        (Span.CUSTOM, None, AS_OF),
        (Span.CUSTOM, AS_OF, AS_OF),
        (Span.CUSTOM, date(2028, 3, 1), date(2028, 2, 1)),
        (Span.CUSTOM, AS_OF, date(2028, 4, 1)),
        (Span.CUSTOM, date(2028, 4, 1), date(2028, 4, 2)),
        (Span.ONE_YEAR, date(2028, 3, 1), None),
        (Span.ALL, None, AS_OF),
    ],
)
def test_days_that_make_no_window_are_refused(span: Span, first: date | None, last: date | None) -> None:
    with pytest.raises(Invalid):
        resolve_window(span, AS_OF, first=first, last=last)
