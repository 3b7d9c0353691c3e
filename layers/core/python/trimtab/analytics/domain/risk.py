"""The risk of a portfolio over a window, from its daily time-weighted returns.

Losses and drawdowns are above zero. The value at risk of several days is that of one day times the square root of
their number (`square_root_of_time`): exact only where days are independent and alike.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import partial
from math import sqrt

from msgspec import Struct

from trimtab.analytics.domain import statistics
from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.figures import Figure, Unit, told
from trimtab.analytics.domain.performance import Returns, Stretch, daily_returns, stretch
from trimtab.analytics.domain.series import BASIS, CASH, Snapshot
from trimtab.analytics.domain.statistics import Drawdown
from trimtab.analytics.domain.windows import Window
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, to_money

_BASIS = f"daily_time_weighted_returns,{BASIS}"
MAX_HORIZON_DAYS = 60
FEWEST = 2
FEWEST_FOR_A_YEAR = 20
"""Returns without which nothing is told of a year, or of another series: a month of trading days."""


class Terms(Struct, frozen=True):
    """What the risk is asked at: confidence as a share (0.95), horizon in trading days, yearly risk-free rate (share).

    `Invalid` outside 0.5 to 0.999, 1 to 60 days, or a rate not above -1 and not below 1.
    """

    confidence: Decimal = Decimal("0.95")
    horizon_days: int = 1
    risk_free: Decimal = ZERO

    def __post_init__(self) -> None:
        if not Decimal("0.5") <= self.confidence <= Decimal("0.999"):
            raise Invalid("invalid_confidence", "Give a confidence from 0.5 to 0.999.")
        if not 1 <= self.horizon_days <= MAX_HORIZON_DAYS:
            raise Invalid("invalid_horizon", f"Give a horizon from 1 to {MAX_HORIZON_DAYS} trading days.")
        if not -1 < self.risk_free < 1:
            raise Invalid("invalid_risk_free_rate", "Give the risk-free rate as a share a year: 0.03 is 3 %.")

    @property
    def tail(self) -> float:
        """The share of days that are worse."""
        return float(1 - self.confidence)

    @property
    def fewest_for_tail(self) -> int:
        """Returns without which the tail holds not even one day: 20 at 0.95."""
        return int((1 / (1 - self.confidence)).to_integral_value(ROUND_CEILING))


class Risk(Struct, frozen=True):
    """The risk figures of a window. Volatility, drawdown and value at risk are percents, the others ratios.

    `drawdown` has the days of the deepest fall (None where nothing could be measured), `current_drawdown` says how far
    below its highest point the portfolio ends. Beta and correlation are None where no benchmark was given.
    """

    terms: Terms
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

    def in_money(self, loss: Figure) -> Decimal | None:
        """What a loss in percent is of the portfolio's value."""
        if loss.value is None:
            return None
        return to_money(CONTEXT.divide(CONTEXT.multiply(self.value, loss.value), HUNDRED))


def risk(series: Sequence[Snapshot], window: Window, terms: Terms, benchmark: Benchmark | None = None) -> Risk:
    """All figures of the window."""
    part = stretch(series, window)
    returns = daily_returns(part)
    tell = _Teller(part, returns)
    losses = _losses(tell, terms)
    paired = _paired(part, returns, benchmark) if benchmark else None
    return Risk(
        terms=terms,
        value=to_money(part.closing_value),
        drawdown=None if returns.broken or not returns.by_day else _drawdown(returns),
        **_ratios(tell, float(terms.risk_free)),
        **losses,
        concentration=concentration(part),
        beta=_against(tell, "covariance_over_variance", statistics.beta, paired, benchmark),
        correlation=_against(tell, "pearson", statistics.correlation, paired, benchmark),
    )


def hhi(weights: Mapping[str, Decimal]) -> Decimal | None:
    """The Herfindahl-Hirschman index: the sum of the squared shares, from 1/n (even) to 1 (one holds all).

    Weights of any unit, not below zero; shares are of their sum. None where that is zero.
    """
    whole = sum(weights.values(), ZERO)
    if not whole:
        return None
    shares = (CONTEXT.divide(it, whole) for it in weights.values())
    return sum((CONTEXT.multiply(it, it) for it in shares), ZERO)


def concentration(part: Stretch) -> Figure:
    """The index of the last day's holdings; cash is not among them."""
    last = part.days[-1] if part.days else part.opening
    held = {symbol: it for symbol, it in last.weights.items() if symbol != CASH and it > 0} if last else {}
    return told(
        hhi(held),
        Unit.RATIO,
        method="herfindahl_hirschman",
        basis="weights_of_holdings_without_cash",
        window=part.window,
        observations=len(held),
        reason="no_holdings",
    )


