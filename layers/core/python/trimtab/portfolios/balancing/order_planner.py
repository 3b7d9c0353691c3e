"""The order planner: the orders that lead a portfolio back to the target, within cash and policy.

Sells come first and pay for the buys. Calculations are exact; only quantities are rounded, towards zero. The planner is
deterministic.
"""

from collections.abc import Iterator
from decimal import Decimal, localcontext

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO
from trimtab.portfolios.balancing.buys import plan_buys
from trimtab.portfolios.balancing.further_trades import add_further_trades
from trimtab.portfolios.balancing.needless_trades import drop_needless
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities, WeightChange
from trimtab.portfolios.balancing.planned_changes import PlannedChanges, choose_destination, plan_changes
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Destination, Mode, Policy
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Weights
from trimtab.portfolios.rebalancing.orders import (
    NO_CASH,
    NO_COMMISSION,
    NO_USE,
    Commission,
    PlannedOrder,
    SkippedLeg,
)
from trimtab.portfolios.rebalancing.reachable_targets import find_reachable_targets
from trimtab.portfolios.rebalancing.trade_limits import NO_LIMITS, TradeLimits, merge_limits, policy_limits
from trimtab.portfolios.rebalancing.valuation import EXACT, Valuation

PERCENT_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)
MAX_RESERVE_ROUNDS = 20


class OrderPlan(Struct, frozen=True):
    """The orders of a rebalance (sells first, the largest first), and their effect at the planning prices.

    Legs are changes in percent of the portfolio, cash included; they sum to zero. Drift is in percent and counts cash
    as an asset. Orders never increase the drift from the reachable targets. `fees` are the expected commissions
    (money). A skipped leg is a change, or the rest of one, without an order. Its reason is the reason of a trade limit,
    or one of these:

    * `mode`: the mode forbids this side.
    * `minimum_trade`: the amount is below the minimum of the policy, or not above its commission (of a sell: at the
      limit price).
    * `whole_shares`: the amount is less than one share.
    * `no_cash`: the cash does not pay for the buy.
    * `no_use`: the sell would only raise cash above its target.

    `outside` are the assets, cash included, that are further from their reachable targets than the policy allows;
    `cured` are those of them that orders of at least the minimum trade bring closer. `cures_drift`: the orders bring
    the drift back within the total drift of the policy, or remove more than the policy allows in total.
    """

    orders: tuple[PlannedOrder, ...]
    skipped: tuple[SkippedLeg, ...]
    legs: tuple[Leg, ...]
    drift_before: Decimal
    drift_after: Decimal
    within_band_after: bool
    fees: Decimal = ZERO
    outside: tuple[str, ...] = ()
    cured: tuple[str, ...] = ()
    cures_drift: bool = False


def outside(legs: tuple[Leg, ...], policy: Policy) -> tuple[Leg, ...]:
    """Return the legs, cash included, that are further from their target than the policy allows."""
    return drift.legs_outside(legs, drift.policy_tolerance(policy))


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
    return plan_sized_orders(
        size_orders(valuation, allocation, policy, mode, limits=limits, commission=commission), allocation
    )


def size_orders(
    valuation: Valuation,
    allocation: Weights,
    policy: Policy,
    mode: Mode,
    *,
    limits: TradeLimits = NO_LIMITS,
    commission: Commission = NO_COMMISSION,
) -> OrderSizing:
    """Return the sizing of orders towards the targets that the limits and the restrictions of the policy leave."""
    with localcontext(EXACT):
        limits = merge_limits(policy_limits(policy), limits)
        target = drift.target_weights(allocation, policy)
        reachable = find_reachable_targets(valuation.weights, target, limits)
        tolerance = drift.tolerances_of(
            drift.compare_weights(valuation.weights, target), drift.policy_tolerance(policy)
        )
        return OrderSizing(
            valuation,
            reachable.weights,
            policy,
            tolerance,
            mode,
            limits,
            commission,
            fixed=reachable.fixed,
            limit_margins=reachable.margins,
        )


def plan_sized_orders(sizing: OrderSizing, allocation: Weights) -> OrderPlan:
    """Return the plan of `plan_orders`, from its sizing."""
    with localcontext(EXACT):
        targets = drift.target_weights(allocation, sizing.policy)
        legs = drift.compare_weights(sizing.valuation.weights, targets)
        sizing = replace(sizing, policy=choose_destination(sizing.legs, sizing))
        changes, trades = _plan_trades(sizing.legs, sizing)
        orders = (sizing.planned_order(symbol, quantity) for symbol, quantity in trades.items())
        skipped = [leg for change in changes if (leg := _skipped_leg(change, sizing, trades))]
        skipped += _untradable_legs(legs, sizing)
        return _order_plan(sizing, legs, trades, tuple(sorted(orders, key=_rank)), tuple(sorted(skipped, key=_rank)))


