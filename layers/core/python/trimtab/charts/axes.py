"""Chart axes: round tick values between two ends, and the pixel of a value."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec import Struct

from trimtab.charts.text import MONTHS, add_currency, format_number

_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
_UNITS = ((Decimal(10) ** 12, "tn"), (Decimal(10) ** 9, "bn"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))
_MAX_UNIT_PLACES = 2


class Scale(Struct, frozen=True):
    """An axis from `low` to `high` in round steps, drawn from the pixel `start` to the pixel `end`."""

    low: Decimal
    high: Decimal
    step: Decimal
    start: float
    end: float

    def position(self, value: Decimal) -> float:
        """Return the pixel of a value."""
        return self.start + float((value - self.low) / (self.high - self.low)) * (self.end - self.start)

    def ticks(self) -> tuple[Decimal, ...]:
        """Return the round numbers on the axis."""
        count = int((self.high - self.low) / self.step)
        return tuple(self.low + place * self.step for place in range(count + 1))


def make_axis(low: Decimal, high: Decimal, parts: int, start: float, end: float) -> Scale:
    """Return the axis from at most `low` to at least `high` in about `parts` round steps (`low` < `high`)."""
    rough = (high - low) / parts
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(power * factor for factor in _STEPS if power * factor >= rough)
    first = (low / step).to_integral_value(ROUND_FLOOR) * step
    last = (high / step).to_integral_value(ROUND_CEILING) * step
    return Scale(first, last, step, start, end)


def format_money_ticks(ticks: Sequence[Decimal], step: Decimal, currency: str) -> tuple[str, ...]:
    """Return the labels of a money axis, shortened where exact: `$12.5k`, but `$1,000,025` in full."""
    top = max(abs(tick) for tick in ticks)
    for unit, letter in _UNITS:
        places = _places(step / unit)
        if top >= 10 * min(unit, Decimal(10) ** 6) and top >= unit and places <= _MAX_UNIT_PLACES:
            return tuple(
                add_currency(format_number(tick / unit, places) + (letter if tick else ""), currency) for tick in ticks
            )
    return tuple(add_currency(format_number(tick, _places(step)), currency) for tick in ticks)


def _places(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def choose_day_ticks(first: date, last: date, most: int) -> tuple[tuple[date, str], ...]:
    """Return at most `most` + 1 evenly spaced days, months or years from `first` to `last`, with their labels."""
    days = (last - first).days
    if days <= 31 * 2:
        step = next(step for step in (1, 2, 7, 14, 28) if days / step <= most)
        return tuple(
            (day, f"{day.day} {MONTHS[day.month - 1]}")
            for day in (first + timedelta(place) for place in range(0, days + 1, step))
        )
    months = [
        date(year, month, 1)
        for year in range(first.year, last.year + 1)
        for month in range(1, 13)
        if first <= date(year, month, 1) <= last
    ]
    step = next((step for step in (1, 2, 3, 6, 12) if len(months) / step <= most), 12)
    if step < 12:
        written = [day for day in months if (day.month - 1) % step == 0]
        dated = next((day for day in written if day.month == 1), written[0])  # one label carries the year
        return tuple((day, _month(day, day.month == 1 or day == dated)) for day in written)
    years = [day for day in months if day.month == 1]
    each = next(each for each in (1, 2, 5, 10, 20, 50, 100, 1000, 10_000) if len(years) / each <= most)
    return tuple((day, str(day.year)) for day in years if day.year % each == 0)


def _month(day: date, has_year: bool) -> str:
    return f"{MONTHS[day.month - 1]} {day.year}" if has_year else MONTHS[day.month - 1]
