"""Order plans worked out by hand."""

from decimal import Decimal

import pytest
from hypothesis import given
from msgspec.structs import replace

from tests.unit.balancing.missed_orders import missed_orders
from tests.unit.balancing.plan_cases import FIVE_POINTS, FREE, Case, Numbers, cash_at_limits, check, decimals
from tests.unit.samples import allocations, percents
from trimtab.kernel.money import apportion, to_money
from trimtab.portfolios.balancing import order_planner
from trimtab.portfolios.balancing.order_planner import OrderPlan, plan_orders
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Mode, Policy, Restriction
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH, target_weights
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission
from trimtab.portfolios.rebalancing.trade_limits import TradeLimit
from trimtab.portfolios.rebalancing.valuation import value


def simple(
    cash: str = "0",
    policy: Policy = FREE,
    mode: Mode = Mode.FULL,
    commission: Commission = NO_COMMISSION,
    **held: float | str,
) -> Case:
    """Return a portfolio of 100 in `a`, `b` and cash at prices of 1, with a target of 50 and 50."""
    return Case(percents(**held), percents(a=1, b=1), Decimal(cash), percents(a=50, b=50), policy, mode, commission)


def brief(found: OrderPlan) -> list[str]:
    """Return orders and skipped legs in words."""
    orders = [f"{order.side.value} {order.symbol} {order.notional}" for order in found.orders]
    return orders + [f"no {leg.side.value} {leg.symbol} {leg.notional}: {leg.reason}" for leg in found.skipped]


def test_proceeds_that_cannot_be_reinvested_are_not_raised() -> None:
    held, weights = dict(a=6500, **dict.fromkeys("bcdef", 700)), dict(a=50, **dict.fromkeys("bcdef", 10))
    policy = replace(FREE, band=FIVE_POINTS, minimum_trade=Decimal(600))
    case = Case(percents(**held), percents(**dict.fromkeys("abcdef", 1)), Decimal(0), percents(**weights), policy)
    assert brief(check(case))[0] == "no SELL a 1500.00: no_use"
    assert not check(case).orders
    # b's 900 is an order, and no more is sold than it takes.
    wider = replace(policy, band=Band(BandType.ABSOLUTE, Decimal(6)))
    some = replace(case, held=percents(**{**held, "b": 100, "c": 1000, "d": 1000}), policy=wider)
    assert brief(check(some))[:3] == ["SELL a 900.00", "BUY b 900.00", "no SELL a 600.00: no_use"]


def test_nothing_is_sold_for_less_than_a_whole_share() -> None:
    prices, policy = percents(a=10, brk=600_000), replace(FREE, whole_shares=True)
    case = Case(percents(a=10_000), prices, Decimal(0), percents(a=90, brk=10), policy)
    assert brief(check(case)) == ["no SELL a 10000.00: no_use", "no BUY brk 10000.00: whole_shares"]


def test_a_sell_is_kept_that_brings_all_inside_their_bands() -> None:
    held, weights = percents(a=56, **dict.fromkeys("bcdef", "8.8")), dict(a=50, **dict.fromkeys("bcdef", 10))
    policy = replace(FREE, band=FIVE_POINTS, minimum_trade=Decimal(2))
    case = Case(held, percents(**dict.fromkeys("abcdef", 1)), Decimal(0), percents(**weights), policy)
    found = check(case)
    assert [line for line in brief(found) if "SELL" in line] == ["SELL a 2.00", "no SELL a 4.00: no_use"]
    assert found.within_band_after


def test_overweight_is_sold_and_pays_for_underweight() -> None:
    found = check(simple(a=70, b=30))
    assert brief(found) == ["SELL a 20.00", "BUY b 20.00"]


def test_the_slippage_and_the_buffer_stay_in_cash() -> None:
    # 100 in cash: the buffer of 1 and what the limit prices may take stay: (100 - 1) / 1.1 = 90.
    policy = replace(FREE, cash_buffer=Decimal(1), max_slippage=Decimal(10))
    found = check(simple(cash="100", policy=policy))
    assert brief(found) == ["BUY a 45.00", "BUY b 45.00", "no BUY a 5.00: no_cash", "no BUY b 5.00: no_cash"]
    assert [order.limit_price for order in found.orders] == [Decimal("1.1")] * 2


def test_an_asset_without_a_target_is_sold_completely() -> None:
    case = Case({"x": Decimal("3.333333333"), "a": Decimal(1)}, percents(x=3, a=90), Decimal(0), percents(a=100), FREE)
    found = check(case)
    assert (found.orders[0].symbol, found.orders[0].quantity) == ("x", Decimal("3.333333333"))


