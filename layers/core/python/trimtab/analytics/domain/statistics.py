"""Statistics of daily returns: plain functions of floats (0.01 is one percent), None where there is no answer.

Losses are above zero: a value at risk of 0.02 is a day that loses 2 %. A year has 252 trading days; a yearly risk-free
rate is taken as (1 + rate)^(1/252) - 1 a day; deviations have n - 1 in the denominator.
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
"""Relative to the largest return: a deviation below it is the rounding of equal numbers."""
_SAME_POINT = 1e-12


class Drawdown(Struct, frozen=True):
    """A fall from a peak: `depth` is the share lost at the trough, 0 where there was none.

    `recovery` is the first day on which the peak was reached again, None where it was not yet.
    """

    depth: float
    peak: date | None = None
    trough: date | None = None
    recovery: date | None = None


def mean(numbers: Sequence[float]) -> float:
    """The arithmetic mean of at least one number."""
    return fsum(numbers) / len(numbers)


def deviation(returns: Sequence[float]) -> float | None:
    """The standard deviation of a day; None for fewer than two returns."""
    if len(returns) < 2:
        return None
    centre = mean(returns)
    found = sqrt(fsum((it - centre) ** 2 for it in returns) / (len(returns) - 1))
    return found if found > _NOISE * max(map(abs, returns)) else 0.0


def volatility(returns: Sequence[float]) -> float | None:
    """The standard deviation of a year."""
    daily = deviation(returns)
    return None if daily is None else daily * sqrt(YEAR)


def daily_rate(yearly: float) -> float:
    """What a day earns at this yearly rate."""
    return float((1 + yearly) ** (1 / YEAR)) - 1


def sharpe(returns: Sequence[float], risk_free: float = 0.0) -> float | None:
    """Mean excess return a unit of deviation, a year; None where the returns do not vary."""
    spread = deviation(returns)
    return (mean(returns) - daily_rate(risk_free)) / spread * sqrt(YEAR) if spread else None


def sortino(returns: Sequence[float], risk_free: float = 0.0) -> float | None:
    """Mean excess return a unit of downside deviation (from the risk-free rate, over all days), a year."""
    if len(returns) < 2:
        return None
    rate = daily_rate(risk_free)
    downside = sqrt(mean([min(it - rate, 0.0) ** 2 for it in returns]))
    return (mean(returns) - rate) / downside * sqrt(YEAR) if downside > _NOISE * max(map(abs, returns)) else None


def annual_return(returns: Sequence[float]) -> float | None:
    """The compound return of 252 days, infinite where no number is as large; None for no returns."""
    total = prod(1 + it for it in returns)
    try:
        return float(total ** (YEAR / len(returns))) - 1 if returns and total >= 0 else None
    except OverflowError:
        return inf


def calmar(returns: Sequence[float]) -> float | None:
    """The annual return a unit of the deepest drawdown; None where nothing was ever lost."""
    depth, yearly = max_depth(returns), annual_return(returns)
    return yearly / depth if depth and yearly is not None else None


def max_depth(returns: Sequence[float]) -> float:
    """The depth of the deepest drawdown, from 0 to 1."""
    return max(depths(returns), default=0.0)


def depths(returns: Sequence[float]) -> list[float]:
    """How far below the highest point so far each day ends, as a share of it; the start counts as a point.

    Exactly 0 at a point that is reached again: what the product of the returns loses in rounding is no fall.
    """
    growth = list(accumulate(returns, lambda total, it: total * (1 + it), initial=1.0))
    peaks = accumulate(growth, max)
    found = [1 - now / peak for now, peak in zip(growth, peaks, strict=True)][1:]
    return [depth if depth > _SAME_POINT else 0.0 for depth in found]


def max_drawdown(returns: Sequence[float], days: Sequence[date], opened: date | None = None) -> Drawdown:
    """The deepest fall, the first of equals, with its days; `opened` is the day that the first return starts from."""
    found = depths(returns)
    depth = max(found, default=0.0)
    if not depth:
        return Drawdown(0.0)
    trough = found.index(depth)
    peak = next((place for place in range(trough, -1, -1) if not found[place]), None)
    recovery = next((days[place] for place in range(trough, len(found)) if not found[place]), None)
    return Drawdown(depth, opened if peak is None else days[peak], days[trough], recovery)


def percentile(numbers: Sequence[float], share: float) -> float:
    """The linear percentile: of n sorted numbers the one at (n - 1) * share, in between in proportion."""
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def historical_var(returns: Sequence[float], tail: float) -> float | None:
    """The loss of a day that a `tail` (0.05) of the days exceeds, by linear percentile; None for no returns."""
    return -percentile(returns, tail) if returns else None


def historical_cvar(returns: Sequence[float], tail: float) -> float | None:
    """The mean loss of the days up to that percentile, the worst floor((n - 1) * tail) + 1."""
    worst = sorted(returns)[: floor((len(returns) - 1) * tail) + 1]
    return -mean(worst) if worst else None


def normal_var(returns: Sequence[float], tail: float) -> float | None:
    """The loss that a normal day of this mean and deviation exceeds with the probability `tail`."""
    spread = deviation(returns)
    return None if spread is None else -(mean(returns) + _NORMAL.inv_cdf(tail) * spread)


def normal_cvar(returns: Sequence[float], tail: float) -> float | None:
    """The mean loss of such days beyond it."""
    spread = deviation(returns)
    return None if spread is None else -mean(returns) + _NORMAL.pdf(_NORMAL.inv_cdf(tail)) / tail * spread


def beta(returns: Sequence[float], benchmark: Sequence[float]) -> float | None:
    """Covariance with the benchmark over its variance; both of the same days. None where it does not vary."""
    if not deviation(benchmark):
        return None
    centre = mean(benchmark)
    shared = fsum((theirs - centre) * ours for ours, theirs in zip(returns, benchmark, strict=True))
    return shared / fsum((it - centre) ** 2 for it in benchmark)


def correlation(returns: Sequence[float], benchmark: Sequence[float]) -> float | None:
    """Pearson's, from -1 to 1; None where either does not vary."""
    slope, ours, theirs = beta(returns, benchmark), deviation(returns), deviation(benchmark)
    return min(max(slope * theirs / ours, -1.0), 1.0) if slope is not None and ours and theirs else None
