"""Dry run of a rebalance: the orders that a rebalance would execute now, and their effects. Nothing is stored."""

from collections.abc import Mapping
from decimal import Decimal, localcontext

from msgspec import Struct

from trimtab.kernel.currencies import minor_units, smallest_amount
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO
from trimtab.portfolios.balancing.check_decision import CheckResult
from trimtab.portfolios.balancing.current_limits import current_limits
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.price_bounds import move_to_other_sides, round_move
from trimtab.portfolios.portfolio.holdings import Holding, Side, TradeEffect
from trimtab.portfolios.portfolio.policy import Destination, Policy
from trimtab.portfolios.rebalancing.drift import CASH, Leg, compare_weights, target_weights
from trimtab.portfolios.rebalancing.orders import NO_CASH, NO_USE, Commission, PlannedOrder
from trimtab.portfolios.rebalancing.valuation import EXACT, Valuation


class DryRun(Struct, frozen=True):
    """The decision of a dry run, and its effects at the planning prices.

    * `legs`: weight, target and planned change of each asset, cash included; empty where the portfolio has no value.
    * `fees`: expected commission by order. `realised_profit`: money by sold symbol, after commissions.
    * `valid_while`: a relative move of all prices up to which the decision stays the same (see `find_valid_move`);
      None where the portfolio has no value.
    """

    inputs: DecisionInputs
    result: CheckResult
    legs: tuple[Leg, ...]
    fees: tuple[Decimal, ...]
    realised_profit: Mapping[str, Decimal]
    valid_while: Decimal | None

    @property
    def orders(self) -> tuple[PlannedOrder, ...]:
        """Orders of the plan, none where nothing would be traded."""
        return self.result.plan.orders if self.result.plan else ()


def describe_dry_run(inputs: DecisionInputs, result: CheckResult, holdings: Mapping[str, Holding]) -> DryRun:
    """Return the dry run of a decision; `holdings` are the present ones, splits included."""
    plan, commission = result.plan, inputs.terms.commission
    fees = tuple(commission.of(order.notional, order.currency) for order in plan.orders) if plan else ()
    profits = (
        {
            order.symbol: _profit_of(order, holdings[order.symbol], commission, inputs)
            for order in plan.orders
            if order.side is Side.SELL
        }
        if plan
        else {}
    )
    legs = plan.legs if plan else _legs_without_orders(inputs, result.valuation)
    valid_while = result.safe_move
    if plan is not None and result.valuation is not None:
        policy = inputs.portfolio.policy
        least = max(policy.minimum_trade, commission.per_order, smallest_amount(inputs.portfolio.currency))
        is_limited = bool(current_limits(inputs))
        valid_while = ZERO if is_limited else find_valid_move(plan, result.valuation, policy, least)
    return DryRun(inputs, result, legs, fees, profits, valid_while)


def find_valid_move(plan: OrderPlan, valuation: Valuation, policy: Policy, least: Decimal) -> Decimal:
    """Return a relative move of all prices up to which a plan trades the same symbols on the same sides.

    The result is a lower bound: quantities follow the prices, every order can still fill at its limit price, no leg
    passes the end of its order or comes closer to it than `least` (money, the smallest order), and no leg without an
    order comes as far from its target. Cash that an order may lose to others changes by at most twice the moved value.
    Zero where a plan may jump at any move, see `_may_jump`.
    """
    if _may_jump(plan, policy):
        return ZERO
    ordered = {order.symbol for order in plan.orders}
    ends = (
        Leg(leg.asset, leg.weight, leg.weight + leg.change if leg.asset in ordered else leg.target)
        for leg in plan.legs
        if leg.asset != CASH
    )
    worst = CONTEXT.divide(policy.max_slippage, HUNDRED)
    with localcontext(EXACT):
        moved = 2 * valuation.total * (1 + worst)
        margins = [(order.notional - least) / moved for order in plan.orders]
        sides = move_to_other_sides(ends, least * HUNDRED / valuation.total)
        return round_move(min([sides, worst, *margins]))


def _may_jump(plan: OrderPlan, policy: Policy) -> bool:
    """Return whether an order may come or go at any move: by rounding to whole shares, at an edge, or for lack of cash.

    Buys that the cash does not pay for compete for the cash where one has no order, or where a leg stays outside.
    """
    ordered = {order.symbol for order in plan.orders}
    unpaid = {leg.symbol for leg in plan.skipped if leg.reason in {NO_CASH, NO_USE}}
    competes = bool(unpaid - ordered) or (bool(unpaid) and not plan.within_band_after)
    return policy.whole_shares or policy.destination is Destination.BAND_EDGE or competes


def _profit_of(order: PlannedOrder, held: Holding, commission: Commission, inputs: DecisionInputs) -> Decimal:
    """Return the realised profit of a sell at the planning price, by the average cost of the holding."""
    fee = commission.of(order.notional, order.currency)
    amount = CONTEXT.multiply(order.quantity, order.price)
    traded = (held.security_type, order.symbol, order.quantity, amount, fee)
    sale = TradeEffect("dry-run", order.side, *traded, inputs.now, minor_units=minor_units(order.currency))
    return held.with_trade(sale).realised_profit - held.realised_profit


def _legs_without_orders(inputs: DecisionInputs, valuation: Valuation | None) -> tuple[Leg, ...]:
    if valuation is None:
        return ()
    targets = target_weights(inputs.portfolio.allocation, inputs.portfolio.policy)
    return compare_weights(valuation.weights, targets)
