"""Safe moves: how far prices may move before orders may be called for, also where a leg is outside and nothing helps.

Without limits and with every leg inside its band, this is `safe_relative_move` of the reachable targets. A leg that is
outside and that no order brings closer is watched for the move after which an order may.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext

from trimtab.kernel.money import HUNDRED, ZERO
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.order_sizing import OrderSizing
from trimtab.portfolios.balancing.price_bounds import LARGEST_MOVE, halve_until_safe, round_move, safe_relative_move
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.rebalancing.drift import CASH, Leg, measure_drift
from trimtab.portfolios.rebalancing.valuation import EXACT

REARM_MOVE = Decimal("0.01")
"""Relative price move that triggers the next check where no price is known at which orders may be called for."""


def find_safe_move(sizing: OrderSizing, plan: OrderPlan | None = None) -> Decimal:
    """Return the largest relative move of all prices up to which no rule of the policy begins to call for orders.

    `plan` is the plan of a portfolio that is outside already and that no order brings closer.
    """
    with localcontext(EXACT):
        outside = frozenset(plan.outside if plan else ())
        move = _move_inside(sizing, outside)
        return round_move(min([move, *(_moves_until_curable(sizing, outside) if plan else ())]))


def _move_inside(sizing: OrderSizing, outside: frozenset[str]) -> Decimal:
    """Return the move up to which all legs that are inside their bands stay there."""
    allowed, legs = sizing.policy.total_drift, sizing.legs
    if allowed is not None and measure_drift(legs) > allowed and outside:
        allowed = None

    def move_with(shift: Decimal) -> Decimal:
        return safe_relative_move(
            legs,
            lambda leg: sizing.tolerance(leg) - shift,
            None if allowed is None else allowed - shift,
            fixed=sizing.fixed,
            outside=outside,
        )

    # A limit on one side begins or ends to hold where its leg passes the reachable target: the targets of the others
    # then shift by no more than the leg has passed.
    return halve_until_safe(move_with(ZERO), lambda move: move_with(_shift_of_targets(sizing, move)))


def _shift_of_targets(sizing: OrderSizing, move: Decimal) -> Decimal:
    """Return the most by which a move may shift reachable targets through limits on one side, in points."""
    weights = sizing.valuation.weights
    passed = (
        move * (2 * weights.get(asset, ZERO) + 2 * margin) - margin for asset, margin in sizing.limit_margins.items()
    )
    return sum((max(ZERO, part) for part in passed), ZERO) / (1 - move)


def _moves_until_curable(sizing: OrderSizing, outside: frozenset[str]) -> Iterator[Decimal]:
    """Yield, for each leg outside its band, the move up to which no order may bring the leg closer."""
    too_small = dict(_moves_to_an_order(sizing))
    others = [*too_small.values(), *_moves_to_a_payment(sizing)]
    for leg in sizing.legs:
        side = Side.SELL if leg.drift > 0 else Side.BUY
        if leg.asset not in outside or (leg.asset != CASH and sizing.find_refusal(leg.asset, side)):
            continue
        if leg.asset in too_small:
            yield too_small[leg.asset]
        else:
            # The leg is far enough for an order: what is missing is cash, or a use for the proceeds.
            yield min([*others, REARM_MOVE]) if sizing.policy.whole_shares else min(others, default=REARM_MOVE)
    allowed = sizing.policy.total_drift
    if allowed is not None and measure_drift(sizing.legs) > allowed:
        yield min([*too_small.values(), REARM_MOVE])


def _moves_to_an_order(sizing: OrderSizing) -> Iterator[tuple[str, Decimal]]:
    """Yield the assets too close to their targets for an order, and the move up to which each stays so."""
    values, free = sizing.valuation.values, _free_value(sizing)
    for leg in sizing.legs:
        if leg.asset == CASH or leg.asset in sizing.fixed or not free:
            continue
        least = _least_order(sizing, leg)
        distance = sizing.distance_from_target(leg.asset, values.get(leg.asset, ZERO))
        steepness = _steepness(sizing, leg, free) + (least if sizing.policy.whole_shares else ZERO)
        if distance < least:
            yield leg.asset, min(LARGEST_MOVE, (least - distance) / steepness) if steepness else LARGEST_MOVE


def _free_value(sizing: OrderSizing) -> Decimal:
    return sum((value for asset, value in sizing.valuation.values.items() if asset not in sizing.fixed), ZERO)


def _steepness(sizing: OrderSizing, leg: Leg, free: Decimal) -> Decimal:
    """Return the money by which the distance of a leg from its target changes at most with a relative move of one.

    The distance of a value v from its target, a share s of the total U of what is not fixed, changes with a move r by
    at most r (v (1 - s) + s (U - v)).
    """
    held, share = sizing.valuation.values.get(leg.asset, ZERO), min(Decimal(1), sizing.amount_of(leg.target) / free)
    return held * (1 - share) + share * (free - held)


def _least_order(sizing: OrderSizing, leg: Leg) -> Decimal:
    """Return the distance from target that an order needs: its minimum amount, or half a share."""
    least = max(sizing.min_amount, sizing.commission.per_order)
    price = sizing.valuation.prices.get(leg.asset)
    return max(least, price / 2) if sizing.policy.whole_shares and price is not None else least


def _moves_to_a_payment(sizing: OrderSizing) -> Iterator[Decimal]:
    """Yield the move up to which cash does not pay for the smallest buy, nor with the proceeds of possible sells.

    The cash buffer and the cash target fall with prices, and the excess of assets above their targets changes.
    """
    if sizing.mode is Mode.SELL_ONLY:
        return
    invested = sizing.valuation.total - sizing.valuation.cash
    least = sizing.min_amount * (HUNDRED + sizing.policy.max_slippage) / HUNDRED + sizing.commission.per_order
    needs: Mapping[Decimal, Decimal] = {sizing.policy.cash_buffer: least, sizing.target[CASH]: sizing.min_amount}
    free = _free_value(sizing)
    sold = [leg for leg in sizing.legs if leg.asset != CASH and not sizing.find_refusal(leg.asset, Side.SELL)]
    excess = sum((max(ZERO, sizing.amount_of(leg.drift)) for leg in sold), ZERO)
    steepness = sum((_steepness(sizing, leg, free) for leg in sold), ZERO) if free else ZERO
    moves = [
        (need + sizing.amount_of(kept) - sizing.valuation.cash - excess) / (kept * invested / HUNDRED + steepness)
        for kept, need in needs.items()
        if kept and invested
    ]
    if moves and max(moves) > 0:
        yield min(LARGEST_MOVE, max(moves))
