"""Search for orders that a plan has missed: they would bring a leg outside its band closer to the target."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct

from tests.unit.balancing.plan_cases import GRAIN, Case, Numbers, cash_at_limits
from trimtab.kernel.currencies import round_money, smallest_amount
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.rebalancing.drift import CASH, policy_tolerance, target_weights
from trimtab.portfolios.rebalancing.orders import PlannedOrder
from trimtab.portfolios.rebalancing.valuation import EXACT, value

DUST = 2
"""Smallest units of money that rounding may leave of each order."""
WEIGHT_GRAIN = Decimal("0.0002")
"""Percent of the portfolio that weights of 4 decimals may hide: a target and a weight, each off by a unit."""


class Outcome(Struct, frozen=True):
    """Distances from target after a plan, in money: above zero where too much is held; and the cash to spend."""

    case: Case
    total: Decimal
    excess: Numbers
    outside: frozenset[str]
    orders: dict[str, PlannedOrder]
    at_limit_prices: Decimal
    above_cash_target: Decimal

    def is_possible(self, symbol: str, side: Side, amount: Decimal) -> bool:
        """Return whether an order of this amount could be added to the plan: by itself, or to an order there is."""
        forbidden = {Mode.FULL: None, Mode.INVEST_CASH: Side.SELL, Mode.SELL_ONLY: Side.BUY}[self.case.mode]
        if side is forbidden or (symbol in self.orders and self.orders[symbol].side is not side):
            return False
        policy, price = self.case.policy, self.case.prices[symbol]
        worst = amount * (1 - policy.max_slippage / 100) if side is Side.SELL else amount
        unit_dust = DUST * smallest_amount(self.case.currency)
        if worst < self.case.commission_of(worst) + unit_dust:
            return False  # at the limit price, cash would have to pay a part of the commission
        dust = max(unit_dust * (len(self.orders) + 1), self.total * WEIGHT_GRAIN / 100)
        least = dust if symbol in self.orders else max(policy.minimum_trade, self.case.commission_of(amount)) + dust
        if policy.whole_shares:
            shares = amount // price
            shares -= side is Side.BUY and not self.is_payable(symbol, shares)
            return shares >= 1 and shares * price >= least
        return amount >= least

    def is_payable(self, symbol: str, shares: Decimal) -> bool:
        """Return whether the cash pays for so many shares more, where each order is rounded up to money."""
        planned = self.orders.get(symbol)
        quantity = planned.quantity if planned else Decimal(0)
        limit = planned.limit_price if planned else self.case.prices[symbol] * (1 + self.case.policy.max_slippage / 100)
        amounts = [each * limit for each in (quantity, quantity + shares)]
        before, after = (
            round_money(amount, self.case.currency, ROUND_CEILING) + self.case.commission_of(amount)
            for amount in amounts
        )
        return after - (before if planned else 0) <= self.at_limit_prices

    def payable(self, symbol: str, proceeds: Decimal = Decimal(0)) -> Decimal:
        """Return the amount of a buy towards the target that the cash pays for, with these proceeds of a sell.

        Orders are paid in whole units of money: proceeds are rounded down, and so is what is left for the buy.
        """
        slip = self.case.policy.max_slippage / 100
        commission = self.case.commission_of(-self.excess[symbol])
        brought = round_money(proceeds * (1 - slip), self.case.currency, ROUND_FLOOR)
        money = round_money(self.at_limit_prices + brought - commission, self.case.currency, ROUND_FLOOR)
        return min(-self.excess[symbol], money / (1 + slip), self.above_cash_target + proceeds - commission)


def outcome_of(case: Case, found: OrderPlan) -> Outcome:
    """Return the outcome of a plan."""
    with localcontext(EXACT):
        held, cash = case.after(found.orders)
        total = value(case.held, case.prices, case.cash).total
        target, tolerance = target_weights(case.allocation, case.policy), policy_tolerance(case.policy)
        # The smallest quantity of a dear asset may be worth more than the places of a weight show; fees shift weights.
        grain = WEIGHT_GRAIN + (max(case.prices.values()) * GRAIN + found.fees) / total * 100
        outside = frozenset(leg.asset for leg in case.legs(held, cash) if abs(leg.drift) > tolerance(leg) + grain)
        excess = {
            symbol: held.get(symbol, Decimal(0)) * case.prices[symbol] - target.get(symbol, Decimal(0)) * total / 100
            for symbol in sorted({*held, *case.allocation})
        }
        return Outcome(
            case,
            total,
            excess,
            outside,
            {order.symbol: order for order in found.orders},
            cash_at_limits(case, found) - total * case.policy.cash_buffer / 100,
            cash - target[CASH] * total / 100,
        )


def missed_orders(case: Case, found: OrderPlan) -> Iterator[str]:
    """Yield the orders, or pairs of a sell and a buy, that would bring a leg outside its band closer to its target."""
    after = outcome_of(case, found)
    over = [symbol for symbol, excess in after.excess.items() if excess > 0]
    under = [symbol for symbol, excess in after.excess.items() if excess < 0]
    for symbol in under:
        is_wanted = symbol in after.outside or (CASH in after.outside and after.above_cash_target > 0)
        if is_wanted and after.is_possible(symbol, Side.BUY, after.payable(symbol)):
            yield f"BUY {symbol} {after.payable(symbol)}"
    for symbol in over:
        is_wanted = symbol in after.outside or (CASH in after.outside and after.above_cash_target < 0)
        amount = after.excess[symbol]
        amount = amount if case.mode is Mode.SELL_ONLY else min(amount, -after.above_cash_target)
        if is_wanted and after.is_possible(symbol, Side.SELL, amount):
            yield f"SELL {symbol} {amount}"
    if case.policy.whole_shares:
        return  # a share more on both sides is a search of its own
    pairs = ((sold, bought) for sold in over for bought in under if {sold, bought} & after.outside)
    for sold, bought in pairs:
        amount = after.excess[sold]
        paid = after.payable(bought, amount - case.commission_of(amount))
        if after.is_possible(sold, Side.SELL, amount) and after.is_possible(bought, Side.BUY, paid):
            yield f"SELL {sold} {amount}, BUY {bought} {paid}"
