"""Safe moves: while no price reaches a bound, no order is called for, also beside legs that no order can cure."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.balancing.test_order_planner import policies
from tests.unit.balancing.test_price_bounds import corner, near_target
from tests.unit.samples import percents
from trimtab.portfolios.balancing.order_planner import OrderPlan, plan_sized_orders, size_orders
from trimtab.portfolios.balancing.order_sizing import OrderSizing
from trimtab.portfolios.balancing.price_bounds import bounds_around
from trimtab.portfolios.balancing.safe_moves import find_safe_move
from trimtab.portfolios.portfolio.policy import Band, BandType, Mode, Policy, Restriction
from trimtab.portfolios.rebalancing.trade_limits import TradeLimit, TradeLimits
from trimtab.portfolios.rebalancing.valuation import value

Numbers = dict[str, Decimal]
RELATIVE = Policy(band=Band(BandType.RELATIVE, Decimal(20)))


def sized(
    held: Numbers, prices: Numbers, cash: Decimal, allocation: Numbers, policy: Policy, limits: TradeLimits
) -> OrderSizing:
    return size_orders(value(held, prices, cash), allocation, policy, policy.mode, limits=limits)


def acts(sizing: OrderSizing, allocation: Numbers) -> tuple[bool, OrderPlan]:
    """Return whether orders are called for, by planning them; and the plan."""
    plan = plan_sized_orders(sizing, allocation)
    return bool(plan.cured) or plan.cures_drift, plan


@given(policies, st.sampled_from(Mode), st.integers(1, 8), st.randoms(use_true_random=False))
def test_moves_within_the_bounds_call_for_no_orders(policy: Policy, mode: Mode, assets: int, random: Random) -> None:
    policy = replace(policy, mode=mode, total_drift=random.choice([None, None, Decimal(5)]))
    held, prices, cash, allocation = near_target(random, assets, policy)
    prices["dust"] = Decimal(1)
    held["dust"] = random.choice([Decimal(0), Decimal("0.5"), Decimal(3)])
    limits = {name: TradeLimit(random.choice([*Restriction]), "code") for name in prices if random.random() < 0.2}
    sizing = sized(held, prices, cash, allocation, policy, limits)
    if not sizing.valuation.weights:
        return
    called, plan = acts(sizing, allocation)
    if called or (policy.whole_shares and plan.outside):
        return
    move = find_safe_move(sizing, plan)
    watched = {name: bounds_around(price, move) for name, price in prices.items()}
    names = sorted(prices)
    one = random.choice(names)
    sides = [{name: name == one for name in names}, {name: name != one for name in names}]
    sides += [{name: random.random() < 0.5 for name in names} for _ in range(4)]
    for rises in sides:
        moved = {name: corner(prices[name], watched[name], rises[name]) for name in names}
        later = sized(held, moved, cash, allocation, policy, limits)
        assert not acts(later, allocation)[0], (move, rises)


@pytest.mark.parametrize(("quantity", "least", "most"), [("0.5", "0.89", "1"), ("0.9", "0.1111", "0.1112")])
def test_dust_is_watched_for_the_price_at_which_it_can_be_sold(quantity: str, least: str, most: str) -> None:
    # The target of DUST is 0 and the smallest order 1.00: 0.50 has to double, 0.90 to rise by a ninth.
    held = percents(A=5000, B=5000, DUST=quantity)
    policy = Policy(band=Band(BandType.RELATIVE, Decimal(90)))
    sizing = sized(held, percents(A=1, B=1, DUST=1), Decimal(0), percents(A=50, B=50), policy, {})
    called, plan = acts(sizing, percents(A=50, B=50))
    assert (called, plan.outside) == (False, ("DUST",))
    assert Decimal(least) < find_safe_move(sizing, plan) < Decimal(most)


def test_a_frozen_leg_off_its_target_does_not_make_every_quote_call_for_orders() -> None:
    # C is frozen at 40 instead of 20: A and B are balanced at 30 each, and each may move by 5 points.
    frozen = {"C": TradeLimit(Restriction.FROZEN, "no_quote")}
    target = percents(A=40, B=40, C=20)
    for a, is_called in ((30, False), (34, False), (36, True)):
        held = percents(A=a, B=60 - a, C=40)
        sizing = sized(held, percents(A=1, B=1, C=1), Decimal(0), target, Policy(), frozen)
        assert acts(sizing, target)[0] is is_called
        assert (find_safe_move(sizing) > 0) is not is_called
