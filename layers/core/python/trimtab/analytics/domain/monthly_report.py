"""The monthly report: what it says, and its words. `report_html` and `report_text` write the same facts."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.charts.donut import Slice
from trimtab.charts.drift_bars import DriftBar
from trimtab.charts.text import clean, day_text, money, month_text, number, percent

MAX_ROWS = 100
NOT_KNOWN = "not known yet"


class Unit(StrEnum):
    """What a figure is counted in."""

    PERCENT = "percent"
    MONEY = "money"
    RATIO = "ratio"


class Returns(Struct, frozen=True):
    """A period's returns in percent: time-weighted and money-weighted; None where there is too little to tell."""

    period: str
    twr: Decimal | None
    mwr: Decimal | None


class Figure(Struct, frozen=True):
    """A figure of risk under its name; None where there is too little to tell."""

    name: str
    value: Decimal | None
    unit: Unit = Unit.PERCENT


class Report(Struct, frozen=True):
    """A portfolio at the end of a month.

    `value` and `change` (since the end of the month before) are money, `change_percent` and all weights are percents.
    `as_of` is the day of the prices that the value rests on, `written_on` the day the report is made.
    `notes` are further sentences, such as which prices are missing.
    """

    portfolio: str
    month: date
    currency: str
    value: Decimal | None
    change: Decimal | None
    change_percent: Decimal | None
    returns: Sequence[Returns]
    risk: Sequence[Figure]
    sectors: Sequence[Slice]
    drift: Sequence[DriftBar]
    as_of: date | None
    written_on: date
    notes: Sequence[str] = ()
    no_drift: str = "there is no target"


class Table(Struct, frozen=True):
    """Rows of texts under a heading; the first column is words, the others are figures."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str = ""
    marked: frozenset[int] = frozenset()  # the rows that need attention


def subject(report: Report) -> str:
    """The subject of the e-mail: one line, whatever the portfolio's name is."""
    return f"{clean(report.portfolio)}: {month_text(report.month)}"


def value_said(report: Report) -> str:
    """What the portfolio is worth."""
    return NOT_KNOWN if report.value is None else money(report.value, report.currency)


def change_said(report: Report) -> str:
    """The change since the month before, deposits and withdrawals included."""
    if report.change is None:
        return "The change over the month is not known yet."
    parts = money(report.change, report.currency, signed=True)
    if report.change_percent is not None:
        parts += f" ({percent(report.change_percent, signed=True)})"
    return f"{parts} over the month, deposits and withdrawals included."


def age_said(report: Report) -> str:
    """The day that the numbers are of, and how old that makes them."""
    if report.as_of is None:
        return "There are no prices yet."
    days = (report.written_on - report.as_of).days
    age = "of the same day" if days <= 0 else "1 day old" if days == 1 else f"{days} days old"
    return f"Prices as of {day_text(report.as_of)}, {age} when this was written."


def tables(report: Report) -> tuple[Table, ...]:
    """All tables, each also where there is nothing to put into it: then its foot says so."""
    return _returns(report), _risk(report), _sectors(report), _drift(report)


def _returns(report: Report) -> Table:
    rows = tuple((clean(one.period), _percent(one.twr), _percent(one.mwr)) for one in report.returns[:MAX_ROWS])
    foot = "" if rows else "No returns yet: they need two days of values."
    return Table("Returns", ("", "time-weighted", "money-weighted"), rows, foot)


def _risk(report: Report) -> Table:
    rows = tuple((clean(one.name), _figure(one, report.currency)) for one in report.risk[:MAX_ROWS])
    return Table("Risk", ("", "value"), rows, "" if rows else "No risk figures yet: they need a longer history.")


def _sectors(report: Report) -> Table:
    heavy = sorted(report.sectors, key=lambda one: (-one.weight, one.name))
    rows = tuple((clean(one.name), percent(one.weight)) for one in heavy[:MAX_ROWS])
    foot = "" if rows else "No sectors yet: nothing is held."
    return Table("Sectors", ("", "weight"), rows, foot or _left_out(len(heavy), "sectors"))


def _drift(report: Report) -> Table:
    ranked = sorted(report.drift, key=lambda bar: (not bar.is_outside, -max(bar.weight, bar.target), bar.symbol))
    rows = tuple(
        (
            clean(bar.symbol),
            percent(bar.weight),
            percent(bar.target),
            f"{number(bar.lower, 2)} to {percent(bar.upper)}",
            number(bar.drift, 2, signed=True) + (" outside" if bar.is_outside else ""),
        )
        for bar in ranked[:MAX_ROWS]
    )
    outside = sum(1 for bar in ranked if bar.is_outside)
    said = f"{outside} of {len(ranked)} outside their band." if ranked else f"No drift: {clean(report.no_drift)}."
    marked = frozenset(place for place, bar in enumerate(ranked[:MAX_ROWS]) if bar.is_outside)
    foot = f"{said} {_left_out(len(ranked), 'assets')}".rstrip()
    return Table("Drift from target", ("", "now", "target", "band", "drift"), rows, foot, marked)


def _left_out(count: int, what: str) -> str:
    return f"{count - MAX_ROWS} further {what} are not listed." if count > MAX_ROWS else ""


def _percent(value: Decimal | None) -> str:
    return NOT_KNOWN if value is None else percent(value, signed=True)


def _figure(figure: Figure, currency: str) -> str:
    if figure.value is None:
        return NOT_KNOWN
    if figure.unit is Unit.MONEY:
        return money(figure.value, currency)
    return percent(figure.value) if figure.unit is Unit.PERCENT else number(figure.value, 2)
