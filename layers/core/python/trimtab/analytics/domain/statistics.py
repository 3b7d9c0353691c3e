"""Statistics of daily returns: plain functions of floats (0.01 is one percent), None where undefined.

Losses are above zero: a value at risk of 0.02 is a day that loses 2 %. A year has 252 trading days; a yearly risk-free
rate is converted to (1 + rate)^(1/252) - 1 per day; standard deviations have n - 1 in the denominator. The results are
checked against empyrical-reloaded and quantstats.
"""

from collections.abc import Sequence
from datetime import date
from itertools import accumulate
from math import floor, fsum, inf, prod, sqrt
from statistics import NormalDist

from msgspec import Struct

YEAR = 252
_NORMAL = NormalDist()
_NOISE = 1e-14
"""Relative to the largest return: a deviation below this is rounding of equal numbers."""
_SAME_POINT = 1e-12


class Drawdown(Struct, frozen=True):
    """A fall from a peak: `depth` is the share lost at the trough, 0 without a fall.

    `recovery` is the first day on which the peak was reached again, None before that day.
    """

    depth: float
    peak: date | None = None
    trough: date | None = None
    recovery: date | None = None


def mean(numbers: Sequence[float]) -> float:
    """Return the arithmetic mean of at least one number."""
    return fsum(numbers) / len(numbers)


def deviation(returns: Sequence[float]) -> float | None:
    """Return the standard deviation of daily returns; None for fewer than two returns."""
    if len(returns) < 2:
        return None
    centre = mean(returns)
    found = sqrt(fsum((value - centre) ** 2 for value in returns) / (len(returns) - 1))
    return found if found > _NOISE * max(map(abs, returns)) else 0.0


def volatility(returns: Sequence[float]) -> float | None:
    """Return the annualised standard deviation: daily deviation times the square root of 252."""
    daily = deviation(returns)
    return None if daily is None else daily * sqrt(YEAR)


def daily_rate(yearly: float) -> float:
    """Return the daily rate that compounds to the yearly rate over 252 days."""
    return float((1 + yearly) ** (1 / YEAR)) - 1


def sharpe(returns: Sequence[float], risk_free: float = 0.0) -> float | None:
    """Return the annualised Sharpe ratio: mean excess return per unit of deviation, times the square root of 252.

    None where the returns do not vary. `risk_free` is a yearly rate. Source: W. F. Sharpe, The Sharpe Ratio (1994).
    """
    spread = deviation(returns)
    return (mean(returns) - daily_rate(risk_free)) / spread * sqrt(YEAR) if spread else None


def sortino(returns: Sequence[float], risk_free: float = 0.0) -> float | None:
    """Return the annualised Sortino ratio: mean excess return per unit of downside deviation.

    The downside deviation is the root mean square, over all days, of the returns below the risk-free rate. None for
    fewer than two returns or no downside. Source: Sortino and Price, Performance Measurement in a Downside Risk
    Framework (1994).
    """
    if len(returns) < 2:
        return None
    rate = daily_rate(risk_free)
    downside = sqrt(mean([min(value - rate, 0.0) ** 2 for value in returns]))
    return (mean(returns) - rate) / downside * sqrt(YEAR) if downside > _NOISE * max(map(abs, returns)) else None


def annual_return(returns: Sequence[float]) -> float | None:
    """Return the compound return of 252 days; infinite beyond the range of floats, None without returns."""
    total = prod(1 + value for value in returns)
    try:
        return float(total ** (YEAR / len(returns))) - 1 if returns and total >= 0 else None
    except OverflowError:
        return inf


def calmar(returns: Sequence[float]) -> float | None:
    """Return the Calmar ratio: annual return over the deepest drawdown; None without a drawdown.

    Source: T. W. Young, Calmar Ratio: A Smoother Tool, Futures (1991).
    """
    depth, yearly = max_depth(returns), annual_return(returns)
    return yearly / depth if depth and yearly is not None else None


def max_depth(returns: Sequence[float]) -> float:
    """Return the depth of the deepest drawdown, from 0 to 1."""
    return max(depths(returns), default=0.0)


def depths(returns: Sequence[float]) -> list[float]:
    """Return the drawdown at the end of each day, as a share of the highest point so far, the start included.

    A point that is reached again has depth 0 exactly: rounding in the product of the returns is no fall.
    """
    growth = list(accumulate(returns, lambda total, value: total * (1 + value), initial=1.0))
    peaks = accumulate(growth, max)
    found = [1 - now / peak for now, peak in zip(growth, peaks, strict=True)][1:]
    return [depth if depth > _SAME_POINT else 0.0 for depth in found]


def max_drawdown(returns: Sequence[float], days: Sequence[date], opened: date | None = None) -> Drawdown:
    """Return the deepest drawdown with its days, the first among equals.

    `days` are the days of the returns; `opened` is the day before the first return.
    """
    found = depths(returns)
    depth = max(found, default=0.0)
    if not depth:
        return Drawdown(0.0)
    trough = found.index(depth)
    peak = next((place for place in range(trough, -1, -1) if not found[place]), None)
    recovery = next((days[place] for place in range(trough, len(found)) if not found[place]), None)
    return Drawdown(depth, opened if peak is None else days[peak], days[trough], recovery)


def percentile(numbers: Sequence[float], share: float) -> float:
    """Return the linear percentile: of n sorted numbers the value at (n - 1) * share, interpolated.

    >>> percentile([1.0, 2.0, 4.0], 0.75)
    3.0
    """
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def historical_var(returns: Sequence[float], tail: float) -> float | None:
    """Return the historical value at risk: the daily loss exceeded on a `tail` (0.05) of the days.

    Linear percentile of the returns, negated; None without returns. Source: J.P. Morgan, RiskMetrics (1996).
    """
    return -percentile(returns, tail) if returns else None


def historical_cvar(returns: Sequence[float], tail: float) -> float | None:
    """Return the historical expected shortfall: the mean loss of the worst floor((n - 1) * tail) + 1 days."""
    worst = sorted(returns)[: floor((len(returns) - 1) * tail) + 1]
    return -mean(worst) if worst else None


def normal_var(returns: Sequence[float], tail: float) -> float | None:
    """Return the parametric value at risk: the `tail` quantile of the normal distribution fitted to the returns."""
    spread = deviation(returns)
    return None if spread is None else -(mean(returns) + _NORMAL.inv_cdf(tail) * spread)


def normal_cvar(returns: Sequence[float], tail: float) -> float | None:
    """Return the parametric expected shortfall: the mean loss beyond the `tail` quantile of the fitted normal."""
    spread = deviation(returns)
    return None if spread is None else -mean(returns) + _NORMAL.pdf(_NORMAL.inv_cdf(tail)) / tail * spread


def beta(returns: Sequence[float], benchmark: Sequence[float]) -> float | None:
    """Return the covariance with the benchmark over the benchmark's variance; both of the same days.

    None where the benchmark does not vary.
    """
    if not deviation(benchmark):
        return None
    centre = mean(benchmark)
    shared = fsum((theirs - centre) * ours for ours, theirs in zip(returns, benchmark, strict=True))
    return shared / fsum((value - centre) ** 2 for value in benchmark)


def correlation(returns: Sequence[float], benchmark: Sequence[float]) -> float | None:
    """Return Pearson's correlation, from -1 to 1; None where either series does not vary."""
    slope, ours, theirs = beta(returns, benchmark), deviation(returns), deviation(benchmark)
    return min(max(slope * theirs / ours, -1.0), 1.0) if slope is not None and ours and theirs else None
