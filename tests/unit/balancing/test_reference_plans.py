"""Plans of random portfolios equal those of the independent reference rebalancer, to the last unit of 9 decimals."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from tests.support.reference_rebalancer import ReferenceRebalancer
from trimtab.kernel.money import HUNDRED, apportion
from trimtab.portfolios.balancing.order_planner import plan_orders
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Band, BandType, Mode, Policy
from trimtab.portfolios.rebalancing.valuation import Valuation, value

CENT, SMALLEST = Decimal("0.01"), Decimal("1e-9")


def random_portfolio(chance: random.Random) -> tuple[Valuation, dict[str, Decimal]]:
    """Return a portfolio of 2 to 20 assets with weights around its targets, and the targets.

    The portfolio is worth at least a thousand minimum trades, so that no trade is needless for its small size.
    """
    names = [f"S{number:02}" for number in range(chance.choice([2, 3, 4, 5, 8, 12, 20]))]
    target = apportion(HUNDRED, {name: Decimal(chance.randint(1, 20)) for name in names}, chance.choice([0, 2, 4]))
    total, spread = Decimal(chance.choice([1_000, 10_000, 1_000_000])), chance.choice([0.02, 0.1, 0.3])
    prices = {name: Decimal(chance.randint(100, 50_000)) * CENT for name in names}
    factors = {name: Decimal(str(round(chance.lognormvariate(0, spread), 6))) for name in names}
    held = {name: (total * target[name] / 100 * factors[name] / prices[name]).quantize(SMALLEST) for name in names}
    if chance.random() < 0.2:
        held[chance.choice(names)] = Decimal(0)
    cash = (total * Decimal(chance.choice(["0", "0.001", "0.0025", "0.01", "0.05", "0.3"]))).quantize(CENT)
    return value(held, prices, cash), target


@pytest.mark.parametrize("points", [1, 5])
def test_plans_equal_those_of_the_reference(points: int) -> None:
    traded = 0
    for seed in range(300):
        portfolio, target = random_portfolio(random.Random(seed))  # noqa: S311 - a reproducible choice
        prices = {name: Fraction(price) for name, price in portfolio.prices.items()}
        held = {name: Fraction(portfolio.quantities.get(name, 0)) for name in prices}
        targets = {name: Fraction(weight) for name, weight in target.items()}
        _, sold, bought = ReferenceRebalancer(targets, Fraction(points), held, Fraction(portfolio.cash)).plan(prices)
        if sold or bought:
            plan = plan_orders(portfolio, target, Policy(Band(BandType.ABSOLUTE, Decimal(points))), Mode.FULL)
            signed = {Side.BUY: 1, Side.SELL: -1}
            orders = {order.symbol: signed[order.side] * Fraction(order.quantity) for order in plan.orders}
            assert orders == bought | {name: -each for name, each in sold.items()}, seed
            traded += 1
    assert traded > 100
