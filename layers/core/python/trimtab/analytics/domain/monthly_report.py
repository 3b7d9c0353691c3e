"""The monthly report of a portfolio: its content and its words, for the HTML part and the text part of a mail alike."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from trimtab.charts.donut import Slice
from trimtab.charts.drift_bars import DriftBar
from trimtab.charts.text import clean, format_day, format_money, format_month, format_number, format_percent

MAX_ROWS = 100
NOT_KNOWN = "not known yet"


class ReportUnit(StrEnum):
    """The unit of a figure in a report."""

    PERCENT = "percent"
    MONEY = "money"
    RATIO = "ratio"


class PeriodReturns(Struct, frozen=True):
    """Time-weighted and money-weighted returns of a period in percent; None where there is too little data."""

    period: str
    time_weighted: Decimal | None
    money_weighted: Decimal | None


class RiskLine(Struct, frozen=True):
    """A named risk figure; `value` None where there is too little data."""

    name: str
    value: Decimal | None
    unit: ReportUnit = ReportUnit.PERCENT


class HoldingLine(Struct, frozen=True):
    """A holding: units, value in money, and weight in percent; None where no price is known. Cash has no quantity."""

    name: str
    quantity: Decimal | None
    value: Decimal | None
    weight: Decimal | None


class TradeLine(Struct, frozen=True):
    """A trade: units bought (above zero) or sold (below zero), gross amount and fees in money."""

    day: date
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal


class MoneyLine(Struct, frozen=True):
    """A named amount of income (above zero) or costs (below zero)."""

    name: str
    amount: Decimal


class MonthlyReport(Struct, frozen=True):
    """A portfolio at the end of a month.

    `value` and `change` (since the end of the month before) are money; `change_percent` and all weights are percents.
    `as_of` is the day of the prices behind `value`, `written_on` the day of writing. `notes` are further
    sentences; `no_drift_reason` completes "No drift: …". `trades`, oldest first, and `income` are those of the month;
    `link` is the address of the portfolio.
    """

    portfolio: str
    month: date
    currency: str
    value: Decimal | None
    change: Decimal | None
    change_percent: Decimal | None
    returns: Sequence[PeriodReturns]
    risk: Sequence[RiskLine]
    sectors: Sequence[Slice]
    drift: Sequence[DriftBar]
    as_of: date | None
    written_on: date
    notes: Sequence[str] = ()
    no_drift_reason: str = "there is no target"
    holdings: Sequence[HoldingLine] = ()
    trades: Sequence[TradeLine] = ()
    income: Sequence[MoneyLine] = ()
    link: str = ""


class ReportTable(Struct, frozen=True):
    """Rows of texts under a heading; the first column holds words, the others numbers.

    `highlighted` holds the indexes of the rows that need attention.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: str = ""
    highlighted: frozenset[int] = frozenset()


def subject(report: MonthlyReport) -> str:
    """Return the subject of the mail: one line, whatever the portfolio's name contains."""
    return f"{clean(report.portfolio)}: {format_month(report.month)}"


def value_text(report: MonthlyReport) -> str:
    """Return the value of the portfolio in words."""
    return NOT_KNOWN if report.value is None else format_money(report.value, report.currency)


def change_text(report: MonthlyReport) -> str:
    """Return a sentence on the change over the month, deposits and withdrawals included."""
    if report.change is None:
        return "The change over the month is not known yet."
    parts = format_money(report.change, report.currency, signed=True)
    if report.change_percent is not None:
        parts += f" ({format_percent(report.change_percent, signed=True)})"
    return f"{parts} over the month, deposits and withdrawals included."


def age_text(report: MonthlyReport) -> str:
    """Return a sentence on the day and the age of the prices."""
    if report.as_of is None:
        return "There are no prices yet."
    days = (report.written_on - report.as_of).days
    age = "of the same day" if days <= 0 else "1 day old" if days == 1 else f"{days} days old"
    return f"Prices as of {format_day(report.as_of)}, {age} when this report was written."


def report_tables(report: MonthlyReport) -> tuple[ReportTable, ...]:
    """Return all tables of the report; a table without rows says why in its foot."""
    return (
        _returns_table(report),
        _risk_table(report),
        _holdings_table(report),
        _trades_table(report),
        _income_table(report),
        _sector_table(report),
        _drift_table(report),
    )


def _returns_table(report: MonthlyReport) -> ReportTable:
    rows = tuple(
        (clean(period.period), _return_text(period.time_weighted), _return_text(period.money_weighted))
        for period in report.returns[:MAX_ROWS]
    )
    foot = "" if rows else "No returns yet: two days of values are needed."
    return ReportTable("Returns", ("", "time-weighted", "money-weighted"), rows, foot)


