"""Planned changes: how far each asset moves to the destination of a rebalance, its target or the edge of its band."""

from collections.abc import Collection
from decimal import ROUND_CEILING, Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion
from trimtab.portfolios.balancing.order_sizing import OrderSizing, WeightChange
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Destination, Policy
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, Leg

_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)
_CASH_MARGIN = Decimal("0.01")


class PlannedChanges(Struct, frozen=True):
    """The changes of the assets that may be traded, and the weight of cash (percent) that buys have to leave."""

    changes: tuple[WeightChange, ...]
    cash_weight: Decimal


def choose_destination(legs: tuple[Leg, ...], sizing: OrderSizing) -> Policy:
    """Return the policy with a destination that satisfies the trigger of the rebalance.

    If no order can bring a leg inside its band, or if the total drift would still be too large with the outside legs at
    their edges, then the destination is the target weights and not the edge of the band.
    """
    policy = sizing.policy
    if policy.destination is Destination.TARGET:
        return policy
    moved = drift.plan_changes(legs, sizing.tolerance, policy.destination)
    at_edges = tuple(replace(leg, weight=leg.weight + leg.change) for leg in moved)
    is_enough = policy.total_drift is None or drift.measure_drift(at_edges) <= policy.total_drift
    is_outside = any(leg.asset == CASH or sizing.is_tradable(leg) for leg in drift.legs_outside(legs, sizing.tolerance))
    return policy if is_outside and is_enough else replace(policy, destination=Destination.TARGET)


def plan_changes(
    legs: tuple[Leg, ...],
    sizing: OrderSizing,
    dropped: Collection[str] = (),
    *,
    reserve: Decimal = ZERO,
    fees: Decimal = ZERO,
) -> PlannedChanges:
    """Return the changes that lead to the destination of the policy.

    Dropped assets are not traded, nor are those that may not be, or whose whole way to the target is less than an
    order. To the edge of the band, an order is at least the minimum, and the other assets absorb the difference in
    proportion to their distances; what is left over stays in cash. `reserve` is cash (money) that sells raise beyond
    that, as far as assets are above their targets. `fees` (money) are the expected commissions: they make the portfolio
    smaller, so that an edge is approached a little more closely.
    """
    traded = [leg for leg in legs if leg.asset not in dropped and leg.asset != CASH and sizing.is_tradable(leg)]
    cash = next((leg for leg in legs if leg.asset == CASH), Leg(CASH, ZERO, ZERO))
    if sizing.policy.destination is Destination.TARGET:
        moved = [replace(leg, change=-leg.drift) for leg in traded]
        return PlannedChanges(tuple(sizing.change_for(leg) for leg in moved), cash.target)
    total = sizing.valuation.total
    moved = _move_to_edges([*traded, cash], sizing, reserve / total * HUNDRED, fees / total * HUNDRED)
    changes = tuple(sizing.change_for(leg) for leg in moved if leg.change and leg.asset != CASH)
    end = cash.weight - sum((leg.change for leg in moved if leg.asset != CASH), ZERO)
    # Cash below its target is kept exactly: its weight of 4 places would leave the rest of the cash to buys.
    kept = min(sizing.valuation.cash / total * HUNDRED, cash.target)
    # Cash takes what rounding leaves of all trades, so that no buy is cut for it.
    return PlannedChanges(changes, max(end - _CASH_MARGIN, kept))


def _move_to_edges(legs: list[Leg], sizing: OrderSizing, reserve: Decimal, fees: Decimal) -> list[Leg]:
    """Return the legs with the smallest changes that bring each inside its band, absorbed by the others and by cash.

    An absorbing asset whose part is less than an order is left out, the smallest first, and leaves its part to others.
    """
    least = (sizing.min_amount / sizing.valuation.total * HUNDRED).quantize(_UNIT, ROUND_CEILING) + _UNIT
    changes = {leg.asset: _change_to_edge(leg, sizing.tolerance(leg), least, fees) for leg in legs}
    absorbing = list(legs)
    while True:
        excess = sum(changes.values(), reserve.quantize(_UNIT, ROUND_CEILING))
        parts = _absorb(excess, absorbing, changes)
        small = [
            leg for leg in absorbing if leg.asset != CASH and 0 < abs(changes[leg.asset] + parts[leg.asset]) < least
        ]
        if not small:
            return [replace(leg, change=changes[leg.asset] + parts.get(leg.asset, ZERO)) for leg in legs]
        absorbing.remove(min(small, key=lambda leg: (abs(leg.drift), leg.asset)))


def _change_to_edge(leg: Leg, tolerance: Decimal, least: Decimal, fees: Decimal) -> Decimal:
    """Return the change to the edge of the band, with the size of an order at least; zero inside the band.

    Cash changes by orders only, so that the same holds for cash.
    """
    if abs(leg.drift) <= tolerance:
        return ZERO
    beyond = (abs(leg.drift) - tolerance + fees).quantize(_UNIT, ROUND_CEILING)
    if leg.asset == CASH:
        beyond += _CASH_MARGIN  # cash takes what rounding leaves of all trades
    return -min(max(beyond, least), abs(leg.drift)).copy_sign(leg.drift)


def _absorb(excess: Decimal, legs: list[Leg], changes: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return the parts of the opposite of an excess of changes that lead the legs further to their targets."""
    sign = 1 if excess > 0 else -1
    room = {leg.asset: max(ZERO, sign * (leg.drift + changes[leg.asset])) for leg in legs}
    total = min(abs(excess), sum(room.values(), ZERO))
    parts = apportion(total, room, PERCENT_PLACES) if total else room.fromkeys(room, ZERO)
    return {asset: -sign * part for asset, part in parts.items()}


def side_of(leg: Leg) -> Side:
    """Return the side of an order that leads the leg to its target."""
    return Side.SELL if leg.drift > 0 else Side.BUY
