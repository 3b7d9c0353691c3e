"""The sells that raise the cash of a withdrawal: overweight assets first, towards the target. Pure.

Even if every sell fills at its limit price, the proceeds less commissions pay for the withdrawal.
"""

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import ZERO
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Allocation
from trimtab.portfolios.portfolio.policy import Mode, Policy
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, Leg
from trimtab.portfolios.rebalancing.orders import Commission, PlannedOrder
from trimtab.portfolios.rebalancing.trade_limits import TradeLimits
from trimtab.portfolios.rebalancing.valuation import EXACT, Valuation

ROUNDS = 3
"""Rounds that raise what is missing after the overweight assets are sold; each round covers its own commissions."""


class WithdrawalPlan(Struct, frozen=True):
    """Sells for a withdrawal. `available` is the most that cash and sells certainly pay, in money.

    `plan` has no orders where cash pays for the withdrawal, and is None where `available` is below the amount.
    """

    available: Decimal
    plan: OrderPlan | None


def plan_withdrawal(
    valuation: Valuation,
    allocation: Allocation,
    policy: Policy,
    amount: Decimal,
    *,
    limits: TradeLimits,
    commission: Commission,
) -> WithdrawalPlan:
    """Return the sells that raise `amount`, with the cash target of the policy where the holdings allow both.

    Cash that covers the amount is paid out without a sell. Otherwise the assets furthest above their share of the
    portfolio after the withdrawal are sold first, each down to this share. What is still missing is sold in proportion
    from what is left.
    """
    with localcontext(EXACT):
        targets = drift.target_weights(allocation, policy) if allocation else {CASH: ZERO}
        legs = drift.compare_weights(valuation.weights, targets)
        tolerance = drift.tolerances_of(legs, drift.policy_tolerance(policy))
        sizing = OrderSizing(valuation, targets, policy, tolerance, Mode.SELL_ONLY, limits, commission)
        held = _sellable(sizing)
        most = valuation.cash + _proceeds(sizing, held)
        available = sizing.round_money(max(ZERO, most, valuation.cash), ROUND_FLOOR)
        if valuation.cash >= amount:
            return WithdrawalPlan(available, _plan_of(sizing, legs, {}))
        if available < amount:
            return WithdrawalPlan(available, None)
        after = valuation.total - amount
        cash_target = targets[CASH] * max(ZERO, after) / 100
        excess = {
            symbol: max(ZERO, valuation.values[symbol] - targets.get(symbol, ZERO) * after / 100) for symbol in held
        }
        wanted = min(amount + cash_target, most) - valuation.cash
        sold = _raise(sizing, held, excess, wanted)
        if _proceeds(sizing, sold) + valuation.cash < amount:
            sold = held
        return WithdrawalPlan(available, _plan_of(sizing, legs, sold))


def _sellable(sizing: OrderSizing) -> Quantities:
    """Return the held quantities that may be sold and whose orders are large enough."""
    found: Quantities = {}
    for symbol, quantity in sizing.valuation.quantities.items():
        whole = sizing.round_to_steps(quantity)
        is_allowed = sizing.find_refusal(symbol, Side.SELL) is None
        if is_allowed and whole >= sizing.min_order_quantity(symbol) and _proceeds(sizing, {symbol: whole}) > 0:
            found[symbol] = whole
    return found


def _raise(sizing: OrderSizing, held: Quantities, excess: Mapping[str, Decimal], wanted: Decimal) -> Quantities:
    """Return the quantities to sell: the largest excess first, then in proportion what is missing."""
    sold: Quantities = {}
    for symbol in sorted(held, key=lambda symbol: (-excess[symbol], symbol)):
        missing = wanted - _proceeds(sizing, sold)
        if missing <= 0 or not excess[symbol]:
            break
        most = sizing.round_to_steps(excess[symbol] / sizing.valuation.prices[symbol])
        quantity = _at_least_an_order(sizing, symbol, min(most, _quantity_for(sizing, symbol, missing)), held)
        sold[symbol] = quantity
    for _ in range(ROUNDS):
        missing = wanted - _proceeds(sizing, sold)
        rest = {symbol: held[symbol] - sold.get(symbol, ZERO) for symbol in held}
        worth = sum((rest[symbol] * sizing.limit_price(symbol, Side.SELL) for symbol in rest), ZERO)
        if missing <= 0 or not worth:
            break
        sold = dict(_add_share(sizing, held, sold, min(Decimal(1), missing / worth)))
    return sold


def _add_share(
    sizing: OrderSizing, held: Quantities, sold: Quantities, share: Decimal
) -> Iterator[tuple[str, Decimal]]:
    """Yield the quantities with this share of what is left of each holding added, rounded up."""
    for symbol, quantity in held.items():
        before = sold.get(symbol, ZERO)
        more = sizing.round_to_steps((quantity - before) * share, ROUND_CEILING)
        yield symbol, _at_least_an_order(sizing, symbol, before + more, held)


def _quantity_for(sizing: OrderSizing, symbol: str, money: Decimal) -> Decimal:
    """Return the smallest quantity whose sell at the limit price brings this money after its commission."""
    limit = sizing.limit_price(symbol, Side.SELL)
    gross = money + sizing.money_unit
    for _ in range(ROUNDS):
        gross = money + sizing.money_unit + sizing.commission_of(gross)
    return sizing.round_to_steps(gross / limit, ROUND_CEILING)


def _at_least_an_order(sizing: OrderSizing, symbol: str, quantity: Decimal, held: Quantities) -> Decimal:
    return min(held[symbol], max(quantity, sizing.min_order_quantity(symbol)))


def _proceeds(sizing: OrderSizing, sold: Quantities) -> Decimal:
    """Return the money that these sells bring at their limit prices, commissions paid."""
    amounts = (
        sizing.round_money(quantity * sizing.limit_price(symbol, Side.SELL), ROUND_FLOOR)
        for symbol, quantity in sold.items()
    )
    fees = (sizing.commission_of(quantity * sizing.valuation.prices[symbol]) for symbol, quantity in sold.items())
    return sum(amounts, ZERO) - sum(fees, ZERO)


def _plan_of(sizing: OrderSizing, legs: tuple[Leg, ...], sold: Quantities) -> OrderPlan:
    trades = {symbol: -quantity for symbol, quantity in sold.items() if quantity}
    orders = tuple(sorted((sizing.planned_order(*trade) for trade in trades.items()), key=_rank))
    weights = sizing.weights_after(trades)
    changes = {symbol: min(ZERO, weights.get(symbol, ZERO) - sizing.valuation.weights[symbol]) for symbol in trades}
    changes[CASH] = -sum(changes.values(), ZERO)
    after = drift.compare_weights(weights, {leg.asset: leg.target for leg in legs})
    return OrderPlan(
        orders,
        (),
        tuple(replace(leg, change=changes.get(leg.asset, ZERO)) for leg in legs),
        drift.measure_drift(legs),
        drift.measure_drift(after),
        not drift.legs_outside(after, sizing.tolerance),
        sizing.fees(trades),
    )


def _rank(order: PlannedOrder) -> tuple[Decimal, str]:
    return -order.notional, order.symbol