def test_the_edge_of_the_band_is_reached_with_the_least_trades() -> None:
    policy = replace(FREE, band=FIVE_POINTS, destination=Destination.BAND_EDGE)
    found = check(simple(a=70, b=30, policy=policy))
    assert brief(found)[0] == "SELL a 15.00"
    assert {leg.asset: leg.weight + leg.change for leg in found.legs}["a"] == 55


@pytest.mark.parametrize(
    ("a", "b", "cash", "changes", "ends"),
    [
        (54, 46, 0, {}, ["SELL a 4.00", "BUY b 4.00"]),  # asked for, or the day of the calendar
        (54, 46, 0, {"total_drift": Decimal(3)}, ["SELL a 4.00", "BUY b 4.00"]),
        (48, 48, 4, {"mode": Mode.INVEST_CASH}, ["BUY a 2.00", "BUY b 2.00"]),
        (56, 44, 0, {"total_drift": Decimal(5)}, ["SELL a 1.00", "BUY b 1.00"]),
        (56, 44, 0, {"total_drift": Decimal(3)}, ["SELL a 6.00", "BUY b 6.00"]),  # the edge would leave 5 %
    ],
)
def test_the_target_is_the_destination_where_the_edge_of_the_band_does_not_suffice(
    a: int, b: int, cash: int, changes: dict[str, object], ends: list[str]
) -> None:
    policy = replace(FREE, band=FIVE_POINTS, destination=Destination.BAND_EDGE, **changes)
    assert brief(check(simple(a=a, b=b, cash=str(cash), policy=policy, mode=policy.mode))) == ends


def test_assets_outside_their_band_are_bought_before_larger_amounts() -> None:
    # big lies 15 below 60 and inside its band; small lies 8 below 10 and outside: it gets the 5.2 to its edge first.
    policy = replace(FREE, band=Band(BandType.RELATIVE, Decimal(28)))
    held, prices = percents(big=45, small=2, rest=43), percents(big=1, small=1, rest=1)
    case = Case(held, prices, Decimal(10), percents(big=60, small=10, rest=30), policy, Mode.INVEST_CASH)
    found = check(case)
    assert brief(found)[:2] == ["BUY small 8.00", "BUY big 2.00"]


def test_short_cash_makes_few_orders_and_the_largest_first() -> None:
    held, prices = percents(a=30, b=35, c=15), percents(a=1, b=1, c=1, d=1)
    case = Case(held, prices, Decimal(10), percents(a=25, b=25, c=25, d=25), FREE, Mode.INVEST_CASH)
    assert [line for line in brief(check(case)) if line.startswith("BUY")] == ["BUY d 10.00"]


def test_a_change_below_the_minimum_trade_is_skipped_with_its_reason() -> None:
    found = check(simple(a="50.6", b="49.4", policy=replace(FREE, minimum_trade=Decimal(1))))
    assert brief(found) == ["no SELL a 0.60: minimum_trade", "no BUY b 0.60: minimum_trade"]


def test_cash_that_is_less_than_the_minimum_trade_starts_no_order() -> None:
    policy = replace(FREE, minimum_trade=Decimal(5))
    found = check(simple(a=56, b=40, cash="4", policy=policy, mode=Mode.INVEST_CASH))
    assert brief(found) == ["no SELL a 6.00: mode", "no BUY b 10.00: no_cash"]


def test_modes_forbid_a_side_and_give_the_reason() -> None:
    assert brief(check(simple(a=70, b=30, mode=Mode.SELL_ONLY))) == ["SELL a 20.00", "no BUY b 20.00: mode"]
    assert brief(check(simple(a=60, b=30, cash="10", mode=Mode.INVEST_CASH)))[0] == "BUY b 10.00"


def test_less_than_a_whole_share_is_skipped_unless_one_more_brings_it_closer() -> None:
    policy = replace(FREE, whole_shares=True)
    case = Case({}, percents(a=30, b=100), Decimal(100), percents(a=50, b=50), policy)
    # One a of the 50 is 30; a second would pass the target by 10 but is closer. Half a b cannot be had.
    assert brief(check(case)) == ["BUY a 60.00", "no BUY b 50.00: whole_shares"]


def test_a_fraction_that_is_held_cannot_be_sold_in_whole_shares() -> None:
    case = Case(percents(x="2.5"), percents(x=10, a=10), Decimal(0), percents(a=100), replace(FREE, whole_shares=True))
    assert brief(check(case))[0] == "SELL x 20.00"


def test_cash_has_a_target_of_its_own() -> None:
    policy = replace(FREE, cash_target=Decimal(10))
    assert target_weights(percents(a=50, b=50), policy) == percents(a=45, b=45) | {CASH: Decimal(10)}
    found = check(simple(a=50, b=50, policy=policy))
    assert brief(found) == ["SELL a 5.00", "SELL b 5.00"]
    assert found.drift_before == 10
    assert found.drift_after == 0


