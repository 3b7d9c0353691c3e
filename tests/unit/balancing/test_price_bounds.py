"""Price bounds: while no price reaches a bound, no weight leaves its band."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.samples import percents
from trimtab.kernel.money import apportion, sortable_price
from trimtab.portfolios.balancing import order_planner
from trimtab.portfolios.balancing.price_bounds import (
    PriceBounds,
    bounds_around,
    safe_relative_move,
)
from trimtab.portfolios.portfolio.policy import Band, BandType, Policy
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH
from trimtab.portfolios.rebalancing.valuation import EXACT, value

Numbers = dict[str, Decimal]
GRAIN = Decimal("1E-9")
numbers = st.integers(0, 10**21 - 1).map(lambda units: Decimal(units).scaleb(-9))


def points(least: int, most: int) -> st.SearchStrategy[Decimal]:
    """Percents of 4 places."""
    return st.integers(least, most).map(lambda units: Decimal(units).scaleb(-4))


bands = st.one_of(
    st.builds(Band, st.just(BandType.ABSOLUTE), points(1, 200_000)),
    st.builds(Band, st.just(BandType.RELATIVE), points(10_000, 900_000)),
    st.builds(Band, st.just(BandType.HYBRID), points(10_000, 500_000), points(1, 50_000)),
)
policies = st.builds(
    Policy,
    band=st.one_of(st.none(), bands),
    total_drift=st.one_of(st.none(), points(1, 200_000)),
    cash_target=st.sampled_from([Decimal(0), Decimal(0), Decimal("2.5"), Decimal(40)]),
)


def is_out(held: Numbers, prices: Numbers, cash: Decimal, allocation: Numbers, policy: Policy) -> bool:
    """Return by brute force whether the portfolio is out at these prices."""
    legs = drift.compare_weights(value(held, prices, cash).weights, drift.target_weights(allocation, policy))
    drifted = policy.total_drift is not None and drift.measure_drift(legs) > policy.total_drift
    return drifted or bool(order_planner.outside(legs, policy))


def safe_move_of(held: Numbers, prices: Numbers, cash: Decimal, allocation: Numbers, policy: Policy) -> Decimal:
    """Return the safe relative move at these prices."""
    legs = drift.compare_weights(value(held, prices, cash).weights, drift.target_weights(allocation, policy))
    return safe_relative_move(legs, drift.policy_tolerance(policy), policy.total_drift)


def near_target(random: Random, assets: int, policy: Policy) -> tuple[Numbers, Numbers, Decimal, Numbers]:
    """Return holdings, prices and cash near the target weights, and the allocation."""
    names = [f"s{n:02}" for n in range(assets)]
    parts = {name: Decimal(random.choice([1, 10, 100, 1000])) * random.randint(1, 9) for name in names}
    allocation = {name: part for name, part in apportion(Decimal(100), parts, 4).items() if part}
    prices = {name: Decimal(random.randint(1, 10 ** random.randint(2, 13))) * GRAIN * 1000 for name in allocation}
    total = Decimal(10) ** random.randint(2, 9)
    wanted = drift.target_weights(allocation, policy)
    blur = random.choice([0, 0, 1, 10, 100])

    def near(name: str) -> Decimal:
        return wanted[name] * total / 100 * (1000 + random.randint(-blur, blur)) / 1000

    held = {name: (near(name) / price).quantize(GRAIN, ROUND_FLOOR) for name, price in prices.items()}
    return held, prices, near(CASH).quantize(Decimal("0.01"), ROUND_FLOOR), allocation


def corner(price: Decimal, at: PriceBounds, rises: bool) -> Decimal:
    """Return the last price before the bound; the price itself where no price lies between."""
    moved = at.upper - GRAIN if rises else at.lower + GRAIN
    return price if at.are_crossed_by(moved) else moved


@given(policies, st.integers(1, 50), st.randoms(use_true_random=False))
def test_corner_moves_within_the_bounds_leave_nothing_outside(policy: Policy, assets: int, random: Random) -> None:
    held, prices, cash, allocation = near_target(random, assets, policy)
    r = safe_move_of(held, prices, cash, allocation, policy)
    assert 0 <= r < 1
    assert r == r.quantize(Decimal("1E-12"))
    if is_out(held, prices, cash, allocation, policy):
        assert r == 0
    if r == 0:
        return
    watched = {name: bounds_around(price, r) for name, price in prices.items()}
    names = sorted(held)
    one = random.choice(names)
    sides = [{name: name == one for name in names}, {name: name != one for name in names}]
    sides += [{name: random.random() < 0.5 for name in names} for _ in range(4)]
    # The total drift grows most where what is above its target rises and the rest falls.
    weights = value(held, prices, cash).weights
    sides.append({name: weights.get(name, Decimal(0)) > allocation[name] for name in names})
    for rises in sides:
        moved = {name: corner(prices[name], watched[name], rises[name]) for name in names}
        assert not is_out(held, moved, cash, allocation, policy)


@settings(max_examples=30, deadline=None)
@given(policies, st.integers(1, 50), st.randoms(use_true_random=False))
def test_a_random_walk_is_out_only_after_crossing_a_bound(policy: Policy, assets: int, random: Random) -> None:
    held, prices, cash, allocation = near_target(random, assets, policy)
    r = safe_move_of(held, prices, cash, allocation, policy)
    watched = {name: bounds_around(price, r) for name, price in prices.items()}
    now = dict(prices)
    for _ in range(25):
        steps = {name: 1 + Decimal(random.randint(-1000, 1000)) / 40_000 for name in now}
        now = {name: max((price * steps[name]).quantize(GRAIN), GRAIN) for name, price in now.items()}
        if any(watched[name].are_crossed_by(now[name]) for name in now):
            break
        assert not is_out(held, now, cash, allocation, policy)


@given(st.integers(2, 12), st.randoms(use_true_random=False))
def test_a_safe_move_is_not_needlessly_small(assets: int, random: Random) -> None:
    # Some corner a little beyond the safe move takes the portfolio out: one leg one way, all others the other way.
    policy = Policy(band=Band(BandType.ABSOLUTE, Decimal(2)))
    held, prices, _, allocation = near_target(random, assets, policy)
    cash = Decimal(0)
    r = safe_move_of(held, prices, cash, allocation, policy)
    if not Decimal("0.01") < r < Decimal("0.9"):
        return
    beyond = r * Decimal("1.01")
    up, down = 1 + beyond, 1 - beyond
    corners = [
        {name: prices[name] * (up if (name == one) is rises else down) for name in prices}
        for one in prices
        for rises in (True, False)
    ]
    assert any(is_out(held, moved, cash, allocation, policy) for moved in corners)


def test_the_safe_move_of_a_pair() -> None:
    # 50:50 and 5 points: k = 0.55 * 0.5 / (0.5 * 0.45) = 11/9, so r = 0.1 but for the unit that rounding may hide.
    legs = drift.compare_weights(percents(a=50, b=50), percents(a=50, b=50))
    found = safe_relative_move(legs, drift.band_tolerance(Band(BandType.ABSOLUTE, Decimal(5))), None)
    assert Decimal("0.09999") < found < Decimal("0.1")


def test_the_safe_move_of_a_total_drift() -> None:
    # D = 5, no drift: s = 0.05, so r = 0.1 / 1.0025.
    legs = drift.compare_weights(percents(a=50, b=50), percents(a=50, b=50))
    found = safe_relative_move(legs, drift.band_tolerance(Band(BandType.ABSOLUTE, Decimal(50))), Decimal(5))
    assert Decimal("0.0997") < found < Decimal("0.1") / Decimal("1.0025")


@pytest.mark.parametrize(("weight", "is_zero"), [("55", True), ("55.0001", True), ("45", True), ("54", False)])
def test_on_the_edge_of_the_band_and_outside_the_safe_move_is_zero(weight: str, is_zero: bool) -> None:
    legs = drift.compare_weights(percents(a=weight, b=str(100 - Decimal(weight))), percents(a=50, b=50))
    assert (safe_relative_move(legs, drift.band_tolerance(Band(BandType.ABSOLUTE, Decimal(5))), None) == 0) is is_zero


def test_a_drift_beyond_the_total_has_no_safe_move() -> None:
    legs = drift.compare_weights(percents(a=60, b=40), percents(a=50, b=50))
    assert safe_relative_move(legs, drift.band_tolerance(Band(BandType.ABSOLUTE, Decimal(50))), Decimal("9.9")) == 0


def test_where_nothing_can_leave_its_band_the_safe_move_is_just_below_one() -> None:
    widest = Decimal("0.999999999999")
    assert safe_relative_move((), drift.band_tolerance(Band()), None) == widest
    legs = drift.compare_weights(percents(a=60, b=40), percents(a=50, b=50))
    assert safe_relative_move(legs, drift.band_tolerance(Band(BandType.ABSOLUTE, Decimal(100))), Decimal(300)) == widest


@pytest.mark.parametrize("weight", ["0.0001", "0.0009", "0.01"])
def test_tiny_weights_with_relative_bands_are_not_missed(weight: str) -> None:
    allocation = percents(a=weight, b=str(100 - Decimal(weight)))
    policy = Policy(band=Band(BandType.RELATIVE, Decimal(30)), cash_buffer=Decimal(0))
    held, prices = percents(a=weight, b=str(100 - Decimal(weight))), percents(a=1, b=1)
    watched = bounds_around(Decimal(1), safe_move_of(held, prices, Decimal(0), allocation, policy))
    for a, b in ((True, False), (False, True)):
        moved = {"a": corner(Decimal(1), watched, a), "b": corner(Decimal(1), watched, b)}
        assert not is_out(held, moved, Decimal(0), allocation, policy)


@given(numbers, st.integers(0, 10**12 - 1).map(lambda units: Decimal(units).scaleb(-12)))
def test_bounds_are_rounded_inwards(price: Decimal, r: Decimal) -> None:
    found = bounds_around(price, r)
    highest = Decimal("999999999999.999999999")
    with localcontext(EXACT):
        assert found.lower == (price * (1 - r)).quantize(GRAIN, ROUND_CEILING)
        assert found.upper == min((price * (1 + r)).quantize(GRAIN, ROUND_FLOOR), highest)
    assert found.are_crossed_by(found.lower)
    assert found.are_crossed_by(found.upper)
    if found.lower < price < found.upper:
        assert not found.are_crossed_by(price)


@given(numbers)
def test_any_quote_crosses_without_a_price_or_with_a_safe_move_of_zero(price: Decimal) -> None:
    assert bounds_around(None, Decimal("0.1")).are_crossed_by(price)
    assert bounds_around(price, Decimal(0)).are_crossed_by(price)
    assert bounds_around(None, Decimal("0.1")) == PriceBounds(Decimal(0), Decimal(0))


@given(numbers, numbers)
def test_sortable_prices_sort_like_the_numbers(one: Decimal, other: Decimal) -> None:
    assert (sortable_price(one) < sortable_price(other)) is (one < other)
    assert len(sortable_price(one)) == 22
    assert Decimal(sortable_price(one)) == one


def test_a_sortable_price_has_a_fixed_width() -> None:
    assert sortable_price(Decimal("123.45")) == "000000000123.450000000"
    assert sortable_price(Decimal(0)) == "000000000000.000000000"


@pytest.mark.parametrize("text", ["-1", "1000000000000", "0.0000000001"])
def test_a_price_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="12 digits"):
        sortable_price(Decimal(text))
