"""The order planner: the orders that lead a portfolio back to the target, within cash and policy.

Sells come first and pay for the buys. Calculations are exact; only quantities are rounded, towards zero. The planner is
deterministic.
"""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import ZERO, to_money
from trimtab.portfolios.balancing.order_sizing import CENT, OrderSizing, Quantities, WeightChange
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Destination, Mode, Policy
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Tolerance, Weights
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission, PlannedOrder, SkippedLeg
from trimtab.portfolios.rebalancing.reachable_targets import ReachableTargets, find_reachable_targets
from trimtab.portfolios.rebalancing.trade_limits import NO_LIMITS, TradeLimits, merge_limits, policy_limits
from trimtab.portfolios.rebalancing.valuation import EXACT, Valuation


class OrderPlan(Struct, frozen=True):
    """The orders of a rebalance (sells first, the largest first), and their effect at the planning prices.

    Legs are changes in percent of the portfolio, cash included; they sum to zero. Drift is in percent and counts cash
    as an asset. Orders never increase the drift from the reachable targets. `fees` are the expected commissions
    (money). A skipped leg is a change, or the rest of one, without an order. Its reason is the reason of a trade limit,
    or one of these:

    * `mode`: the mode forbids this side.
    * `minimum_trade`: the amount is below the minimum of the policy, or not above its commission.
    * `whole_shares`: the amount is less than one share.
    * `no_cash`: the cash does not pay for the buy.
    * `no_use`: the sell would only raise cash above its target.
    """

    orders: tuple[PlannedOrder, ...]
    skipped: tuple[SkippedLeg, ...]
    legs: tuple[Leg, ...]
    drift_before: Decimal
    drift_after: Decimal
    within_band_after: bool
    fees: Decimal = ZERO


def outside(legs: tuple[Leg, ...], policy: Policy) -> tuple[Leg, ...]:
    """Return the legs, cash included, that are further from their target than the policy allows."""
    return drift.legs_outside(legs, drift.policy_tolerance(policy))


def cures(plan: OrderPlan, policy: Policy) -> bool:
    """Return whether the orders of the plan bring a leg outside its band, cash included, closer to its target."""
    return any(leg.change * leg.drift < 0 for leg in outside(plan.legs, policy))


def choose_destination(legs: tuple[Leg, ...], policy: Policy, tolerance: Tolerance) -> Policy:
    """Return the policy with a destination that satisfies the trigger of the rebalance.

    If every leg is inside its band, or if the total drift would still be too large with the outside legs at their
    edges, then the destination is the target weights and not the edge of the band.
    """
    if policy.destination is Destination.TARGET:
        return policy
    moved = drift.plan_changes(legs, tolerance, policy.destination)
    at_edges = tuple(replace(leg, weight=leg.weight + leg.change) for leg in moved)
    is_enough = policy.total_drift is None or drift.measure_drift(at_edges) <= policy.total_drift
    is_outside = bool(drift.legs_outside(legs, tolerance))
    return policy if is_outside and is_enough else replace(policy, destination=Destination.TARGET)


def plan_orders(
    valuation: Valuation,
    allocation: Weights,
    policy: Policy,
    mode: Mode,
    *,
    limits: TradeLimits = NO_LIMITS,
    commission: Commission = NO_COMMISSION,
) -> OrderPlan:
    """Return the orders that lead the portfolio to the destination of its policy, at the prices of the valuation.

    `limits` and the restrictions of the policy forbid sides of symbols. A leg that may not be traded towards its target
    keeps its value, and the others share the rest (`find_reachable_targets`). `commission` is the price of an order.

    Guarantees: no sell exceeds the holding, no order is below the minimum trade, no leg passes its reachable target by
    more than part of a share, and even if every order fills at its limit price the buys and all commissions leave the
    cash buffer untouched. The edge of the band is a destination only under the conditions of `choose_destination`.
    Raises `KeyError` where the valuation lacks the price of an allocated symbol that may be traded.
    """
    if not valuation.weights:
        return OrderPlan((), (), (), ZERO, ZERO, True)
    with localcontext(EXACT):
        limits = merge_limits(policy_limits(policy), limits)
        target = drift.target_weights(allocation, policy)
        legs = drift.compare_weights(valuation.weights, target)
        reachable = find_reachable_targets(valuation.weights, target, limits)
        tolerance = drift.tolerances_of(legs, policy)
        to_reach = drift.compare_weights(valuation.weights, reachable.weights)
        policy = choose_destination(to_reach, policy, tolerance)
        moved = drift.plan_changes(to_reach, tolerance, policy.destination)
        sizing = OrderSizing(valuation, reachable.weights, policy, tolerance, mode, limits, commission)
        changes = tuple(sizing.change_for(leg) for leg in moved if leg.change and leg.asset != CASH)
        cash_weight = next((leg.weight + leg.change for leg in moved if leg.asset == CASH), ZERO)
        trades = _plan_trades(changes, sizing, cash_weight)
        orders = (sizing.planned_order(symbol, quantity) for symbol, quantity in trades.items())
        skipped = [leg for change in changes if (leg := _skipped_leg(change, sizing, trades))]
        skipped += _limited_legs(drift.plan_changes(legs, tolerance, policy.destination), sizing, reachable)
        return _order_plan(sizing, legs, trades, tuple(sorted(orders, key=_rank)), tuple(sorted(skipped, key=_rank)))


