"""Price watches: how far prices may move before a portfolio has to be looked at again."""

from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, QUANTITY_PLACES, ZERO
from trimtab.portfolios.rebalancing.drift import Leg, Tolerance
from trimtab.portfolios.rebalancing.valuation import EXACT

RADIUS_PLACES = 12
_WIDEST = 1 - Decimal(1).scaleb(-RADIUS_PLACES)
_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)
_GRAIN = Decimal(1).scaleb(-QUANTITY_PLACES)
_HIGHEST = Decimal("999999999999.999999999")


class Edges(Struct, frozen=True):
    """A price that is strictly between them changes nothing; one on an edge or beyond it may."""

    lower: Decimal
    upper: Decimal


def radius(legs: Iterable[Leg], tolerance: Tolerance, total_drift: Decimal | None) -> Decimal:
    """The largest r, as a share of a price, such that no moves of up to ±r take the portfolio out.

    Out is a leg further from its target than its tolerance, or a drift greater than `total_drift` (percent; None where
    that is no trigger). Legs are those of the planner, cash among them, with weights of 4 places, and what they are
    compared with later are such weights too: each is less than one unit from the exact one, which r allows for. Below
    1, rounded down to 12 places; 0 where the portfolio is out already, or within that unit of it.
    """
    found = tuple(legs)
    with localcontext(EXACT):
        bounds = [bound for leg in found for bound in _bounds(leg, tolerance(leg))]
        if total_drift is not None:
            bounds.append(_bound_of_drift(found, total_drift))
        smallest = min(bounds, default=_WIDEST).quantize(Decimal(1).scaleb(-RADIUS_PLACES), ROUND_FLOOR)
    return min(max(smallest, ZERO), _WIDEST)


def _bounds(leg: Leg, tolerance: Decimal) -> Iterator[Decimal]:
    """(k - 1) / (k + 1) for each edge of the band, multiplied out.

    The worst for a leg is that it moves by r one way and all others by r the other way. The edges are those of weights
    of 4 places: a rounded weight passes none that the exact one has not passed.
    """
    upper = (leg.target + tolerance).quantize(_UNIT, ROUND_FLOOR)
    lower = (leg.target - tolerance).quantize(_UNIT, ROUND_CEILING)
    if upper < HUNDRED:
        yield _bound(upper, min(leg.drifted + _UNIT, HUNDRED))
    if lower > 0:
        yield _bound(max(leg.drifted - _UNIT, ZERO), lower)


def _bound(more: Decimal, less: Decimal) -> Decimal:
    """The r by which one asset has to rise and all others to fall to take its weight from `less` to `more`."""
    rising, falling = more * (HUNDRED - less), less * (HUNDRED - more)
    return (rising - falling) / (rising + falling)


def _bound_of_drift(legs: tuple[Leg, ...], total_drift: Decimal) -> Decimal:
    """2s / (1 + s²) of the drift s that is still free.

    Rounding n weights to 4 places adds up to n / 4 units to a drift: now, and when it is looked at again.
    """
    drift = sum((abs(leg.drift) for leg in legs), ZERO) / 2
    free = (total_drift - drift - len(legs) * _UNIT / 2) / HUNDRED
    return 2 * free / (1 + free * free) if free < 1 else _WIDEST


def edges(price: Decimal | None, radius: Decimal) -> Edges:
    """The prices at which a watch with this radius wakes up, rounded inwards to 9 places; without a price, any."""
    if price is None:
        return Edges(ZERO, ZERO)
    with localcontext(EXACT):
        lower = (price * (1 - radius)).quantize(_GRAIN, ROUND_CEILING)
        upper = (price * (1 + radius)).quantize(_GRAIN, ROUND_FLOOR)
    return Edges(lower, min(upper, _HIGHEST))


def crossed(edges: Edges, price: Decimal) -> bool:
    """Whether this quote wakes the watch up."""
    return price <= edges.lower or price >= edges.upper


def edge_text(number: Decimal) -> str:
    """The number (not negative, 12 digits before the point and 9 after it) as a text that sorts as numbers do."""
    if not 0 <= number <= _HIGHEST or number % _GRAIN:
        raise ValueError("an edge has at most 12 digits before the point and 9 after it")
    return format(number, "022.9f")