@given(allocations(zeros=False), decimals(0, 1_000_000, 4))
def test_targets_with_cash_sum_to_100(allocation: Numbers, cash_target: Decimal) -> None:
    found = target_weights(allocation, Policy(cash_target=cash_target))
    assert sum(found.values()) == 100
    assert found[CASH] == cash_target
    for asset, weight in allocation.items():
        assert abs(found[asset] - weight * (100 - cash_target) / 100) < Decimal("0.0001")


@pytest.mark.parametrize(("cash", "is_outside"), [("1.25", False), ("1.2501", True)])
def test_cash_may_lie_a_point_above_its_buffer(cash: str, is_outside: bool) -> None:
    policy = Policy(band=Band(BandType.HYBRID, Decimal(20), Decimal(1)))
    legs = drift.compare_weights(
        percents(a=str(100 - Decimal(cash))) | {CASH: Decimal(cash)}, target_weights(percents(a=100), policy)
    )
    assert bool(order_planner.outside(legs, policy)) is is_outside


def test_a_portfolio_worth_nothing_has_nothing_to_trade() -> None:
    found = Case({}, percents(a=1), Decimal(0), percents(a=100), FREE).planned()
    assert found == OrderPlan((), (), (), Decimal(0), Decimal(0), True)


def test_amounts_of_twelve_digits_are_planned_exactly() -> None:
    price = Decimal("999999999999.123456789")
    held = {"a": Decimal("999999999999.000000001"), "b": Decimal("0.000000001")}
    found = check(Case(held, {"a": price, "b": price}, Decimal(0), percents(a=50, b=50), Policy()))
    assert found.within_band_after
    assert to_money(found.orders[0].quantity * price) > to_money(Decimal(10) ** 23)


def test_a_frozen_leg_keeps_its_value_and_the_rest_is_balanced() -> None:
    # c is worth 40 instead of 20 and has no quote: a and b share the other 60 equally.
    prices, weights = percents(a=1, b=1, c=1), percents(a=40, b=40, c=20)
    frozen = {"c": TradeLimit(Restriction.FROZEN, "no_quote")}
    found = plan_orders(value(percents(a=50, b=10, c=40), prices, Decimal(0)), weights, FREE, Mode.FULL, limits=frozen)
    assert brief(found) == ["SELL a 20.00", "BUY b 20.00", "no SELL c 20.00: no_quote"]


def test_a_symbol_that_may_not_be_bought_needs_no_price_and_leaves_its_part_to_the_others() -> None:
    inactive = {"x": TradeLimit(Restriction.NO_BUY, "inactive")}
    weights = percents(a=40, b=40, x=20)
    cash = value({}, percents(a=1, b=1), Decimal(100))
    found = plan_orders(cash, weights, FREE, Mode.FULL, limits=inactive)
    assert brief(found) == ["BUY a 50.00", "BUY b 50.00", "no BUY x 20.00: inactive"]


def test_the_restrictions_of_the_policy_are_planned() -> None:
    found = check(simple(a=70, b=20, cash="10", policy=replace(FREE, restrictions={"a": Restriction.NO_SELL})))
    assert brief(found) == ["BUY b 10.00", "no SELL a 20.00: restricted"]


@pytest.mark.parametrize("assets", [50, 90])
def test_the_reserve_of_many_equal_buys_is_shared(assets: int) -> None:
    # 100 in cash: 0.25 stay as buffer, and the rest pays for all at limit prices 1 % higher: 99.75 / 1.01 = 98.76.
    names = [f"s{number:02}" for number in range(assets)]
    weights = apportion(Decimal(100), dict.fromkeys(names, Decimal(1)), 4)
    prices = dict.fromkeys(names, Decimal(1))
    found = check(Case({}, prices, Decimal(100), weights, Policy()))
    amounts = [order.notional for order in found.orders]
    assert len(found.orders) == assets
    assert max(amounts) - min(amounts) <= Decimal("0.02")
    assert sum(order.notional for order in found.orders) == pytest.approx(
        Decimal("98.76"), abs=Decimal("0.01") * assets
    )


def test_commissions_are_planned_and_never_overdraw() -> None:
    # 100 - 0.25 buffer - 2.00 for two orders = 97.75 at limit prices: 48.39 or 48.40 for each at the planning price.
    case = simple(cash="100", policy=Policy(), commission=Commission(Decimal(1)))
    found = check(case)
    assert brief(found)[:2] == ["BUY a 48.40", "BUY b 48.39"]
    assert found.fees == 2
    assert cash_at_limits(case, found) >= Decimal("0.25")


def test_an_order_that_costs_more_than_its_amount_is_not_placed() -> None:
    found = check(simple(a="50.9", b="49.1", commission=Commission(Decimal(1))))
    assert not found.orders
    assert {leg.reason for leg in found.skipped} == {"minimum_trade"}