def _limited_legs(legs: tuple[Leg, ...], sizing: OrderSizing, reachable: ReachableTargets) -> Iterator[SkippedLeg]:
    """Yield the legs that a trade limit keeps from their targets."""
    for leg in legs:
        side = Side.BUY if leg.change > 0 else Side.SELL
        notional = to_money(sizing.amount_of(abs(leg.change)))
        if leg.asset in reachable.fixed and notional:
            yield SkippedLeg(leg.asset, side, notional, sizing.limits[leg.asset].reason)


def _plan_trades(changes: tuple[WeightChange, ...], sizing: OrderSizing, cash_weight: Decimal) -> Quantities:
    """Return the quantities to trade; `cash_weight` is the weight that cash has at the destination."""
    allowed = [change for change in changes if sizing.find_refusal(change.symbol, change.side) is None]
    sells = [change for change in allowed if change.side is Side.SELL and sizing.is_large_enough(change)]
    trades = {change.symbol: -change.max_quantity for change in sells}
    trades |= _spend_cash([change for change in allowed if change.side is Side.BUY], sizing, trades, cash_weight)
    if sizing.policy.whole_shares:
        trades = _add_whole_shares(allowed, sizing, trades, cash_weight)
    return _drop_needless(sizing, trades) if sizing.mode is Mode.FULL else trades


# Buys ----------------------------------------------------------------------------------------------------------------


def _spend_cash(buys: list[WeightChange], sizing: OrderSizing, sells: Quantities, cash_weight: Decimal) -> Quantities:
    """Return the buys within the cash: first to the edge of the band where outside, then the largest amounts."""
    candidates = [change for change in buys if sizing.is_large_enough(change)]
    for _ in buys:
        bought = _fill_buys(candidates, sizing, sells, cash_weight)
        too_small = [
            change
            for change in candidates
            if change.symbol in bought and not sizing.is_large_enough(change, bought[change.symbol])
        ]
        if not too_small:
            return bought
        # Dropping the smallest buy leaves its cash to the others.
        candidates.remove(min(too_small, key=lambda change: (change.amount, change.symbol)))
    return {}


def _fill_buys(buys: list[WeightChange], sizing: OrderSizing, sells: Quantities, cash_weight: Decimal) -> Quantities:
    bought: Quantities = {}
    at_limit_prices = sizing.spendable_cash(sells)
    at_planning_prices = sizing.cash_after(sells) - sizing.amount_of(cash_weight)

    def buy(change: WeightChange, wanted: Decimal) -> None:
        nonlocal at_limit_prices, at_planning_prices
        limit_price = sizing.limit_price(change.symbol, Side.BUY)
        most = min(at_limit_prices.quantize(CENT, ROUND_FLOOR) / limit_price, at_planning_prices / change.price)
        quantity = max(ZERO, min(wanted, sizing.round_to_steps(most)))
        if quantity:
            bought[change.symbol] = bought.get(change.symbol, ZERO) + quantity
            at_limit_prices -= (quantity * limit_price).quantize(CENT, ROUND_CEILING)
            at_planning_prices -= quantity * change.price

    for change in sorted(buys, key=lambda change: (-change.min_quantity * change.price, change.symbol)):
        buy(change, change.min_quantity)
    # Existing orders are increased before new ones are started: the same distance with fewer orders.
    for change in sorted(buys, key=lambda change: (change.symbol not in bought, -change.amount, change.symbol)):
        buy(change, change.max_quantity - bought.get(change.symbol, ZERO))
    return bought


