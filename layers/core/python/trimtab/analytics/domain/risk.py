"""Risk figures of a portfolio over a window, computed from daily time-weighted returns.

Losses and drawdowns are above zero. The value at risk over several days is that of one day times the square root of the
number of days (`square_root_of_time`), which is exact only for independent, identically distributed days.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import partial
from math import sqrt

from msgspec import Struct

from trimtab.analytics.domain import statistics
from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.daily_value import BASIS, CASH, DailyValue
from trimtab.analytics.domain.figures import Figure, FigureUnit, make_figure
from trimtab.analytics.domain.performance import DailyReturns, WindowValues, compute_daily_returns, select_window
from trimtab.analytics.domain.statistics import Drawdown
from trimtab.analytics.domain.windows import Window
from trimtab.kernel.currencies import round_money
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO

_BASIS = f"daily_time_weighted_returns,{BASIS}"
MAX_HORIZON_DAYS = 60
MIN_RETURNS = 2
MIN_RETURNS_FOR_A_YEAR = 20
"""Minimum number of returns for yearly figures and for comparisons with a benchmark: a month of trading days."""


class RiskParameters(Struct, frozen=True):
    """Confidence as a share (0.95), horizon in trading days, yearly risk-free rate as a share (0.03).

    Raises `Invalid` outside 0.5 to 0.999, outside 1 to 60 days, and for a rate not strictly between -1 and 1.
    """

    confidence: Decimal = Decimal("0.95")
    horizon_days: int = 1
    risk_free: Decimal = ZERO

    def __post_init__(self) -> None:
        if not Decimal("0.5") <= self.confidence <= Decimal("0.999"):
            raise Invalid("invalid_confidence", "`confidence` must be from 0.5 to 0.999.")
        if not 1 <= self.horizon_days <= MAX_HORIZON_DAYS:
            raise Invalid("invalid_horizon", f"`horizon_days` must be from 1 to {MAX_HORIZON_DAYS} trading days.")
        if not -1 < self.risk_free < 1:
            raise Invalid("invalid_risk_free_rate", "`risk_free` must be a share per year: 0.03 is 3 %.")

    @property
    def tail(self) -> float:
        """The share of days beyond the confidence: 0.05 at 0.95."""
        return float(1 - self.confidence)

    @property
    def min_returns_for_tail(self) -> int:
        """Minimum number of returns for a tail of at least one day: 20 at 0.95."""
        return int((1 / (1 - self.confidence)).to_integral_value(ROUND_CEILING))


class Risk(Struct, frozen=True):
    """The risk figures of a window: volatility, drawdown and value at risk in percent, the others as ratios.

    `value` is the closing value in money. `drawdown` has the days of the deepest fall, None where not measurable;
    `current_drawdown` is the fall from the highest point to the last day. Without a benchmark, beta and correlation
    are None.
    """

    parameters: RiskParameters
    returns: DailyReturns
    value: Decimal
    volatility: Figure
    sharpe: Figure
    sortino: Figure
    calmar: Figure
    max_drawdown: Figure
    current_drawdown: Figure
    historical_var: Figure
    historical_cvar: Figure
    normal_var: Figure
    normal_cvar: Figure
    concentration: Figure
    drawdown: Drawdown | None = None
    beta: Figure | None = None
    correlation: Figure | None = None

    def loss_in_money(self, loss: Figure, currency: str) -> Decimal | None:
        """Return a loss in percent as money at the closing value, which is money of this currency, too."""
        if loss.value is None:
            return None
        value = round_money(self.value, currency)
        return round_money(CONTEXT.divide(CONTEXT.multiply(value, loss.value), HUNDRED), currency)


def measure_risk(
    series: Sequence[DailyValue], window: Window, parameters: RiskParameters, benchmark: Benchmark | None = None
) -> Risk:
    """Return all risk figures of the window."""
    values = select_window(series, window)
    returns = compute_daily_returns(values)
    figures = _FigureMaker(values, returns)
    paired = _pair_returns(values, returns, benchmark) if benchmark else None
    return Risk(
        parameters=parameters,
        returns=returns,
        value=values.closing_value,
        drawdown=None if returns.missing_reason else _deepest_drawdown(returns),
        **_ratios(figures, float(parameters.risk_free)),
        **_losses(figures, parameters),
        concentration=measure_concentration(values),
        beta=_compare(figures, "covariance_over_variance", statistics.beta, paired, benchmark),
        correlation=_compare(figures, "pearson", statistics.correlation, paired, benchmark),
    )


def herfindahl_index(weights: Mapping[str, Decimal]) -> Decimal | None:
    """Return the Herfindahl-Hirschman index: the sum of squared shares, from 1/n (even) to 1 (a single holding).

    `weights` are in any unit, not below zero; shares are relative to their sum. None where the sum is zero.

    >>> herfindahl_index({"AAPL": Decimal(50), "MSFT": Decimal(50)})
    Decimal('0.50')
    """
    whole = sum(weights.values(), ZERO)
    if not whole:
        return None
    shares = (CONTEXT.divide(weight, whole) for weight in weights.values())
    return sum((CONTEXT.multiply(share, share) for share in shares), ZERO)


def measure_concentration(values: WindowValues) -> Figure:
    """Return the Herfindahl-Hirschman index of the last day's holdings, cash excluded."""
    last = values.days[-1] if values.days else values.opening
    weights = last.weights.items() if last else ()
    held = {symbol: weight for symbol, weight in weights if symbol != CASH and weight > 0}
    return make_figure(
        herfindahl_index(held),
        FigureUnit.RATIO,
        method="herfindahl_hirschman",
        basis="weights_of_holdings_without_cash",
        window=values.window,
        observations=len(held),
        reason="no_holdings",
    )


