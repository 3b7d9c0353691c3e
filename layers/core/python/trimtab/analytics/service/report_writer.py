"""The monthly report of a portfolio, composed from the analysis."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import assert_never

from msgspec import Struct

from trimtab.analytics.domain.daily_value import CASH
from trimtab.analytics.domain.exposure import CASH_SECTOR
from trimtab.analytics.domain.monthly_report import (
    HoldingLine,
    MoneyLine,
    MonthlyReport,
    PeriodReturns,
    ReportUnit,
    RiskLine,
    TradeLine,
)
from trimtab.analytics.domain.performance import Performance, SkippedDay
from trimtab.analytics.domain.risk import Risk, RiskParameters
from trimtab.analytics.domain.windows import Span, Window
from trimtab.analytics.service.analysis import Analysis, PortfolioHistory, SectorBreakdown, WindowRequest
from trimtab.charts.donut import Slice
from trimtab.charts.drift_bars import DriftBar
from trimtab.charts.text import format_day
from trimtab.contracts.portfolios import LedgerTrade, NoDriftReason, PortfolioSnapshot, PortfolioSummary
from trimtab.kernel import ids
from trimtab.kernel.clock import Clock
from trimtab.kernel.currencies import round_money
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, HUNDRED, PERCENT_PLACES, ZERO, to_places

MAX_NAMED_SYMBOLS = 5
MAX_NAMED_DAYS = 5
_DAY = timedelta(days=1)
_YEAR = timedelta(days=365)
_INCOME = {"dividend": "Dividends", "interest": "Interest", "fee": "Fees of the account", "tax": "Taxes"}
"""The name of each type of cash entry that is income or a cost."""


class WrittenReport(Struct, frozen=True):
    """A report with the data of its charts: the history of values, and the sectors with their snapshot."""

    report: MonthlyReport
    history: PortfolioHistory
    sectors: SectorBreakdown


class ReportWriter(Struct, frozen=True):
    """Writes monthly reports with links to portfolios below `public_url`, the address of the API."""

    analysis: Analysis
    clock: Clock
    public_url: str

    def write(self, snapshot: PortfolioSnapshot, month: str) -> WrittenReport:
        """Write the report of a month (`2026-10`): values at the end of the month, trades and income of the month, and
        holdings, sectors and drift of the snapshot.

        Figures are unknown for a month without any valued day; the chart then shows the year up to the last valued day.
        """
        portfolio = snapshot.portfolio
        first, last = month_days(month)
        in_month = self._history(portfolio, first - _DAY, last, since=first)
        year_to_date = self._history(portfolio, date(last.year - 1, 12, 31), last, since=first)
        year = self._history(portfolio, last - _YEAR, last, since=first)
        performance, currency = in_month.performance(), portfolio.currency
        opening, closing = (
            round_money(value, currency) for value in (performance.opening_value, performance.closing_value)
        )
        newest, written_on = in_month.data.last_day, self.clock().date()
        is_behind = newest is not None and newest < first
        is_valued = bool(performance.values.days)
        sectors, trades = self.analysis.sectors(snapshot), self._trades(portfolio, first, last)
        report = MonthlyReport(
            portfolio=portfolio.name,
            month=first,
            currency=currency,
            value=closing if is_valued else None,
            change=closing - opening if is_valued else None,
            change_percent=_change_percent(performance),
            returns=_returns(in_month, year_to_date, year),
            risk=_risk_lines(year.risk(RiskParameters()), currency),
            sectors=[Slice(sector.name, sector.weight) for sector in sectors.exposure.sectors],
            drift=drift_bars_of(snapshot),
            no_drift_reason=no_drift_text(snapshot),
            as_of=performance.values.days[-1].day if is_valued else newest if is_behind else None,
            written_on=written_on,
            notes=_notes(in_month, performance.returns.skipped, written_on, is_behind=is_behind),
            holdings=holding_lines(snapshot),
            trades=[_trade_line(trade) for trade in trades],
            income=self._income(portfolio, trades, first, last),
            link=f"{self.public_url}/portfolios/{portfolio.portfolio_id}",
        )
        shown = self._history(portfolio, last - _YEAR, last, since=date.min) if is_behind else year
        return WrittenReport(report, shown, sectors)

    def _trades(self, portfolio: PortfolioSummary, first: date, last: date) -> list[LedgerTrade]:
        """Return the trades executed from `first` to `last`, both inclusive (UTC), oldest first."""
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        trades = self.analysis.ledger.trades(*names, datetime.combine(first, time(), UTC))
        return [trade for trade in trades if trade.executed_at.date() <= last]

    def _income(
        self, portfolio: PortfolioSummary, trades: Sequence[LedgerTrade], first: date, last: date
    ) -> list[MoneyLine]:
        """Return income and costs of the days from `first` to `last`, each kind once; none without any."""
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        movements = self.analysis.ledger.cash_movements(*names, datetime.combine(first, time(), UTC))
        sums = dict.fromkeys(_INCOME, ZERO)
        for movement in movements:
            if movement.type in sums and movement.at.date() <= last:
                sums[movement.type] += movement.amount
        lines = [MoneyLine(_INCOME[type], amount) for type, amount in sums.items()]
        lines.append(MoneyLine("Fees of trades", -sum((trade.fees for trade in trades), ZERO)))
        return lines if any(line.amount for line in lines) else []

    def _history(self, portfolio: PortfolioSummary, first: date, last: date, *, since: date) -> PortfolioHistory:
        """Return the valued part of a window; empty where no day from `since` on is valued."""
        data = self.analysis.data_status(portfolio)
        if data.last_day is None or data.last_day < since:
            return PortfolioHistory(portfolio, data, Window(Span.CUSTOM, first, last), (), None)
        end = min(last, data.last_day)
        return self.analysis.history(portfolio, WindowRequest(Span.CUSTOM, min(first, end - _DAY), end))


def holding_lines(snapshot: PortfolioSnapshot) -> list[HoldingLine]:
    """Return the holdings, largest value first and those without a price last, then the cash."""
    values = snapshot.values
    ranked = sorted(values, key=lambda symbol: (values[symbol] is None, -(values[symbol] or ZERO), symbol))
    lines = [
        HoldingLine(symbol, snapshot.quantities[symbol], values[symbol], _weight(values[symbol], snapshot))
        for symbol in ranked
    ]
    cash = HoldingLine(CASH_SECTOR, None, snapshot.cash, _weight(snapshot.cash, snapshot))
    return [*lines, cash] if snapshot.portfolio.cash is not None else lines


def _weight(value: Decimal | None, snapshot: PortfolioSnapshot) -> Decimal | None:
    """Return the share of the value of the portfolio in percent; None where the value is unknown or not above zero."""
    if value is None or snapshot.value <= 0:
        return None
    return to_places(CONTEXT.divide(CONTEXT.multiply(value, HUNDRED), snapshot.value), PERCENT_PLACES)


def _returns(month: PortfolioHistory, year_to_date: PortfolioHistory, year: PortfolioHistory) -> list[PeriodReturns]:
    periods = {"Month": month, "Year to date": year_to_date, "One year": year}
    return [_period_returns(name, history.performance()) for name, history in periods.items()]


def _trade_line(trade: LedgerTrade) -> TradeLine:
    return TradeLine(trade.executed_at.date(), trade.symbol, trade.quantity, trade.amount, trade.fees)


def drift_bars_of(snapshot: PortfolioSnapshot) -> list[DriftBar]:
    """Return each asset's weight, target and band for a chart; cash has its display name."""
    names = {CASH: CASH_SECTOR}
    return [
        DriftBar(names.get(leg.asset, leg.asset), leg.weight, leg.target, leg.lower, leg.upper) for leg in snapshot.legs
    ]


