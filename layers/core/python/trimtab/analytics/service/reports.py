"""The monthly report of a portfolio: what it says, put together from the analysis."""

from datetime import date, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.analytics.domain.exposure import CASH_SECTOR
from trimtab.analytics.domain.monthly_report import Figure, Report, Returns, Unit
from trimtab.analytics.domain.performance import Performance
from trimtab.analytics.domain.risk import Risk, Terms
from trimtab.analytics.domain.series import CASH
from trimtab.analytics.domain.windows import Span, Window
from trimtab.analytics.service.analysis import Analysis, Past, Wanted
from trimtab.analytics.service.ports import Portfolio, Standing
from trimtab.charts.donut import Slice
from trimtab.charts.drift_bars import DriftBar
from trimtab.charts.text import day_text
from trimtab.kernel import ids
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, HUNDRED, PERCENT_PLACES, to_places

MAX_NAMED = 5


class Monthly(Struct, frozen=True):
    """A report and the past that its picture shows."""

    report: Report
    past: Past


class Reports(Struct, frozen=True):
    """Writes monthly reports."""

    analysis: Analysis
    clock: Clock

    def of_month(self, portfolio: Portfolio, month: str) -> Monthly:
        """The report of a month (`2026-10`): the values are those at its end, sectors and drift those of now.

        Of a month of which no day is valued no figure is known.
        """
        first, last = days_of(month)
        past = self._past(portfolio, first - timedelta(days=1), last, month=first)
        year_to_date = self._past(portfolio, date(last.year - 1, 12, 31), last, month=first)
        year = self._past(portfolio, last - timedelta(days=365), last, month=first)
        found, standing = past.performance, self.analysis.now(portfolio)
        newest, written_on = past.data.last_day, self.clock().date()
        is_behind = newest is not None and newest < first
        report = Report(
            portfolio=portfolio.name,
            month=first,
            currency=portfolio.currency,
            value=found.closing_value if found.stretch.days else None,
            change=found.closing_value - found.opening_value if found.stretch.days else None,
            change_percent=_change(found),
            returns=[
                _returns("Month", found),
                _returns("Year to date", year_to_date.performance),
                _returns("One year", year.performance),
            ],
            risk=_figures(year.risk(Terms())),
            sectors=[Slice(it.name, it.weight) for it in self.analysis.sectors(portfolio).exposure.sectors],
            drift=drifts(standing),
            no_drift=no_drift(standing),
            as_of=found.stretch.days[-1].day if found.stretch.days else newest if is_behind else None,
            written_on=written_on,
            notes=_notes(past, written_on, is_behind=is_behind),
        )
        shown = self._past(portfolio, last - timedelta(days=365), last, month=date.min) if is_behind else year
        return Monthly(report, shown)

    def _past(self, portfolio: Portfolio, first: date, last: date, *, month: date) -> Past:
        """The window, as far as it is valued; nothing where no day from the first of the month on is."""
        data = self.analysis.data(portfolio)
        if data.last_day is None or data.last_day < month:
            return Past(portfolio, data, Window(Span.CUSTOM, first, last), (), None)
        ends = min(last, data.last_day)
        return self.analysis.past(portfolio, Wanted(Span.CUSTOM, min(first, ends - timedelta(days=1)), ends))


def drifts(it: Standing) -> list[DriftBar]:
    """Each asset against its target and band, cash under the name that people give it."""
    names = {CASH: CASH_SECTOR}
    return [DriftBar(names.get(leg.asset, leg.asset), leg.weight, leg.target, leg.lower, leg.upper) for leg in it.legs]


def no_drift(it: Standing) -> str:
    """Why there is no drift, in words; nothing where there is one."""
    names = ", ".join(it.unpriced[:MAX_NAMED]) + (", …" if len(it.unpriced) > MAX_NAMED else "")
    said = {
        "no_target": "there is no target",
        "nothing_held": "nothing is held",
        "no_price": f"nobody knows a price of {names}",
    }
    return said[it.reason] if it.reason else ""


def days_of(month: str) -> tuple[date, date]:
    """The first and the last day of a month that is written as `2026-10`."""
    first = date.fromisoformat(f"{month}-01")
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def require_over(month: str, today: date) -> None:
    """`Unprocessable` for a month that is not over: whoever got half a report would not get the whole one."""
    if days_of(month)[1] >= today:
        raise Unprocessable("month_ahead", "Ask for the report of a month that is over.")


def report_id(portfolio: Portfolio, month: str) -> str:
    """The id under which it is sent: the same for the same month, so that nobody gets it twice."""
    return ids.derive_id("report", portfolio.tenant_id, portfolio.portfolio_id, month)


def _change(found: Performance) -> Decimal | None:
    """In percent of the opening value, what was put in and taken out included."""
    if not found.stretch.days or found.opening_value <= 0:
        return None
    change = CONTEXT.multiply(found.closing_value - found.opening_value, HUNDRED)
    return to_places(CONTEXT.divide(change, found.opening_value), PERCENT_PLACES)


def _returns(period: str, found: Performance) -> Returns:
    return Returns(period, found.time_weighted.value, found.money_weighted.value)


def _figures(found: Risk) -> list[Figure]:
    return [
        Figure("Volatility, a year", found.volatility.value),
        Figure("Sharpe ratio", found.sharpe.value, Unit.RATIO),
        Figure("Sortino ratio", found.sortino.value, Unit.RATIO),
        Figure("Deepest fall", found.max_drawdown.value),
        Figure("Value at risk, one day, 95 %", found.historical_var.value),
        Figure("The same in money", found.in_money(found.historical_var), Unit.MONEY),
    ]


def _notes(past: Past, written_on: date, *, is_behind: bool) -> list[str]:
    said = [f"Sectors and drift are those of {day_text(written_on)}."]
    if past.data.stale:
        said.append(f"No price of the last day for {', '.join(past.data.stale[:20])}: an older one was taken.")
    if is_behind and past.data.last_day:
        said.append(f"No day of the month is valued yet: the last one is {day_text(past.data.last_day)}.")
    return said
