"""Answers about the history of a portfolio: performance, risk and daily values, each figure with its provenance."""

from datetime import date
from decimal import Decimal
from typing import Any

from trimtab.analytics.domain.daily_value import BASIS, DailyValue
from trimtab.analytics.domain.figures import Figure
from trimtab.analytics.domain.performance import DailyReturns
from trimtab.analytics.domain.risk import Risk
from trimtab.analytics.domain.statistics import Drawdown
from trimtab.analytics.domain.windows import Window
from trimtab.analytics.service.analysis import DataStatus, PortfolioHistory
from trimtab.contracts.fields import Model
from trimtab.kernel.currencies import money_text, round_money
from trimtab.kernel.money import plain


class DataView(Model):
    """The state of the data behind the figures."""

    last_day: date | None
    """The last valued day; null before the first. Example: `2026-11-20`"""
    age_days: int | None
    """The age of the data in days; null before the first valued day. Example: `1`"""
    stale: list[str]
    """The symbols without a close of the last valued day."""


class WindowView(Model):
    """A period from the close on (or before) `first` to the close on (or before) `last`."""

    span: str
    """The length of the window: `1M`, `3M`, `6M`, `YTD` (year to date), `1Y`, `all` or `custom`. Example: `1Y`"""
    first: date
    """The opening day: the first return is that of the day after. Example: `2025-11-20`"""
    last: date
    """The last day. Example: `2026-11-20`"""


class FigureView(Model):
    """A number with its provenance."""

    value: str | None
    """The number: percents with 4 decimals (12.5000 is 12.5 %), ratios with 6; null where no number can be computed.
    Example: `12.5000`"""
    unit: str
    """`percent` or `ratio`. Example: `percent`"""
    method: str
    """The name of the formula, with its parameters. Example: `standard_deviation_ddof_1_times_sqrt_252`"""
    basis: str
    window: WindowView | None
    """The days that the number covers; null where there are none."""
    observations: int
    """The number of inputs. Example: `252`"""
    reason: str | None
    """The cause of a missing number as a code, such as `too_few_observations`; null with a number. Example:
    `too_few_observations`"""
    candidates: list[str]
    """The rates that satisfy the formula, for the reason `several_rates`; empty otherwise."""


class SkippedDayView(Model):
    """A day whose gain is in no return."""

    day: date
    """The day. Example: `2026-11-20`"""
    gain: str
    """The gain of the day in money, negative for a loss. Example: `3.20`"""
    reason: str
    """The cause as a code: `no_capital` where nothing was invested. Example: `no_capital`"""


class PerformanceView(Model):
    """The performance of a portfolio."""

    portfolio_id: str
    currency: str
    data: DataView
    """The state of the data behind the figures."""
    window: WindowView
    """The period that the figures cover."""
    requested_to: date | None
    """The requested last day where that day is not valued yet; null otherwise."""
    opening_value: str
    """The value at the close of the opening day in money. Example: `10000.00`"""
    closing_value: str
    """The value at the close of the last day in money. Example: `11200.00`"""
    net_flow: str
    """Deposits less withdrawals of the window in money. Example: `500.00`"""
    gain: str
    """The change in value less the net flow, in money. Example: `700.00`"""
    skipped_days: list[SkippedDayView]
    """The days whose gain is in no return."""
    time_weighted: FigureView
    """The time-weighted return of the window, which deposits and withdrawals do not influence."""
    time_weighted_annualised: FigureView
    """The time-weighted return per year."""
    money_weighted: FigureView
    """The money-weighted return of the window (internal rate of return)."""
    money_weighted_annualised: FigureView
    """The money-weighted return per year."""
    simple: FigureView
    """The gain in percent of the largest capital that was put in, regardless of timing."""
    benchmark: FigureView | None
    """The return of the benchmark over the window; null without a benchmark."""
    excess: FigureView | None
    """The time-weighted return less that of the benchmark; null without a benchmark."""


class DrawdownView(Model):
    """The days of the deepest drawdown."""

    peak: date | None
    """The day of the peak before the deepest fall; null where there was no fall. Example: `2026-03-02`"""
    trough: date | None
    """The day of the lowest value after the peak; null where there was no fall. Example: `2026-04-08`"""
    recovery: date | None
    """The first day at the peak or above again; null before. Example: `2026-06-15`"""


class LossView(FigureView):
    """A loss in percent and in money."""

    amount: str | None
    """The loss in money at the closing value, above zero; null without a number. Example: `184.00`"""


class RiskView(Model):
    """The risk of a portfolio. Losses and drawdowns are above zero."""

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    requested_to: date | None
    confidence: str
    """The confidence level of the losses as a share: 0.95 is 95 %. Example: `0.95`"""
    horizon_days: int
    """The horizon of the losses in trading days. Example: `1`"""
    risk_free: str
    """The risk-free rate per year as a share: 0.03 is 3 %. Example: `0`"""
    value: str
    """The closing value in money, to which losses apply. Example: `11200.00`"""
    skipped_days: list[SkippedDayView]
    volatility: FigureView
    """The standard deviation of daily returns times the square root of 252, in percent."""
    sharpe: FigureView
    """The yearly return above the risk-free rate per unit of volatility."""
    sortino: FigureView
    """The yearly return above the risk-free rate per unit of downside deviation."""
    calmar: FigureView
    """The compound annual return over the deepest drawdown."""
    max_drawdown: FigureView
    """The deepest fall from a peak, in percent above zero."""
    drawdown: DrawdownView | None
    """The days of the deepest drawdown; null where it cannot be measured."""
    current_drawdown: FigureView
    """The fall from the highest point to the last day, in percent above zero."""
    historical_var: LossView
    """The value at risk: the percentile of past daily losses."""
    historical_cvar: LossView
    """The expected loss beyond the value at risk: the mean of the worst past days."""
    normal_var: LossView
    """The value at risk under a normal distribution."""
    normal_cvar: LossView
    """The expected loss beyond the value at risk under a normal distribution."""
    concentration: FigureView
    """The Herfindahl-Hirschman index of the holdings: the sum of squared shares, 1 for a single holding."""
    beta: FigureView | None
    """The sensitivity to the benchmark; null without a benchmark."""
    correlation: FigureView | None
    """The correlation with the benchmark; null without a benchmark."""