class _Teller(Struct, frozen=True):
    """Makes figures of the statistics of one window's returns."""

    part: Stretch
    returns: Returns

    def tell(
        self, method: str, unit: Unit, statistic: Callable[[list[float]], float | None], none: str, fewest: int = FEWEST
    ) -> Figure:
        """The statistic of the returns; `none` is the reason where it gives no number."""
        numbers = self.returns.numbers
        if self.returns.broken is not None:
            return self.figure(method, unit, None, "no_capital", len(numbers))
        if len(numbers) < fewest:
            return self.figure(method, unit, None, "too_few_observations", len(numbers))
        return self.figure(method, unit, statistic(numbers), none, len(numbers))

    def figure(
        self, method: str, unit: Unit, number: float | None, reason: str, count: int, *, basis: str = _BASIS
    ) -> Figure:
        """The number with its places; the reason only where there is none."""
        return told(
            number, unit, method=method, basis=basis, window=self.part.window, observations=count, reason=reason
        )


def _ratios(of: _Teller, risk_free: float) -> dict[str, Figure]:
    yearly = f"{statistics.YEAR}_days,risk_free={risk_free:g}"
    of_a_year = partial(of.tell, fewest=FEWEST_FOR_A_YEAR)
    return {
        "volatility": of_a_year(
            "standard_deviation_ddof_1_times_sqrt_252", Unit.PERCENT, statistics.volatility, "too_few_observations"
        ),
        "sharpe": of_a_year(
            f"sharpe_ddof_1,{yearly}", Unit.RATIO, lambda it: statistics.sharpe(it, risk_free), "no_variation"
        ),
        "sortino": of_a_year(
            f"sortino_downside_of_all_days,{yearly}",
            Unit.RATIO,
            lambda it: statistics.sortino(it, risk_free),
            "no_downside",
        ),
        "calmar": of_a_year(
            "compound_annual_return_252_days_over_max_drawdown", Unit.RATIO, statistics.calmar, "no_drawdown"
        ),
        "max_drawdown": of.tell("deepest_fall_from_a_peak", Unit.PERCENT, statistics.max_depth, "no_returns", 1),
        "current_drawdown": of.tell(
            "fall_from_the_highest_peak_to_the_last_day",
            Unit.PERCENT,
            lambda it: statistics.depths(it)[-1],
            "no_returns",
            1,
        ),
    }


def _losses(of: _Teller, terms: Terms) -> dict[str, Figure]:
    scale, tail = sqrt(terms.horizon_days), terms.tail
    at = f"confidence={terms.confidence},horizon_days={terms.horizon_days},square_root_of_time"

    def loss(method: str, statistic: Callable[[Sequence[float], float], float | None], fewest: int) -> Figure:
        def scaled(returns: list[float]) -> float | None:
            found = statistic(returns, tail)
            return None if found is None else found * scale

        return of.tell(f"{method},{at}", Unit.PERCENT, scaled, "too_few_observations", fewest)

    return {
        "historical_var": loss("historical_linear_percentile", statistics.historical_var, terms.fewest_for_tail),
        "historical_cvar": loss("historical_mean_of_tail", statistics.historical_cvar, terms.fewest_for_tail),
        "normal_var": loss("normal_quantile", statistics.normal_var, FEWEST),
        "normal_cvar": loss("normal_mean_of_tail", statistics.normal_cvar, FEWEST),
    }


def _drawdown(returns: Returns) -> Drawdown:
    return statistics.max_drawdown(returns.numbers, list(returns.by_day), returns.opened)


class _Pairs(Struct, frozen=True):
    """Returns of the portfolio and of its benchmark on the same days."""

    ours: list[float]
    theirs: list[float]


def _paired(part: Stretch, returns: Returns, benchmark: Benchmark) -> _Pairs:
    """The days on which both have a return."""
    days = [part.window.first, *(it.day for it in part.days)] if part.window else []
    pairs = _Pairs([], [])
    for day, change in zip(days[1:], benchmark.daily(days), strict=True):
        if change is not None and day in returns.by_day:
            pairs.ours.append(float(returns.by_day[day]))
            pairs.theirs.append(float(change))
    return pairs


def _against(
    of: _Teller,
    method: str,
    statistic: Callable[[Sequence[float], Sequence[float]], float | None],
    pairs: _Pairs | None,
    benchmark: Benchmark | None,
) -> Figure | None:
    if pairs is None or benchmark is None:
        return None
    basis, count = f"{_BASIS},price_returns:{benchmark.symbol}", len(pairs.ours)
    if of.returns.broken is not None or count < FEWEST_FOR_A_YEAR:
        reason = "no_capital" if of.returns.broken is not None else "too_few_observations"
        return of.figure(method, Unit.RATIO, None, reason, count, basis=basis)
    return of.figure(method, Unit.RATIO, statistic(pairs.ours, pairs.theirs), "no_variation", count, basis=basis)