def no_drift_text(snapshot: PortfolioSnapshot) -> str:
    """Return the reason for missing drift in words; empty where there is drift."""
    match snapshot.reason:
        case None:
            return ""
        case NoDriftReason.NO_TARGET:
            return "there is no target"
        case NoDriftReason.NOTHING_HELD:
            return "nothing is held"
        case NoDriftReason.NO_PRICE:
            unpriced = snapshot.unpriced
            more = ", …" if len(unpriced) > MAX_NAMED_SYMBOLS else ""
            return f"no price is known for {', '.join(unpriced[:MAX_NAMED_SYMBOLS])}{more}"
        case _:
            assert_never(snapshot.reason)


def month_days(month: str) -> tuple[date, date]:
    """Return the first and the last day of a month, written as `2026-10`.

    >>> month_days("2026-02")
    (datetime.date(2026, 2, 1), datetime.date(2026, 2, 28))
    """
    first = date.fromisoformat(f"{month}-01")
    return first, (first + timedelta(days=31)).replace(day=1) - _DAY


def require_past_month(month: str, today: date) -> None:
    """Raise `Unprocessable` for an unfinished month: each contact gets a month's report only once."""
    if month_days(month)[1] >= today:
        raise Unprocessable("month_ahead", "`month` is not over yet. Request the report of a past month.")


def report_id(tenant_id: str, portfolio_id: str, month: str) -> str:
    """Return the message id of a report, equal for all requests of a month: each contact gets the report once."""
    return ids.derive_id("report", tenant_id, portfolio_id, month)


def _change_percent(performance: Performance) -> Decimal | None:
    """Return the change in percent of the opening value, deposits and withdrawals included."""
    if not performance.values.days or performance.opening_value <= 0:
        return None
    change = CONTEXT.multiply(performance.closing_value - performance.opening_value, HUNDRED)
    return to_places(CONTEXT.divide(change, performance.opening_value), PERCENT_PLACES)


def _period_returns(period: str, performance: Performance) -> PeriodReturns:
    return PeriodReturns(period, performance.time_weighted.value, performance.money_weighted.value)


def _risk_lines(risk: Risk, currency: str) -> list[RiskLine]:
    return [
        RiskLine("Volatility, annualised", risk.volatility.value),
        RiskLine("Sharpe ratio", risk.sharpe.value, ReportUnit.RATIO),
        RiskLine("Sortino ratio", risk.sortino.value, ReportUnit.RATIO),
        RiskLine("Maximum drawdown", risk.max_drawdown.value),
        RiskLine("Value at risk, one day, 95 %", risk.historical_var.value),
        RiskLine("Value at risk in money", risk.loss_in_money(risk.historical_var, currency), ReportUnit.MONEY),
    ]


def _notes(history: PortfolioHistory, skipped: Sequence[SkippedDay], written_on: date, *, is_behind: bool) -> list[str]:
    notes = [f"Holdings, sectors and drift are those of {format_day(written_on)}."]
    if history.data.stale:
        symbols = ", ".join(history.data.stale[:20])
        notes.append(f"No price of the last day for {symbols}: an older price was used.")
    if skipped:
        days = ", ".join(format_day(day.day) for day in skipped[:MAX_NAMED_DAYS])
        notes.append(f"The returns leave out gains and losses of days without invested capital: {days}.")
    if is_behind and history.data.last_day:
        notes.append(f"No day of the month is valued yet: the last valued day is {format_day(history.data.last_day)}.")
    return notes
