"""Planning in weights: the moves that lead a drifted allocation back, in percent of the portfolio."""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion, to_percent
from trimtab.portfolios.portfolio.policy import Band, Destination, Policy

Weights = Mapping[str, Decimal]

CASH = "$cash"
"""Cash among the weights of a portfolio; no asset key holds a dollar sign."""
_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)


class Action(StrEnum):
    """The side of a transaction."""

    BUY = "BUY"
    SELL = "SELL"


class Transaction(Struct, frozen=True):
    """Buy or sell this percent of the portfolio's value in the asset; always above zero."""

    action: Action
    asset: str
    percent: Decimal


class Leg(Struct, frozen=True):
    """One asset of a rebalance: where it stands, where its target is, and by how much it moves (in percent)."""

    asset: str
    drifted: Decimal
    target: Decimal
    change: Decimal = ZERO

    @property
    def drift(self) -> Decimal:
        """How far the weight is above its target; negative below it."""
        return self.drifted - self.target


Tolerance = Callable[[Leg], Decimal]
"""How far a leg may be from its target, in percentage points; outside is strictly further."""


def within(band: Band) -> Tolerance:
    """The tolerance that this band gives every leg."""
    return lambda leg: band.tolerance(leg.target)


def targets(allocation: Weights, policy: Policy) -> dict[str, Decimal]:
    """The target weights with cash among them, in percents of 4 places that sum to exactly 100.

    Cash has its own target; the assets share the rest in proportion to the allocation.
    """
    assets = apportion(HUNDRED - to_percent(policy.cash_target), allocation, PERCENT_PLACES)
    return assets | {CASH: HUNDRED - sum(assets.values(), ZERO)}


def tolerance_of(policy: Policy) -> Tolerance:
    """How far each leg may be from its target: its band; for cash at least one point more than the buffer.

    So the cash that a plan has to leave does not by itself call for the next one.
    """
    band, for_cash = policy.price_band, policy.cash_buffer + 1
    return lambda leg: max(band.tolerance(leg.target), for_cash) if leg.asset == CASH else band.tolerance(leg.target)


def legs(drifted: Weights, target: Weights) -> tuple[Leg, ...]:
    """The union of both allocations, by name: an asset that one of them does not name has no weight in it."""
    return tuple(Leg(asset, drifted.get(asset, ZERO), target.get(asset, ZERO)) for asset in sorted({*drifted, *target}))


def drift(all_legs: tuple[Leg, ...]) -> Decimal:
    """The share of the portfolio that is in the wrong place: half the sum of all distances from target."""
    return sum((abs(leg.drift) for leg in all_legs), ZERO) / 2


def outside(all_legs: tuple[Leg, ...], tolerance: Tolerance) -> tuple[Leg, ...]:
    """The legs whose distance from target is strictly greater than their tolerance."""
    return tuple(leg for leg in all_legs if abs(leg.drift) > tolerance(leg))


def moved(all_legs: tuple[Leg, ...], tolerance: Tolerance, destination: Destination) -> tuple[Leg, ...]:
    """The legs with the change that leads each to the destination; the changes sum to zero exactly.

    To the target, every leg moves by its whole drift. To the band's edge, the least that brings every weight inside
    its band: what is outside moves to its edge, and what that frees or needs comes from the others in proportion to
    their drift, none of which passes its target.
    """
    at_target = destination is Destination.TARGET
    ends = {leg.asset: leg.target for leg in all_legs} if at_target else _edges(all_legs, tolerance)
    return tuple(Leg(leg.asset, leg.drifted, leg.target, ends[leg.asset] - leg.drifted) for leg in all_legs)


def _edges(all_legs: tuple[Leg, ...], tolerance: Tolerance) -> dict[str, Decimal]:
    ends = {leg.asset: _clipped(leg, tolerance(leg)) for leg in all_legs}
    excess = sum(ends.values(), ZERO) - HUNDRED
    sign = 1 if excess > 0 else -1
    # Targets sum to 100, so the legs on the side of the excess have room for all of it before they reach theirs.
    room = {leg.asset: max(ZERO, sign * (ends[leg.asset] - leg.target)) for leg in all_legs}
    if excess:
        for asset, part in apportion(abs(excess), room, PERCENT_PLACES).items():
            ends[asset] -= sign * part
    return ends


def _clipped(leg: Leg, tolerance: Decimal) -> Decimal:
    lower = (leg.target - tolerance).quantize(_UNIT, rounding=ROUND_CEILING)
    upper = (leg.target + tolerance).quantize(_UNIT, rounding=ROUND_FLOOR)
    return min(max(leg.drifted, lower), upper)


def transactions(all_legs: tuple[Leg, ...]) -> tuple[Transaction, ...]:
    """The legs that move, as transactions: sells first, then buys, the largest first, ties by name."""
    found = [
        Transaction(Action.SELL if leg.change < 0 else Action.BUY, leg.asset, abs(leg.change))
        for leg in all_legs
        if leg.change
    ]
    return tuple(sorted(found, key=lambda each: (each.action is Action.BUY, -each.percent, each.asset)))
