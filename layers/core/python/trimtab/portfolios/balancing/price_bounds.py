"""Price bounds: how far prices may move before a portfolio has to be evaluated again."""

from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct

from trimtab.kernel.money import HIGHEST_PRICE, HUNDRED, PERCENT_PLACES, PRICE_UNIT, ZERO
from trimtab.portfolios.rebalancing.drift import Leg, Tolerance
from trimtab.portfolios.rebalancing.valuation import EXACT

MOVE_PLACES = 12
_LARGEST_MOVE = 1 - Decimal(1).scaleb(-MOVE_PLACES)
_PERCENT_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)


class PriceBounds(Struct, frozen=True):
    """Bounds of a price: strictly between the bounds nothing is traded; at or beyond a bound a check decides."""

    lower: Decimal
    upper: Decimal

    def are_crossed_by(self, price: Decimal) -> bool:
        """Return whether a quote at the price requires an evaluation."""
        return price <= self.lower or price >= self.upper


def safe_relative_move(legs: Iterable[Leg], tolerance: Tolerance, total_drift: Decimal | None) -> Decimal:
    """Return the largest r such that no price moves of up to ±r (a share of each price) take the portfolio out.

    A portfolio is out if a leg is further from its target than its tolerance, or if the drift exceeds `total_drift`
    (percent; None without this trigger). The result is below 1 and rounded down to 12 places, and 0 for a portfolio
    that is out already.

    Legs include cash and have weights of 4 places, and later weights are rounded alike. Each rounded weight differs by
    less than one unit from the exact weight; r is reduced accordingly. With negative cash every price counts (r is 0),
    because the assets then sum to more than the portfolio's value.
    """
    found = tuple(legs)
    if any(leg.weight < 0 for leg in found):
        return ZERO
    with localcontext(EXACT):
        moves = [move for leg in found for move in _moves_to_band(leg, tolerance(leg))]
        if total_drift is not None:
            moves.append(_move_to_drift(found, total_drift))
        smallest = min(moves, default=_LARGEST_MOVE).quantize(Decimal(1).scaleb(-MOVE_PLACES), ROUND_FLOOR)
    return min(max(smallest, ZERO), _LARGEST_MOVE)


def _moves_to_band(leg: Leg, tolerance: Decimal) -> Iterator[Decimal]:
    """Yield (k - 1) / (k + 1) for each edge of the band, multiplied out.

    In the worst case the price of the leg moves by r one way and all others by r the other way. Edges are rounded
    inwards to 4 places, like the weights that are compared with them.
    """
    upper = (leg.target + tolerance).quantize(_PERCENT_UNIT, ROUND_FLOOR)
    lower = (leg.target - tolerance).quantize(_PERCENT_UNIT, ROUND_CEILING)
    if upper < HUNDRED:
        yield _move_between(min(leg.weight + _PERCENT_UNIT, HUNDRED), upper)
    if lower > 0:
        yield _move_between(lower, max(leg.weight - _PERCENT_UNIT, ZERO))


def _move_between(less: Decimal, more: Decimal) -> Decimal:
    """Return the move for a weight to rise from `less` to `more`: up for the asset, down for all others."""
    rising, falling = more * (HUNDRED - less), less * (HUNDRED - more)
    return (rising - falling) / (rising + falling)


def _move_to_drift(legs: tuple[Leg, ...], total_drift: Decimal) -> Decimal:
    """Return 2s / (1 + s²) for the unused drift s.

    Rounding n weights to 4 places adds up to n / 4 units to a drift, both now and at the next evaluation.
    """
    drift = sum((abs(leg.drift) for leg in legs), ZERO) / 2
    unused = (total_drift - drift - len(legs) * _PERCENT_UNIT / 2) / HUNDRED
    return 2 * unused / (1 + unused * unused) if unused < 1 else _LARGEST_MOVE


def move_to_other_sides(legs: Iterable[Leg], smallest: Decimal) -> Decimal:
    """Return the largest r such that price moves of up to ±r (a share of each price) change no leg's side of a target.

    A leg has no side while its weight is within `smallest` percentage points of its target. The result is below 1 and
    rounded down to 12 places.
    """
    with localcontext(EXACT):
        moves = [move for leg in legs for move in _moves_to_other_side(leg, smallest)]
        found = min(moves, default=_LARGEST_MOVE).quantize(Decimal(1).scaleb(-MOVE_PLACES), ROUND_FLOOR)
    return min(max(found, ZERO), _LARGEST_MOVE)


def _moves_to_other_side(leg: Leg, smallest: Decimal) -> Iterator[Decimal]:
    upper, lower = leg.target + smallest, leg.target - smallest
    if leg.weight > upper:
        yield _move_between(upper, max(leg.weight - _PERCENT_UNIT, upper))
    elif leg.weight < lower:
        yield _move_between(min(leg.weight + _PERCENT_UNIT, lower), lower)
    else:
        yield from _moves_to_band(leg, smallest)


def bounds_around(price: Decimal | None, relative_move: Decimal) -> PriceBounds:
    """Return the bounds at this relative distance from a price, rounded inwards to 9 places.

    Without a price, every quote crosses the bounds.
    """
    if price is None:
        return PriceBounds(ZERO, ZERO)
    with localcontext(EXACT):
        lower = (price * (1 - relative_move)).quantize(PRICE_UNIT, ROUND_CEILING)
        upper = (price * (1 + relative_move)).quantize(PRICE_UNIT, ROUND_FLOOR)
    return PriceBounds(lower, min(upper, HIGHEST_PRICE))