def _holdings_table(report: MonthlyReport) -> ReportTable:
    rows = tuple(
        (
            clean(line.name),
            "" if line.quantity is None else _quantity_text(line.quantity),
            NOT_KNOWN if line.value is None else format_money(line.value, report.currency),
            NOT_KNOWN if line.weight is None else format_percent(line.weight),
        )
        for line in report.holdings[:MAX_ROWS]
    )
    foot = "" if rows else "Nothing is held."
    omitted = _omitted_text(len(report.holdings), "holdings")
    return ReportTable("Holdings", ("", "quantity", "value", "weight"), rows, foot or omitted)


def _trades_table(report: MonthlyReport) -> ReportTable:
    rows = tuple(
        (
            f"{format_day(line.day)} {clean(line.symbol)}",
            _quantity_text(line.quantity, signed=True),
            format_money(line.amount, report.currency),
            format_money(line.fees, report.currency),
        )
        for line in report.trades[:MAX_ROWS]
    )
    foot = "" if rows else "No trades in this month."
    omitted = _omitted_text(len(report.trades), "trades")
    return ReportTable("Trades of the month", ("", "quantity", "amount", "fees"), rows, foot or omitted)


def _income_table(report: MonthlyReport) -> ReportTable:
    rows = tuple((clean(line.name), format_money(line.amount, report.currency, signed=True)) for line in report.income)
    foot = "" if rows else "No income and no costs in this month."
    return ReportTable("Income and costs of the month", ("", "amount"), rows, foot)


def _risk_table(report: MonthlyReport) -> ReportTable:
    rows = tuple((clean(line.name), _risk_text(line, report.currency)) for line in report.risk[:MAX_ROWS])
    foot = "" if rows else "No risk figures yet: a longer history is needed."
    return ReportTable("Risk", ("", "value"), rows, foot)


def _sector_table(report: MonthlyReport) -> ReportTable:
    by_weight = sorted(report.sectors, key=lambda sector: (-sector.weight, sector.name))
    rows = tuple((clean(sector.name), format_percent(sector.weight)) for sector in by_weight[:MAX_ROWS])
    foot = "" if rows else "No sectors yet: nothing is held."
    return ReportTable("Sectors", ("", "weight"), rows, foot or _omitted_text(len(by_weight), "sectors"))


def _drift_table(report: MonthlyReport) -> ReportTable:
    ranked = sorted(report.drift, key=lambda bar: (not bar.is_outside, -max(bar.weight, bar.target), bar.symbol))
    rows = tuple(
        (
            clean(bar.symbol),
            format_percent(bar.weight),
            format_percent(bar.target),
            f"{format_number(bar.lower, 2)} to {format_percent(bar.upper)}",
            format_number(bar.drift, 2, signed=True) + (" outside" if bar.is_outside else ""),
        )
        for bar in ranked[:MAX_ROWS]
    )
    outside = sum(1 for bar in ranked if bar.is_outside)
    no_drift = f"No drift: {clean(report.no_drift_reason)}."
    summary = f"{outside} of {len(ranked)} outside their band." if ranked else no_drift
    highlighted = frozenset(place for place, bar in enumerate(ranked[:MAX_ROWS]) if bar.is_outside)
    foot = f"{summary} {_omitted_text(len(ranked), 'assets')}".rstrip()
    return ReportTable("Drift from target", ("", "now", "target", "band", "drift"), rows, foot, highlighted)


def _omitted_text(count: int, noun: str) -> str:
    return f"{count - MAX_ROWS} further {noun} are not listed." if count > MAX_ROWS else ""


def _quantity_text(quantity: Decimal, *, signed: bool = False) -> str:
    """Return a quantity with all decimals that are not zero."""
    exponent = quantity.normalize().as_tuple().exponent
    return format_number(quantity, max(0, -exponent) if isinstance(exponent, int) else 0, signed)


def _return_text(value: Decimal | None) -> str:
    return NOT_KNOWN if value is None else format_percent(value, signed=True)


def _risk_text(line: RiskLine, currency: str) -> str:
    if line.value is None:
        return NOT_KNOWN
    match line.unit:
        case ReportUnit.MONEY:
            return format_money(line.value, currency)
        case ReportUnit.PERCENT:
            return format_percent(line.value)
        case ReportUnit.RATIO:
            return format_number(line.value, 2)
        case _:
            assert_never(line.unit)
