"""The answers about a portfolio's past: every figure says how it was found."""

from datetime import date
from typing import Any

from trimtab.analytics.domain.figures import Figure
from trimtab.analytics.domain.risk import Risk
from trimtab.analytics.domain.series import BASIS, Snapshot
from trimtab.analytics.domain.statistics import Drawdown
from trimtab.analytics.domain.windows import Window
from trimtab.analytics.service.analysis import Data, Past
from trimtab.contracts.fields import Model
from trimtab.kernel.money import plain, to_money

Answer = dict[str, Any]


class DataView(Model):
    """What an answer rests on: the last day that is valued and its age in days, null before the first; and the symbols
    that were valued that day at an older close."""

    last_day: date | None
    age_days: int | None
    stale: list[str]


class WindowView(Model):
    """From the close on (or before) `first` to the close on (or before) `last`.

    Beside that of an answer stands `asked_to`: the last day that was asked for where it is not valued yet, else null.
    """

    span: str
    first: date
    last: date


class FigureView(Model):
    """A number with its unit (percent: 12.5 is an eighth), how it was found, over which days and from how many
    observations. `value` is null where there is none, and `reason` says why."""

    value: str | None
    unit: str
    method: str
    basis: str
    window: WindowView | None
    observations: int
    reason: str | None


class PerformanceView(Model):
    """How a portfolio did. Values, flow and gain are money; `benchmark` and `excess` are null where none was named."""

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    asked_to: date | None
    opening_value: str
    closing_value: str
    net_flow: str
    gain: str
    time_weighted: FigureView
    time_weighted_annualised: FigureView
    money_weighted: FigureView
    money_weighted_annualised: FigureView
    simple: FigureView
    benchmark: FigureView | None
    excess: FigureView | None


class DrawdownView(Model):
    """When the deepest fall began, when it was deepest and when it was made good; null where it never was."""

    peak: date | None
    trough: date | None
    recovery: date | None


class LossView(FigureView):
    """A loss in percent; `amount` is the same in money at the closing value."""

    amount: str | None


class RiskView(Model):
    """What a portfolio risks, at a confidence (0.95) and a horizon in trading days. Losses are above zero."""

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    asked_to: date | None
    confidence: str
    horizon_days: int
    risk_free: str
    value: str
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
    """A portfolio at the end of a day, in money; `flow` is what was put in that day less what was taken out."""

    day: date
    value: str
    cash: str
    flow: str
    stale: list[str]


class HistoryView(Model):
    """The daily values of a window, oldest first, with how each was found; `observations` counts them."""

    portfolio_id: str
    currency: str
    data: DataView
    window: WindowView
    asked_to: date | None
    method: str
    basis: str
    observations: int
    days: list[DayView]


def performance_view(it: Past) -> Answer:
    """See `PerformanceView`."""
    found = it.performance
    figures = ("time_weighted", "time_weighted_annualised", "money_weighted", "money_weighted_annualised", "simple")
    return {
        **_head(it),
        **{name: _money(getattr(found, name)) for name in ("opening_value", "closing_value", "net_flow", "gain")},
        **{name: figure_view(getattr(found, name)) for name in (*figures, "benchmark", "excess")},
    }


def risk_view(it: Past, found: Risk) -> Answer:
    """See `RiskView`."""
    plain_figures = ("volatility", "sharpe", "sortino", "calmar", "max_drawdown", "current_drawdown", "concentration")
    losses = ("historical_var", "historical_cvar", "normal_var", "normal_cvar")
    return {
        **_head(it),
        "confidence": plain(found.terms.confidence),
        "horizon_days": found.terms.horizon_days,
        "risk_free": plain(found.terms.risk_free),
        "value": _money(found.value),
        **{name: figure_view(getattr(found, name)) for name in (*plain_figures, "beta", "correlation")},
        "drawdown": _drawdown(found.drawdown),
        **{name: _loss(found, getattr(found, name)) for name in losses},
    }


def history_view(it: Past) -> Answer:
    """See `HistoryView`."""
    days = [_day(each) for each in it.covered]
    found = {"method": "quantity_times_close_plus_cash", "basis": BASIS, "observations": len(days)}
    return {**_head(it), **found, "days": days}


def figure_view(it: Figure | None) -> Answer | None:
    """See `FigureView`."""
    if it is None:
        return None
    return {
        "value": None if it.value is None else f"{it.value:f}",
        "unit": it.unit.value,
        "method": it.method,
        "basis": it.basis,
        "window": _window(it.window),
        "observations": it.observations,
        "reason": it.reason,
    }


def data_view(it: Data) -> Answer:
    """See `DataView`."""
    return {"last_day": it.last_day and it.last_day.isoformat(), "age_days": it.age_days, "stale": list(it.stale)}


def _head(it: Past) -> Answer:
    return {
        "portfolio_id": it.portfolio.portfolio_id,
        "currency": it.portfolio.currency,
        "data": data_view(it.data),
        "window": _window(it.window),
        "asked_to": it.window.asked_to and it.window.asked_to.isoformat(),
    }


def _window(it: Window | None) -> Answer | None:
    if it is None:
        return None
    return {"span": it.span.value, "first": it.first.isoformat(), "last": it.last.isoformat()}


def _day(it: Snapshot) -> Answer:
    return {
        "day": it.day.isoformat(),
        "value": _money(it.value),
        "cash": _money(it.cash),
        "flow": _money(it.flow),
        "stale": list(it.stale),
    }


def _loss(of: Risk, it: Figure) -> Answer:
    amount = of.in_money(it)
    return {**(figure_view(it) or {}), "amount": None if amount is None else _money(amount)}


def _drawdown(it: Drawdown | None) -> Answer | None:
    if it is None:
        return None
    return {name: (day := getattr(it, name)) and day.isoformat() for name in ("peak", "trough", "recovery")}


def _money(number: Any) -> str:
    return f"{to_money(number):.2f}"