class DayView(Model):
    """A portfolio at the end of a day."""

    day: date
    """The day. Example: `2026-11-20`"""
    value: str
    """The value at the end of the day in money, cash included. Example: `11200.00`"""
    cash: str
    """The cash at the end of the day in money. Example: `200.00`"""
    flow: str
    """The deposits less withdrawals of the day in money. Example: `0.00`"""
    stale: list[str]
    """The symbols without a close of that day."""


class HistoryView(Model):
    """The daily values of a window."""

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    requested_to: date | None
    method: str
    basis: str
    observations: int
    """The number of days. Example: `252`"""
    days: list[DayView]
    """The daily values, oldest first."""


def performance_view(history: PortfolioHistory) -> dict[str, Any]:
    """Return the members of a `PerformanceView`."""
    found, currency = history.performance(), history.portfolio.currency
    amounts = ("opening_value", "closing_value", "net_flow", "gain")
    figures = ("time_weighted", "time_weighted_annualised", "money_weighted", "money_weighted_annualised", "simple")
    return {
        **_shared_members(history),
        **{name: money(getattr(found, name), currency) for name in amounts},
        "skipped_days": _skipped_days(found.returns, currency),
        **{name: _figure(getattr(found, name)) for name in (*figures, "benchmark", "excess")},
    }


def risk_view(history: PortfolioHistory, risk: Risk) -> dict[str, Any]:
    """Return the members of a `RiskView`."""
    figures = ("volatility", "sharpe", "sortino", "calmar", "max_drawdown", "current_drawdown", "concentration")
    losses = ("historical_var", "historical_cvar", "normal_var", "normal_cvar")
    currency = history.portfolio.currency
    return {
        **_shared_members(history),
        "confidence": plain(risk.parameters.confidence),
        "horizon_days": risk.parameters.horizon_days,
        "risk_free": plain(risk.parameters.risk_free),
        "value": money(risk.value, currency),
        "skipped_days": _skipped_days(risk.returns, currency),
        **{name: _figure(getattr(risk, name)) for name in (*figures, "beta", "correlation")},
        "drawdown": _drawdown(risk.drawdown),
        **{name: _loss(risk, getattr(risk, name), currency) for name in losses},
    }


def history_view(history: PortfolioHistory) -> dict[str, Any]:
    """Return the members of a `HistoryView`."""
    days = [_day(value, history.portfolio.currency) for value in history.covered]
    return {
        **_shared_members(history),
        "method": "quantity_times_close_plus_cash",
        "basis": BASIS,
        "observations": len(days),
        "days": days,
    }


def _shared_members(history: PortfolioHistory) -> dict[str, Any]:
    requested_to = history.window.requested_to
    return {
        "portfolio_id": history.portfolio.portfolio_id,
        "currency": history.portfolio.currency,
        "data": _data(history.data),
        "window": _window(history.window),
        "requested_to": requested_to and requested_to.isoformat(),
    }


def _data(data: DataStatus) -> dict[str, Any]:
    return {
        "last_day": data.last_day and data.last_day.isoformat(),
        "age_days": data.age_days,
        "stale": list(data.stale),
    }


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {
        "value": None if figure.value is None else f"{figure.value:f}",
        "unit": figure.unit.value,
        "method": figure.method,
        "basis": figure.basis,
        "window": _window(figure.window),
        "observations": figure.observations,
        "reason": figure.reason,
        "candidates": [f"{value:f}" for value in figure.candidates],
    }


def _skipped_days(returns: DailyReturns, currency: str) -> list[dict[str, Any]]:
    return [
        {"day": skipped.day.isoformat(), "gain": money(skipped.gain, currency), "reason": skipped.reason}
        for skipped in returns.skipped
    ]


def _window(window: Window | None) -> dict[str, Any] | None:
    if window is None:
        return None
    return {"span": window.span.value, "first": window.first.isoformat(), "last": window.last.isoformat()}


def _day(value: DailyValue, currency: str) -> dict[str, Any]:
    return {
        "day": value.day.isoformat(),
        "value": money(value.value, currency),
        "cash": money(value.cash, currency),
        "flow": money(value.flow, currency),
        "stale": list(value.stale),
    }


def _loss(risk: Risk, loss: Figure, currency: str) -> dict[str, Any]:
    amount = risk.loss_in_money(loss, currency)
    return {**(_figure(loss) or {}), "amount": None if amount is None else money(amount, currency)}


def _drawdown(drawdown: Drawdown | None) -> dict[str, Any] | None:
    if drawdown is None:
        return None
    days = {"peak": drawdown.peak, "trough": drawdown.trough, "recovery": drawdown.recovery}
    return {name: day and day.isoformat() for name, day in days.items()}


def money(number: Decimal, currency: str) -> str:
    """Return a computed amount as text, rounded to the decimals of its currency."""
    return money_text(round_money(number, currency), currency)