def test_cash_of_buys_that_are_too_small_goes_to_the_others_at_the_edge_of_the_band() -> None:
    # Cash of 8,000 is 3 points outside its band. c lacks 2.5 points and takes what a, b and d are too small for.
    policy = replace(FREE, band=FIVE_POINTS, destination=Destination.BAND_EDGE, minimum_trade=Decimal(2000))
    held, weights = percents(a=28_200, b=28_200, c=17_500, d=18_100), percents(a=30, b=30, c=20, d=20)
    case = Case(held, percents(a=1, b=1, c=1, d=1), Decimal(8000), weights, policy)
    found = check(case)
    assert [line for line in brief(found) if line.startswith("BUY")] == ["BUY c 2500.00"]
    assert not [leg for leg in found.skipped if leg.reason == "no_cash"]


def test_an_order_at_the_edge_of_the_band_has_the_minimum_at_least() -> None:
    policy = replace(FREE, band=FIVE_POINTS, destination=Destination.BAND_EDGE, minimum_trade=Decimal(3))
    found = check(simple(a=56, b=44, policy=policy))
    assert [order.symbol for order in found.orders] == ["a", "b"]
    assert all(Decimal(3) <= order.notional <= Decimal("3.01") for order in found.orders)  # 1 point would do


@pytest.mark.parametrize(
    ("price", "orders"),
    [
        ("0.0002", ["SELL a 0.02", "BUY b 0.01", "no BUY b 0.01: no_cash"]),
        # 33.333333333 shares are worth less than the cent, and a billionth of a share more costs two.
        ("0.0003", ["no SELL a 0.02: no_use", "no BUY b 0.02: no_cash"]),
    ],
)
def test_a_cent_pays_for_an_order_only_where_the_order_is_worth_the_whole_cent(price: str, orders: list[str]) -> None:
    # 0.02 of proceeds less the buffer pay for one cent.
    policy = replace(FREE, cash_buffer=Decimal("0.25"))
    prices, weights = percents(a="0.0201", b=price), percents(a="0.0001", b="99.9999")
    case = Case(percents(a=1), prices, Decimal(0), weights, policy)
    found = check(case)
    assert brief(found) == orders
    assert not list(missed_orders(case, found))


def test_cash_below_its_target_is_not_invested_for_the_places_of_its_weight() -> None:
    # Cash of 269.04 is 0.02403 %, and its weight of 0.0240 % is 268.70: the other 0.34 are not free either.
    policy = replace(FREE, cash_target=Decimal(30), destination=Destination.BAND_EDGE, band=Band())
    held, prices = percents(g=109, x=109), percents(g="269.04", x=10_000, e="713.20")
    case = Case(held, prices, Decimal("269.04"), percents(g=1, e=99), policy, Mode.INVEST_CASH)
    assert not check(case).orders


def test_short_cash_brings_legs_into_their_bands_before_it_increases_the_largest() -> None:
    # a lacks 4 and b 3 to their bands; the other 3 of the cash go to a, which lacks most.
    prices, weights = percents(a=4, b=4, c=4), percents(a=25, b=25, c=50)
    case = Case(percents(a=4, b="4.25", c="14.25"), prices, Decimal(10), weights, FREE, Mode.INVEST_CASH)
    assert [line for line in brief(check(case)) if line.startswith("BUY")] == ["BUY a 7.00", "BUY b 3.00"]


def test_the_last_share_is_sold_where_that_leads_closer_and_pays_for_buys() -> None:
    # x of 50 should be 15, and a share sold leaves 0. Cash of 50 pays for 2 of the 4 shares of a.
    policy = replace(FREE, whole_shares=True)
    case = Case(percents(x=1), percents(x=50, a=20), Decimal(50), percents(x=15, a=85), policy)
    assert brief(check(case)) == ["SELL x 50.00", "BUY a 80.00"]


def test_a_sell_is_not_cut_where_commissions_would_leave_a_leg_outside_its_band() -> None:
    # Two commissions of the buys and one of the sell make the portfolio smaller, so that b has to end lower.
    policy = replace(
        FREE, band=Band(BandType.ABSOLUTE, Decimal(3)), destination=Destination.BAND_EDGE, max_slippage=Decimal(1)
    )
    held, prices, weights = percents(a=44, b=80, c=54), percents(a=1, b=2, c=1), percents(a=55, b=19, c=26)
    case = Case(held, prices, Decimal(22), weights, policy, commission=Commission(Decimal(1)))
    found = check(case)
    assert brief(found)[:3] == ["SELL b 101.40", "BUY a 101.98", "BUY c 13.08"]
    assert found.within_band_after