def _plan_trades(legs: tuple[Leg, ...], sizing: OrderSizing) -> tuple[tuple[WeightChange, ...], Quantities]:
    """Return the changes that lead to the destination, and the quantities to trade.

    At the edges of the bands, the others take the part of a buy without enough cash for an order, and further sells
    raise the reserve that the buys need beyond their planning prices.
    """
    dropped: set[str] = set()
    reserve, fees, planned = ZERO, ZERO, PlannedChanges((), ZERO)
    for _ in range(len(legs) + MAX_RESERVE_ROUNDS):
        before, planned = planned, plan_changes(legs, sizing, dropped, reserve=reserve, fees=fees)
        sells = [change for change in planned.changes if change.side is Side.SELL and sizing.is_large_enough(change)]
        buys = [change for change in planned.changes if change.side is Side.BUY and sizing.is_large_enough(change)]
        sold = {change.symbol: -change.max_quantity for change in sells}
        trades = sold | plan_buys(buys, sizing, sold, planned.cash_weight)
        if sizing.policy.destination is Destination.TARGET:
            break
        missing = -sizing.spendable_cash(sold | {change.symbol: change.max_quantity for change in buys})
        unpaid = {change.symbol for change in buys if change.symbol not in trades}
        if missing > 0 and planned != before:
            raised = missing * HUNDRED / (HUNDRED + sizing.policy.max_slippage)
            # Buys are fitted to cash in whole units of money.
            reserve += max(raised, sizing.amount_of(PERCENT_UNIT), sizing.money_unit)
        elif unpaid:
            dropped |= unpaid
            reserve = ZERO
        elif sizing.fees(trades) > fees:
            fees = sizing.fees(trades)
        else:
            break
    if sizing.policy.whole_shares or sizing.policy.destination is Destination.BAND_EDGE:
        to_target = plan_changes(legs, replace(sizing, policy=replace(sizing.policy, destination=Destination.TARGET)))
        trades = add_further_trades(planned, to_target.changes, sizing, trades)
    return planned.changes, drop_needless(sizing, trades) if sizing.mode is Mode.FULL else trades


# The plan ------------------------------------------------------------------------------------------------------------


def _skipped_leg(change: WeightChange, sizing: OrderSizing, trades: Quantities) -> SkippedLeg | None:
    """Return the change, or the rest of the change, without an order."""
    unused = NO_USE if change.side is Side.SELL else NO_CASH
    if change.symbol in trades:
        rest = change.max_quantity - abs(trades[change.symbol])
        notional = sizing.round_money(max(ZERO, rest) * change.price)
        return SkippedLeg(change.symbol, change.side, notional, unused) if notional else None
    if sizing.policy.whole_shares and not change.max_quantity:
        reason = "whole_shares"
    else:
        reason = unused if sizing.is_large_enough(change) else "minimum_trade"
    return SkippedLeg(change.symbol, change.side, sizing.round_money(change.amount), reason)


def _untradable_legs(legs: tuple[Leg, ...], sizing: OrderSizing) -> Iterator[SkippedLeg]:
    """Yield the legs that a limit, the mode or the minimum trade keeps from the destination."""
    for leg in drift.plan_changes(legs, sizing.tolerance, sizing.policy.destination):
        side = Side.BUY if leg.change > 0 else Side.SELL
        end = sizing.amount_of(leg.weight + leg.change)
        notional = sizing.round_money(abs(end - sizing.valuation.values.get(leg.asset, ZERO))) if leg.change else ZERO
        reason = sizing.find_refusal(leg.asset, side) or ("minimum_trade" if not sizing.is_tradable(leg) else None)
        if leg.asset != CASH and notional and reason:
            yield SkippedLeg(leg.asset, side, notional, reason)


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
    if all(sizing.target.get(asset, ZERO) == target for asset, target in targets.items()):
        # The exact drift never grows; only weights rounded to 4 places may let it appear larger.
        drift_after = min(drift_after, drift_before)
    outside_now = tuple(leg.asset for leg in drift.legs_outside(sizing.legs, sizing.tolerance))
    return OrderPlan(
        orders,
        skipped,
        _legs_with_changes(legs, weights, trades),
        drift_before,
        drift_after,
        not drift.legs_outside(after, sizing.tolerance),
        sizing.fees(trades),
        outside_now,
        tuple(asset for asset in outside_now if _is_cured(asset, sizing, trades)),
        _cures_drift(sizing, weights),
    )


def _is_cured(asset: str, sizing: OrderSizing, trades: Quantities) -> bool:
    """Return whether the trades bring the asset closer to its target; cash by at least the amount of an order."""
    if asset != CASH:
        return asset in trades
    before, after = (
        sizing.distance_from_target(CASH, cash) for cash in (sizing.valuation.cash, sizing.cash_after(trades))
    )
    return before - after >= sizing.min_amount


def _cures_drift(sizing: OrderSizing, weights_after: Weights) -> bool:
    allowed = sizing.policy.total_drift
    before = drift.measure_drift(sizing.legs)
    after = drift.measure_drift(drift.compare_weights(weights_after, sizing.target))
    return allowed is not None and before > allowed and (after <= allowed or before - after > allowed)


def _legs_with_changes(legs: tuple[Leg, ...], weights: Weights, trades: Quantities) -> tuple[Leg, ...]:
    """Return the legs with the changes by the trades: assets without a trade have none, cash has the remainder."""
    changes: dict[str, Decimal] = {}
    for leg in legs:
        change, traded = weights.get(leg.asset, ZERO) - leg.weight, trades.get(leg.asset, ZERO)
        changes[leg.asset] = change if change * traded > 0 else ZERO
    changes[CASH] = ZERO
    changes[CASH] = -sum(changes.values(), ZERO)
    return tuple(Leg(leg.asset, leg.weight, leg.target, changes[leg.asset]) for leg in legs)
