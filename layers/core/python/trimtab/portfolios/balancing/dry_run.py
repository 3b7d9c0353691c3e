"""Dry run of a rebalance: the orders that a rebalance would execute now, and their effects. Nothing is stored."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from trimtab.kernel.money import CONTEXT, HUNDRED
from trimtab.portfolios.balancing.check_decision import CheckResult
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.price_bounds import move_to_other_sides
from trimtab.portfolios.portfolio.holdings import Holding, Side, TradeEffect
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.rebalancing.drift import CASH, Leg, compare_weights, target_weights
from trimtab.portfolios.rebalancing.orders import Commission, PlannedOrder
from trimtab.portfolios.rebalancing.valuation import Valuation


class DryRun(Struct, frozen=True):
    """The decision of a dry run, and its effects at the planning prices.

    * `legs`: weight, target and planned change of each asset, cash included; empty where the portfolio has no value.
    * `fees`: expected commission by order. `realised_profit`: money by sold symbol, after commissions.
    * `valid_while`: the largest relative move of all prices under which the decision stays the same (see
      `find_valid_move`); None where the portfolio has no value.
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
    fees = tuple(commission.of(order.notional) for order in plan.orders) if plan else ()
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
        valid_while = find_valid_move(plan, result.valuation, inputs.portfolio.policy)
    return DryRun(inputs, result, legs, fees, profits, valid_while)


def find_valid_move(plan: OrderPlan, valuation: Valuation, policy: Policy) -> Decimal:
    """Return the largest relative move of all prices under which a plan trades the same symbols on the same sides.

    Quantities follow the prices. Two bounds hold: every order can still fill at its limit price, and no leg passes its
    planned weight or comes closer to it than the smallest order. The bound is an estimate where a plan depends on more
    than the weights: with whole shares, with a mode or a limit, and at the edge of the band.
    """
    smallest = CONTEXT.divide(CONTEXT.multiply(max(policy.minimum_trade, Decimal("0.01")), HUNDRED), valuation.total)
    ends = tuple(Leg(leg.asset, leg.weight, leg.weight + leg.change) for leg in plan.legs if leg.asset != CASH)
    move = move_to_other_sides(ends, smallest)
    return min(move, CONTEXT.divide(policy.max_slippage, HUNDRED))


def _profit_of(order: PlannedOrder, held: Holding, commission: Commission, inputs: DecisionInputs) -> Decimal:
    """Return the realised profit of a sell at the planning price, by the average cost of the holding."""
    fee = commission.of(order.notional)
    amount = CONTEXT.multiply(order.quantity, order.price)
    sale = TradeEffect("dry-run", order.side, held.security_type, order.symbol, order.quantity, amount, fee, inputs.now)
    return held.with_trade(sale).realised_profit - held.realised_profit


def _legs_without_orders(inputs: DecisionInputs, valuation: Valuation | None) -> tuple[Leg, ...]:
    if valuation is None:
        return ()
    targets = target_weights(inputs.portfolio.allocation, inputs.portfolio.policy)
    return compare_weights(valuation.weights, targets)