# Whole shares --------------------------------------------------------------------------------------------------------


def _add_whole_shares(
    changes: list[WeightChange], sizing: OrderSizing, trades: Quantities, cash_weight: Decimal
) -> Quantities:
    """Add a whole share to each trade that then leads the portfolio closer to the target."""
    sells = [change for change in changes if change.side is Side.SELL]
    buys = [change for change in changes if change.side is Side.BUY]
    best = dict(trades)

    def by_gain(change: WeightChange) -> tuple[Decimal, str]:
        return -_gain_of_leg(change, sizing, trades.get(change.symbol, ZERO)), change.symbol

    # Selling one more share may pay for further buys, so the buys are planned again for each candidate.
    for change in sorted(sells, key=by_gain):
        sold = {symbol: quantity for symbol, quantity in best.items() if quantity < 0}
        sold[change.symbol] = sold.get(change.symbol, ZERO) - 1
        if _gain_of_leg(change, sizing, best.get(change.symbol, ZERO)) > 0:
            alternative = sold | _spend_cash(buys, sizing, sold, cash_weight)
            best = min(best, alternative, key=sizing.total_distance)
    for _ in buys:
        spendable, cash = sizing.spendable_cash(best), sizing.cash_after(best)
        gains = [
            (_gain_of_buy(change, sizing, best.get(change.symbol, ZERO), spendable, cash), change) for change in buys
        ]
        gain, change = min(gains, key=lambda pair: (-pair[0], pair[1].symbol))
        if gain <= 0:
            break
        best[change.symbol] = best.get(change.symbol, ZERO) + 1
    return best


def _gain_of_leg(change: WeightChange, sizing: OrderSizing, traded: Decimal) -> Decimal:
    """Return the money by which one more share reduces the leg's distance from target; zero if none may be added.

    If the destination is the edge of the band, shares are added only to legs that are still outside their band.
    """
    symbol, more = change.symbol, traded + (1 if change.side is Side.BUY else -1)
    if sizing.valuation.quantities.get(symbol, ZERO) + more < 0 or not sizing.is_large_enough(change, abs(more)):
        return ZERO
    held = sizing.valuation.values.get(symbol, ZERO)
    distance = sizing.distance_from_target(symbol, held + traded * change.price)
    if sizing.policy.destination is Destination.BAND_EDGE:
        leg = Leg(symbol, ZERO, sizing.target.get(symbol, ZERO))
        if distance <= sizing.amount_of(sizing.tolerance(leg)):
            return ZERO
    return max(ZERO, distance - sizing.distance_from_target(symbol, held + more * change.price))


def _gain_of_buy(
    change: WeightChange, sizing: OrderSizing, traded: Decimal, spendable: Decimal, cash: Decimal
) -> Decimal:
    """Return the money by which one more share bought reduces the distance of asset and cash from target, or zero."""
    gain = _gain_of_leg(change, sizing, traded)
    if not gain or sizing.limit_price(change.symbol, Side.BUY) > spendable.quantize(CENT, ROUND_FLOOR):
        return ZERO
    return gain + sizing.distance_from_target(CASH, cash) - sizing.distance_from_target(CASH, cash - change.price)


# Needless trades -----------------------------------------------------------------------------------------------------


def _drop_needless(sizing: OrderSizing, trades: Quantities) -> Quantities:
    """Return the needed trades, and sells without the part for idle cash only."""
    for _ in trades:
        reduced = _reduce_each(sizing, trades)
        if reduced == trades:
            break
        trades = reduced
    return trades


