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
from trimtab.kernel.money import plain, to_money


class DataView(Model):
    """The last valued day, the age of the data in days (null before the first), and the stale symbols."""

    last_day: date | None
    age_days: int | None
    stale: list[str]


class WindowView(Model):
    """The period from the close on (or before) `first` to the close on (or before) `last`."""

    span: str
    first: date
    last: date


class FigureView(Model):
    """A number with unit (percent: 12.5 is an eighth), method, basis, window and number of observations.

    Without a number `value` is null and `reason` is a code for the cause. For the reason `several_rates`, `candidates`
    are the rates that satisfy the formula.
    """

    value: str | None
    unit: str
    method: str
    basis: str
    window: WindowView | None
    observations: int
    reason: str | None
    candidates: list[str]


class SkippedDayView(Model):
    """A day that is in no return: its gain in money, and a code for the cause (`no_capital`: nothing was invested)."""

    day: date
    gain: str
    reason: str


class PerformanceView(Model):
    """The performance of a portfolio. Values, flow and gain are money.

    `benchmark` and `excess` are null without a benchmark. `requested_to` is the requested last day where that day is
    not valued yet, else null.
    """

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    requested_to: date | None
    opening_value: str
    closing_value: str
    net_flow: str
    gain: str
    skipped_days: list[SkippedDayView]
    time_weighted: FigureView
    time_weighted_annualised: FigureView
    money_weighted: FigureView
    money_weighted_annualised: FigureView
    simple: FigureView
    benchmark: FigureView | None
    excess: FigureView | None


class DrawdownView(Model):
    """The days of the deepest drawdown: peak, trough and recovery (null before the recovery)."""

    peak: date | None
    trough: date | None
    recovery: date | None


class LossView(FigureView):
    """A loss in percent; `amount` is the loss in money at the closing value."""

    amount: str | None


class RiskView(Model):
    """The risk of a portfolio at a confidence (0.95) and a horizon in trading days. Losses are above zero.

    `beta` and `correlation` are null without a benchmark.
    """

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    requested_to: date | None
    confidence: str
    horizon_days: int
    risk_free: str
    value: str
    skipped_days: list[SkippedDayView]
    volatility: FigureView
    sharpe: FigureView
    sortino: FigureView
    calmar: FigureView
    max_drawdown: FigureView
    drawdown: DrawdownView | None
    current_drawdown: FigureView
    historical_var: LossView
    historical_cvar: LossView
    normal_var: LossView
    normal_cvar: LossView
    concentration: FigureView
    beta: FigureView | None
    correlation: FigureView | None


class DayView(Model):
    """A portfolio at the end of a day, in money; `flow` is the day's deposits less withdrawals.

    `stale` names the symbols without a close of that day.
    """

    day: date
    value: str
    cash: str
    flow: str
    stale: list[str]


class HistoryView(Model):
    """The daily values of a window, oldest first; `observations` is their number."""

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    requested_to: date | None
    method: str
    basis: str
    observations: int
    days: list[DayView]


def performance_view(history: PortfolioHistory) -> dict[str, Any]:
    """Return the members of a `PerformanceView`."""
    found = history.performance()
    amounts = ("opening_value", "closing_value", "net_flow", "gain")
    figures = ("time_weighted", "time_weighted_annualised", "money_weighted", "money_weighted_annualised", "simple")
    return {
        **_shared_members(history),
        **{name: _money(getattr(found, name)) for name in amounts},
        "skipped_days": _skipped_days(found.returns),
        **{name: _figure(getattr(found, name)) for name in (*figures, "benchmark", "excess")},
    }


def risk_view(history: PortfolioHistory, risk: Risk) -> dict[str, Any]:
    """Return the members of a `RiskView`."""
    figures = ("volatility", "sharpe", "sortino", "calmar", "max_drawdown", "current_drawdown", "concentration")
    losses = ("historical_var", "historical_cvar", "normal_var", "normal_cvar")
    return {
        **_shared_members(history),
        "confidence": plain(risk.parameters.confidence),
        "horizon_days": risk.parameters.horizon_days,
        "risk_free": plain(risk.parameters.risk_free),
        "value": _money(risk.value),
        "skipped_days": _skipped_days(risk.returns),
        **{name: _figure(getattr(risk, name)) for name in (*figures, "beta", "correlation")},
        "drawdown": _drawdown(risk.drawdown),
        **{name: _loss(risk, getattr(risk, name)) for name in losses},
    }


def history_view(history: PortfolioHistory) -> dict[str, Any]:
    """Return the members of a `HistoryView`."""
    days = [_day(value) for value in history.covered]
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


def _skipped_days(returns: DailyReturns) -> list[dict[str, Any]]:
    return [
        {"day": skipped.day.isoformat(), "gain": _money(skipped.gain), "reason": skipped.reason}
        for skipped in returns.skipped
    ]


def _window(window: Window | None) -> dict[str, Any] | None:
    if window is None:
        return None
    return {"span": window.span.value, "first": window.first.isoformat(), "last": window.last.isoformat()}


def _day(value: DailyValue) -> dict[str, Any]:
    return {
        "day": value.day.isoformat(),
        "value": _money(value.value),
        "cash": _money(value.cash),
        "flow": _money(value.flow),
        "stale": list(value.stale),
    }


def _loss(risk: Risk, loss: Figure) -> dict[str, Any]:
    amount = risk.loss_in_money(loss)
    return {**(_figure(loss) or {}), "amount": None if amount is None else _money(amount)}


def _drawdown(drawdown: Drawdown | None) -> dict[str, Any] | None:
    if drawdown is None:
        return None
    days = {"peak": drawdown.peak, "trough": drawdown.trough, "recovery": drawdown.recovery}
    return {name: day and day.isoformat() for name, day in days.items()}


def _money(number: Decimal) -> str:
    return f"{to_money(number):.2f}"
