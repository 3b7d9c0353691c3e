"""Weights and drift: how far a portfolio is from its target, and the changes of weight that lead back.

Weights are percents of the portfolio's value; drift and tolerances are percentage points.
"""

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion, to_percent
from trimtab.portfolios.portfolio.policy import Band, Destination, Policy

Weights = Mapping[str, Decimal]

CASH = "$cash"
"""Name of cash among the weights of a portfolio; no asset key holds a dollar sign."""

_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)


class Action(StrEnum):
    """Side of a transaction."""

    BUY = "BUY"
    SELL = "SELL"


class Transaction(Struct, frozen=True):
    """Buy or sell `percent` (above zero) of the portfolio's value in the asset."""

    action: Action
    asset: str
    percent: Decimal


class Leg(Struct, frozen=True):
    """Weight and target of one asset in percent, and the planned change of the weight in percentage points."""

    asset: str
    weight: Decimal
    target: Decimal
    change: Decimal = ZERO

    @property
    def drift(self) -> Decimal:
        """Weight less target, negative below the target."""
        return self.weight - self.target


Tolerance = Callable[[Leg], Decimal]
"""Tolerance of a leg in percentage points: a leg is outside where its drift is greater."""


def band_tolerance(band: Band, bands: Mapping[str, Band] | None = None) -> Tolerance:
    """Return the tolerance that a band gives each leg; `bands` are those of single assets."""
    by_asset = bands or {}
    return lambda leg: by_asset.get(leg.asset, band).tolerance(leg.target)


def target_weights(allocation: Weights, policy: Policy) -> dict[str, Decimal]:
    """Return the target weights with cash, in percents of 4 places that sum to exactly 100.

    Cash has its own target; the assets share the rest in proportion to the allocation.

    >>> target_weights({"A": Decimal(60), "B": Decimal(40)}, Policy(cash_target=Decimal(10)))
    {'A': Decimal('54.0000'), 'B': Decimal('36.0000'), '$cash': Decimal('10.0000')}
    """
    assets = apportion(HUNDRED - to_percent(policy.cash_target), allocation, PERCENT_PLACES)
    return assets | {CASH: HUNDRED - sum(assets.values(), ZERO)}


def policy_tolerance(policy: Policy) -> Tolerance:
    """Return the tolerance of price checks: the band of each leg; for cash, at least the buffer plus one point.

    Without the extra point, the cash that a plan has to leave would call for the next rebalance.
    """
    of_band = band_tolerance(policy.price_band, policy.bands)
    return lambda leg: max(of_band(leg), policy.cash_buffer + 1) if leg.asset == CASH else of_band(leg)


def tolerances_of(legs: tuple[Leg, ...], tolerance: Tolerance) -> Tolerance:
    """Return the tolerance that each leg has around this target, whatever target the leg has later."""
    by_asset = {leg.asset: tolerance(leg) for leg in legs}
    return lambda leg: by_asset[leg.asset]


def compare_weights(weights: Weights, targets: Weights) -> tuple[Leg, ...]:
    """Return a leg for each asset of either mapping, by name; an asset missing in one mapping has weight zero there."""
    assets = sorted({*weights, *targets})
    return tuple(Leg(asset, weights.get(asset, ZERO), targets.get(asset, ZERO)) for asset in assets)


def measure_drift(legs: tuple[Leg, ...]) -> Decimal:
    """Return the drift of the portfolio, in percent: half the sum of the distances of all weights from their targets.

    >>> measure_drift(compare_weights({"A": Decimal(70), "B": Decimal(30)}, {"A": Decimal(60), "B": Decimal(40)}))
    Decimal('10')
    """
    return sum((abs(leg.drift) for leg in legs), ZERO) / 2


def legs_outside(legs: tuple[Leg, ...], tolerance: Tolerance) -> tuple[Leg, ...]:
    """Return the legs whose distance from target is strictly greater than their tolerance."""
    return tuple(leg for leg in legs if abs(leg.drift) > tolerance(leg))


def plan_changes(legs: tuple[Leg, ...], tolerance: Tolerance, destination: Destination) -> tuple[Leg, ...]:
    """Return the legs with the changes that lead to the destination; the changes sum to zero exactly.

    To the target, each leg changes by its whole drift. To the edge of the band, the changes are the smallest that bring
    every leg inside its band: a leg outside moves to its edge; the other legs absorb the difference in proportion to
    their drift, and none passes its target.
    """
    at_target = destination is Destination.TARGET
    ends = {leg.asset: leg.target for leg in legs} if at_target else _weights_at_edges(legs, tolerance)
    return tuple(Leg(leg.asset, leg.weight, leg.target, ends[leg.asset] - leg.weight) for leg in legs)


def _weights_at_edges(legs: tuple[Leg, ...], tolerance: Tolerance) -> dict[str, Decimal]:
    ends = {leg.asset: _clip_to_band(leg, tolerance(leg)) for leg in legs}
    excess = sum(ends.values(), ZERO) - HUNDRED
    sign = 1 if excess > 0 else -1
    # Targets sum to 100, so the legs on the side of the excess have room for all of it before they reach their targets.
    room = {leg.asset: max(ZERO, sign * (ends[leg.asset] - leg.target)) for leg in legs}
    if excess:
        for asset, part in apportion(abs(excess), room, PERCENT_PLACES).items():
            ends[asset] -= sign * part
    return ends


def _clip_to_band(leg: Leg, tolerance: Decimal) -> Decimal:
    lower = (leg.target - tolerance).quantize(_UNIT, rounding=ROUND_CEILING)
    upper = (leg.target + tolerance).quantize(_UNIT, rounding=ROUND_FLOOR)
    return min(max(leg.weight, lower), upper)


def list_transactions(legs: tuple[Leg, ...]) -> tuple[Transaction, ...]:
    """Return a transaction for each leg that changes: sells first, then buys, the largest first, ties by name."""
    found = [
        Transaction(Action.SELL if leg.change < 0 else Action.BUY, leg.asset, abs(leg.change))
        for leg in legs
        if leg.change
    ]
    return tuple(sorted(found, key=lambda each: (each.action is Action.BUY, -each.percent, each.asset)))