def _reduce_each(sizing: OrderSizing, trades: Quantities) -> Quantities:
    """Reduce each trade, the smallest first, to the needed quantity.

    A trade is needed if the drift would be greater without the trade, if cash would not pay for the buys, or if the
    trade brings its leg inside the band. The last condition holds for a sell only if all legs end inside: otherwise the
    sell would only replace one excess by another, usually of cash.
    """
    needed, all_inside = dict(trades), _ends_inside(sizing, trades)

    def by_size(symbol: str) -> tuple[bool, Decimal, str]:
        return trades[symbol] < 0, abs(trades[symbol]) * sizing.valuation.prices[symbol], symbol

    for symbol in sorted(trades, key=by_size):
        traded, is_buy, least = abs(trades[symbol]), trades[symbol] > 0, sizing.quantity_into_band(symbol)
        if least and not is_buy:
            least = max(least, sizing.min_order_quantity(symbol))
            if not all_inside and (least >= traded or not _ends_inside(sizing, {**needed, symbol: -least})):
                least = ZERO
        candidates = [] if least else [ZERO]
        if not is_buy:
            used = traded - sizing.idle_quantity(symbol, needed)
            candidates.append(max(least, sizing.min_order_quantity(symbol), used))
        for quantity in candidates:
            if quantity and (traded - quantity) * sizing.valuation.prices[symbol] < sizing.min_amount:
                continue
            rest = {**needed, symbol: quantity.copy_sign(trades[symbol])} if quantity else _without(symbol, needed)
            if sizing.can_afford(rest) and sizing.total_distance(rest) <= sizing.total_distance(needed):
                needed = rest
                break
    return needed


def _ends_inside(sizing: OrderSizing, trades: Quantities) -> bool:
    if not sizing.can_afford(trades):
        return False
    after = drift.compare_weights(sizing.weights_after(trades), sizing.target)
    return not drift.legs_outside(after, sizing.tolerance)


def _without(symbol: str, trades: Quantities) -> Quantities:
    return {other: quantity for other, quantity in trades.items() if other != symbol}


# The plan ------------------------------------------------------------------------------------------------------------


def _skipped_leg(change: WeightChange, sizing: OrderSizing, trades: Quantities) -> SkippedLeg | None:
    """Return the change, or the rest of the change, without an order."""
    unused = "no_use" if change.side is Side.SELL else "no_cash"
    if change.symbol in trades:
        rest = change.max_quantity - abs(trades[change.symbol])
        notional = to_money(max(ZERO, rest) * change.price)
        return SkippedLeg(change.symbol, change.side, notional, unused) if notional else None
    refusal = sizing.find_refusal(change.symbol, change.side)
    if refusal is not None:
        reason = refusal
    elif sizing.policy.whole_shares and not change.max_quantity:
        reason = "whole_shares"
    else:
        reason = unused if sizing.is_large_enough(change) else "minimum_trade"
    return SkippedLeg(change.symbol, change.side, to_money(change.amount), reason)


def _rank(order: PlannedOrder | SkippedLeg) -> tuple[bool, Decimal, str]:
    return order.side is Side.BUY, -order.notional, order.symbol


def _order_plan(
    sizing: OrderSizing,
    legs: tuple[Leg, ...],
    trades: Quantities,
    orders: tuple[PlannedOrder, ...],
    skipped: tuple[SkippedLeg, ...],
) -> OrderPlan:
    weights = sizing.weights_after(trades)
    targets = {leg.asset: leg.target for leg in legs}
    after = drift.compare_weights(weights, targets)
    drift_before, drift_after = drift.measure_drift(legs), drift.measure_drift(after)
    if sizing.target == targets:
        # The exact drift never grows; only weights rounded to 4 places may let it appear larger.
        drift_after = min(drift_after, drift_before)
    return OrderPlan(
        orders,
        skipped,
        _legs_with_changes(legs, weights, trades),
        drift_before,
        drift_after,
        not drift.legs_outside(after, sizing.tolerance),
        sizing.fees(trades),
    )


def _legs_with_changes(legs: tuple[Leg, ...], weights: Weights, trades: Quantities) -> tuple[Leg, ...]:
    """Return the legs with the changes by the trades: assets without a trade have none, cash has the remainder."""
    changes: dict[str, Decimal] = {}
    for leg in legs:
        change, traded = weights.get(leg.asset, ZERO) - leg.weight, trades.get(leg.asset, ZERO)
        changes[leg.asset] = change if change * traded > 0 else ZERO
    changes[CASH] = ZERO
    changes[CASH] = -sum(changes.values(), ZERO)
    return tuple(Leg(leg.asset, leg.weight, leg.target, changes[leg.asset]) for leg in legs)
