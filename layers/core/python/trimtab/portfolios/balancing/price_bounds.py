"""Price bounds: how far prices may move before a portfolio has to be evaluated again."""

from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct

from trimtab.kernel.money import HIGHEST_PRICE, HUNDRED, PERCENT_PLACES, PRICE_UNIT, ZERO
from trimtab.portfolios.rebalancing.drift import Leg, Tolerance
from trimtab.portfolios.rebalancing.valuation import EXACT

MOVE_PLACES = 12
MAX_HALVINGS = 12
LARGEST_MOVE = 1 - Decimal(1).scaleb(-MOVE_PLACES)
_PERCENT_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)


class PriceBounds(Struct, frozen=True):
    """Bounds of a price: strictly between the bounds nothing is traded; at or beyond a bound a check decides."""

    lower: Decimal
    upper: Decimal

    def are_crossed_by(self, price: Decimal) -> bool:
        """Return whether a quote at the price requires an evaluation."""
        return price <= self.lower or price >= self.upper


def safe_relative_move(
    legs: Iterable[Leg],
    tolerance: Tolerance,
    total_drift: Decimal | None,
    *,
    fixed: Collection[str] = (),
    outside: Collection[str] = (),
) -> Decimal:
    """Return the largest r such that no price moves of up to ±r (a share of each price) take the portfolio out.

    A portfolio is out if a leg is further from its target than its tolerance, or if the drift exceeds `total_drift`
    (percent; None without this trigger). The result is below 1 and rounded down to 12 places, and 0 for a portfolio
    that is out already. The targets of `fixed` assets are their weights, and the other assets share the rest in
    proportion to their targets. Legs of `outside` assets may stay outside, but not pass to the other side.

    Legs include cash and have weights of 4 places, and later weights are rounded alike. Each rounded weight differs by
    less than one unit from the exact weight; r is reduced accordingly. With negative cash every price counts (r is 0),
    because the assets then sum to more than the portfolio's value.
    """
    found = tuple(legs)
    if any(leg.weight < 0 for leg in found):
        return ZERO
    with localcontext(EXACT):
        kept = sum((leg.weight for leg in found if leg.asset in fixed), ZERO)
        free = [leg for leg in found if leg.asset not in fixed]
        moves = [
            move for leg in free for move in _moves_to_band(leg, tolerance(leg), kept, is_outside=leg.asset in outside)
        ]
        if total_drift is not None and kept < HUNDRED:
            moves.append(_move_to_drift(found, total_drift, kept))
        return round_move(min(moves, default=LARGEST_MOVE))


def round_move(move: Decimal) -> Decimal:
    """Return the move rounded down to 12 places, at least 0 and below 1."""
    return min(max(move.quantize(Decimal(1).scaleb(-MOVE_PLACES), ROUND_FLOOR), ZERO), LARGEST_MOVE)


def _moves_to_band(
    leg: Leg, tolerance: Decimal, fixed: Decimal = ZERO, *, is_outside: bool = False
) -> Iterator[Decimal]:
    """Yield (b - a) / (b + a) for each edge of the band: a drives the weight to the edge, b keeps the weight away.

    In the worst case the price of the leg moves by r one way and all others by r the other way. For weight w, fixed
    weight f, share s of the rest and tolerance t, the upper edge has a = w (1 - s - t) and b = (s + t)(1 - f - w) + tf;
    the lower edge a = (s - t)(1 - f - w) and b = w (1 - s + t) + tf. Edges are rounded inwards to 4 places, like the
    weights that are compared with them, and once more where targets are rounded shares of the rest.
    """
    rest, unit = HUNDRED - fixed, _PERCENT_UNIT
    share = leg.target * HUNDRED / rest if rest else ZERO
    rounding = unit if fixed else ZERO
    above = (leg.target + tolerance).quantize(unit, ROUND_FLOOR) - leg.target - rounding
    below = leg.target - (leg.target - tolerance).quantize(unit, ROUND_CEILING) - rounding
    upper, lower = min(leg.weight + unit, rest), max(leg.weight - unit, ZERO)
    if share + above < HUNDRED and not (is_outside and leg.drift > 0):
        yield _move_against(upper * (HUNDRED - share - above), (share + above) * (rest - upper) + above * fixed)
    if share - below > 0 and not (is_outside and leg.drift < 0):
        yield _move_against((share - below) * (rest - lower), lower * (HUNDRED - share + below) + below * fixed)


def _move_against(driving: Decimal, keeping: Decimal) -> Decimal:
    return (keeping - driving) / (keeping + driving) if keeping + driving > 0 else ZERO


def _move_between(less: Decimal, more: Decimal) -> Decimal:
    """Return the move for a weight to rise from `less` to `more`: up for the asset, down for all others."""
    return _move_against(less * (HUNDRED - more), more * (HUNDRED - less))


def _move_to_drift(legs: tuple[Leg, ...], total_drift: Decimal, fixed: Decimal) -> Decimal:
    """Return 2s / (1 + s²) for the unused drift s of what is not fixed.

    Rounding n weights to 4 places adds up to n / 4 units to a drift, both now and at the next evaluation. The share of
    what is not fixed grows where the fixed prices fall and the others rise.
    """
    drift = sum((abs(leg.drift) for leg in legs), ZERO) / 2
    rest, rounding = HUNDRED - fixed, len(legs) * _PERCENT_UNIT / 2

    def move_with(growth: Decimal) -> Decimal:
        unused = (total_drift - rounding) / (rest * growth) - drift / rest
        return 2 * unused / (1 + unused * unused) if unused < 1 else LARGEST_MOVE

    return halve_until_safe(
        move_with(Decimal(1)),
        lambda move: move_with(HUNDRED * (1 + move) / (rest * (1 + move) + fixed * (1 - move))) if fixed else move,
    )


def halve_until_safe(move: Decimal, safe_at: Callable[[Decimal], Decimal]) -> Decimal:
    """Return the move, halved until it is within what is safe at this move; 0 where it never is."""
    for _ in range(MAX_HALVINGS):
        if move <= 0 or safe_at(move) >= move:
            return move
        move /= 2
    return ZERO


def move_to_other_sides(legs: Iterable[Leg], smallest: Decimal) -> Decimal:
    """Return the largest r such that price moves of up to ±r (a share of each price) change no leg's side of a target.

    A leg has no side while its weight is within `smallest` percentage points of its target. The result is below 1 and
    rounded down to 12 places.
    """
    with localcontext(EXACT):
        moves = [move for leg in legs for move in _moves_to_other_side(leg, smallest)]
        return round_move(min(moves, default=LARGEST_MOVE))


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
