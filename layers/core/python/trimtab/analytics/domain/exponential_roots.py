"""The real roots of a sum of exponentials: all x at which the sum of amount * e^(share * x) is zero.

A bound on the number of roots above a point (Laguerre, Sur la théorie des équations numériques, 1883) gives the range
of the roots, and proves most sums of payments to have one root only. The other sums are scanned.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import copysign, exp, expm1, log1p

from msgspec import Struct

_FARTHEST = 2.0**23  # beyond the root of any two payments a day apart in 50 years
_HALVINGS = 200
_SAME_ROOT = 1e-7
_TOUCHING = 1e-12  # relative to the size of the terms
_MIN_POINTS = 200
_MAX_POINTS = 2000
_MAX_TERMS_SCANNED = 400_000

Terms = Sequence[tuple[float, float]]
"""Pairs of share and amount; the shares fall from 1 to 0 without repetition."""


def find_roots(terms: Terms) -> list[float]:
    """Return the roots in order; a multiple root counts once.

    A sum of opposite signs at the ends of the range has a root that is always found. Two further roots may be missed
    where both are between the same two of the scanned points, of which there are 200 to 2,000, dense near zero.

    >>> find_roots([(1.0, -100.0), (0.5, 100.0), (0.0, 0.0)])
    [0.0]
    """
    mirrored = [(1 - share, amount) for share, amount in reversed(terms)]
    low, high = -_reach(mirrored), _reach(terms)
    points: Sequence[float] = (low, 0.0, high)
    if all(_bound_roots(terms, mirrored, x) > 1 for x in points):
        points = _spread(low, high, min(max(_MAX_TERMS_SCANNED // len(terms), _MIN_POINTS), _MAX_POINTS))
    found = sorted(_roots_between(terms, [_evaluate(terms, x) for x in points]))
    return [root for before, root in pairwise([low - 1, *found]) if root - before > _SAME_ROOT * max(1.0, abs(root))]


class _Point(Struct, frozen=True):
    """The sum at `x`, its derivative, and the sum of the sizes of its terms, all divided by e^`x` above zero."""

    x: float
    value: float
    slope: float
    size: float


def _evaluate(terms: Terms, x: float) -> _Point:
    scale, value, slope, size = max(x, 0.0), 0.0, 0.0, 0.0
    for share, amount in terms:
        term = amount * exp(share * x - scale)
        value += term
        slope += share * term
        size += abs(term)
    return _Point(x, value, slope, size)


def _roots_between(terms: Terms, points: Sequence[_Point]) -> Iterator[float]:
    """Yield the roots at and between the points: changes of sign, and extremes that touch zero or reach beyond."""
    yield from (point.x for point in points if not point.value)
    for low, high in pairwise(points):
        side = copysign(1.0, low.value)
        if side != copysign(1.0, high.value):
            yield _bisect(lambda x: _evaluate(terms, x).value, low.x, high.x)
        elif low.slope * side < 0 < high.slope * side:
            nearest = _evaluate(terms, _bisect(lambda x: _evaluate(terms, x).slope, low.x, high.x))
            if abs(nearest.value) <= _TOUCHING * nearest.size:
                yield nearest.x
            elif nearest.value * side < 0:
                yield _bisect(lambda x: _evaluate(terms, x).value, low.x, nearest.x)
                yield _bisect(lambda x: _evaluate(terms, x).value, nearest.x, high.x)


def _bound_roots(terms: Terms, mirrored: Terms, x: float) -> int:
    """Return a bound on the number of all roots, from the roots above, below and at `x`."""
    above, value = _bound_roots_above(terms, x)
    return above + _bound_roots_above(mirrored, -x)[0] + (not value)


def _bound_roots_above(terms: Terms, x: float) -> tuple[int, float]:
    """Return a bound on the number of roots above `x`, and the sum at `x` up to a factor above zero.

    The bound is the number of sign changes of the running integral of the partial sums, the largest share first: for
    payments, of the invested capital times the time invested.
    """
    changes, sign, total, integral, weight, before = 0, 0.0, 0.0, 0.0, 1.0, 1.0
    for share, amount in terms:
        gap = before - share
        growth = exp(gap * min(x, 0.0))
        weight *= exp(-gap * max(x, 0.0))
        integral = (integral + total * gap) * growth
        total = total * growth + amount * weight
        changes += integral * sign < 0
        sign, before = integral or sign, share
    return changes + (total * sign < 0), total


def _reach(terms: Terms) -> float:
    """Return a point above all roots."""
    x = 1.0
    while x < _FARTHEST and _bound_roots_above(terms, x)[0]:
        x *= 2
    return x


def _spread(low: float, high: float, count: int) -> list[float]:
    """Return points from `low` to `high`, with steps that grow with the distance from zero."""
    first, last = -log1p(-low), log1p(high)
    steps = (first + (last - first) * place / (count - 1) for place in range(count))
    return [copysign(expm1(abs(step)), step) for step in steps]


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the point at which the function changes sign; bisection converges whatever the function is."""
    side = copysign(1.0, function(low))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if copysign(1.0, function(middle)) == side:
            low = middle
        else:
            high = middle
    return low if abs(low) < abs(high) else high