class _FigureMaker(Struct, frozen=True):
    """Makes figures of statistics of one window's returns."""

    values: WindowValues
    returns: DailyReturns

    def apply(
        self,
        method: str,
        unit: FigureUnit,
        statistic: Callable[[list[float]], float | None],
        undefined: str,
        minimum: int = MIN_RETURNS,
    ) -> Figure:
        """Return the statistic of the returns; `undefined` is the reason where the statistic is None."""
        numbers = self.returns.numbers
        if self.returns.broken is not None:
            return self.make(method, unit, None, "loss_exceeds_capital", len(numbers))
        if len(numbers) < minimum:
            return self.make(method, unit, None, "too_few_observations", len(numbers))
        return self.make(method, unit, statistic(numbers), undefined, len(numbers))

    def make(
        self, method: str, unit: FigureUnit, number: float | None, reason: str, count: int, *, basis: str = _BASIS
    ) -> Figure:
        """Return the number as a figure of the window."""
        return make_figure(
            number, unit, method=method, basis=basis, window=self.values.window, observations=count, reason=reason
        )


def _ratios(figures: _FigureMaker, risk_free: float) -> dict[str, Figure]:
    yearly = f"{statistics.YEAR}_days,risk_free={risk_free:g}"
    apply_yearly = partial(figures.apply, minimum=MIN_RETURNS_FOR_A_YEAR)
    percent, ratio = FigureUnit.PERCENT, FigureUnit.RATIO
    return {
        "volatility": apply_yearly(
            "standard_deviation_ddof_1_times_sqrt_252", percent, statistics.volatility, "too_few_observations"
        ),
        "sharpe": apply_yearly(
            f"sharpe_ddof_1,{yearly}", ratio, lambda returns: statistics.sharpe(returns, risk_free), "no_variation"
        ),
        "sortino": apply_yearly(
            f"sortino_downside_of_all_days,{yearly}",
            ratio,
            lambda returns: statistics.sortino(returns, risk_free),
            "no_downside",
        ),
        "calmar": apply_yearly(
            "compound_annual_return_252_days_over_max_drawdown", ratio, statistics.calmar, "no_drawdown"
        ),
        "max_drawdown": figures.apply(
            "deepest_fall_from_a_peak", percent, statistics.max_depth, "no_returns", minimum=1
        ),
        "current_drawdown": figures.apply(
            "fall_from_the_highest_peak_to_the_last_day",
            percent,
            lambda returns: statistics.depths(returns)[-1],
            "no_returns",
            minimum=1,
        ),
    }


def _losses(figures: _FigureMaker, parameters: RiskParameters) -> dict[str, Figure]:
    scale, tail, minimum = sqrt(parameters.horizon_days), parameters.tail, parameters.min_returns_for_tail
    at = f"confidence={parameters.confidence},horizon_days={parameters.horizon_days},square_root_of_time"

    def loss(method: str, statistic: Callable[[Sequence[float], float], float | None], minimum: int) -> Figure:
        def scaled(returns: list[float]) -> float | None:
            found = statistic(returns, tail)
            return None if found is None else found * scale

        return figures.apply(f"{method},{at}", FigureUnit.PERCENT, scaled, "too_few_observations", minimum)

    return {
        "historical_var": loss("historical_linear_percentile", statistics.historical_var, minimum),
        "historical_cvar": loss("historical_mean_of_tail", statistics.historical_cvar, minimum),
        "normal_var": loss("normal_quantile", statistics.normal_var, MIN_RETURNS),
        "normal_cvar": loss("normal_mean_of_tail", statistics.normal_cvar, MIN_RETURNS),
    }


def _deepest_drawdown(returns: DailyReturns) -> Drawdown:
    return statistics.max_drawdown(returns.numbers, list(returns.by_day), returns.opened)


class _PairedReturns(Struct, frozen=True):
    """Returns of the portfolio and of the benchmark on the same days, in order."""

    portfolio: list[float]
    benchmark: list[float]


def _pair_returns(values: WindowValues, returns: DailyReturns, benchmark: Benchmark) -> _PairedReturns:
    """Return the returns of the days on which both portfolio and benchmark have one."""
    days = [values.window.first, *(day.day for day in values.days)] if values.window else []
    pairs = _PairedReturns([], [])
    for day, change in zip(days[1:], benchmark.daily_returns(days), strict=True):
        if change is not None and day in returns.by_day:
            pairs.portfolio.append(float(returns.by_day[day]))
            pairs.benchmark.append(float(change))
    return pairs


def _compare(
    figures: _FigureMaker,
    method: str,
    statistic: Callable[[Sequence[float], Sequence[float]], float | None],
    pairs: _PairedReturns | None,
    benchmark: Benchmark | None,
) -> Figure | None:
    if pairs is None or benchmark is None:
        return None
    basis, count = f"{_BASIS},{benchmark.kind}s:{benchmark.symbol}", len(pairs.portfolio)
    if figures.returns.broken is not None:
        return figures.make(method, FigureUnit.RATIO, None, "loss_exceeds_capital", count, basis=basis)
    if count < MIN_RETURNS_FOR_A_YEAR:
        return figures.make(method, FigureUnit.RATIO, None, "too_few_observations", count, basis=basis)
    number = statistic(pairs.portfolio, pairs.benchmark)
    return figures.make(method, FigureUnit.RATIO, number, "no_variation", count, basis=basis)
