"""The order planner: as close to the target as cash, minimum trade and whole shares allow, and never further away."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.samples import allocations, bands, percents
from trimtab.kernel.money import to_money
from trimtab.portfolios.domain import plan, planning
from trimtab.portfolios.domain.ledger import Side
from trimtab.portfolios.domain.orders import CASH, PlannedOrder
from trimtab.portfolios.domain.planning import OrderPlan, plan_orders, targets, tolerance_of
from trimtab.portfolios.domain.policy import Band, BandType, Destination, Mode, Policy
from trimtab.portfolios.domain.valuation import EXACT, value

Numbers = dict[str, Decimal]
GRAIN = Decimal("1E-9")
FREE = Policy(minimum_trade=Decimal(0), cash_buffer=Decimal(0), max_slippage=Decimal(0))
FIVE_POINTS = Band(BandType.ABSOLUTE, Decimal(5))


@dataclass(frozen=True)
class Case:
    """A portfolio to plan for."""

    held: Numbers
    prices: Numbers
    cash: Decimal
    allocation: Numbers
    policy: Policy
    mode: Mode = Mode.FULL

    def planned(self) -> OrderPlan:
        return plan_orders(value(self.held, self.prices, self.cash), self.allocation, self.policy, self.mode)

    def after(self, orders: tuple[PlannedOrder, ...]) -> tuple[Numbers, Decimal]:
        """Holdings and cash once these have filled at the planning price."""
        held, cash = dict(self.held), self.cash
        with localcontext(EXACT):
            for order in orders:
                sign = 1 if order.side is Side.BUY else -1
                held[order.symbol] = held.get(order.symbol, Decimal(0)) + sign * order.quantity
                cash -= sign * order.quantity * order.price
        return held, cash

    def legs(self, held: Numbers, cash: Decimal) -> tuple[plan.Leg, ...]:
        return plan.legs(value(held, self.prices, cash).weights, targets(self.allocation, self.policy))


def decimals(least: int, most: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda units: Decimal(units).scaleb(-places))


policies = st.builds(
    Policy,
    band=st.one_of(st.none(), bands),
    destination=st.sampled_from(Destination),
    minimum_trade=st.sampled_from([Decimal(0), Decimal(1), Decimal("12.34"), Decimal(500)]),
    whole_shares=st.booleans(),
    cash_target=st.sampled_from([Decimal(0), Decimal(0), Decimal("2.5"), Decimal(30)]),
    cash_buffer=st.sampled_from([Decimal(0), Decimal("0.25"), Decimal(3)]),
    max_slippage=st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(1), Decimal(10)]),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any portfolio, with prices that are also a hundred times as high or as low."""
    allocation = draw(allocations(zeros=False))
    scale = draw(st.sampled_from([Decimal("0.01"), Decimal(1), Decimal(100)]))
    price = decimals(1, 10**6, 2).map(lambda number: number * scale)
    quantity = st.one_of(decimals(1, 10**11, 9), st.integers(1, 1000).map(Decimal))
    held = draw(st.dictionaries(st.sampled_from([*allocation, "x1", "x2"]), quantity, max_size=len(allocation) + 2))
    prices = {symbol: draw(price) for symbol in sorted({*allocation, *held})}
    cash = draw(st.one_of(st.just(Decimal(0)), decimals(0, 10**7, 2)))
    return Case(held, prices, cash, allocation, draw(policies), draw(st.sampled_from([*Mode, Mode.FULL])))


def check(case: Case) -> OrderPlan:
    """Everything that holds for every plan."""
    found, total = case.planned(), value(case.held, case.prices, case.cash).total
    held, cash = case.after(found.orders)
    check_orders(case, found)
    assert all(quantity >= 0 for quantity in held.values()), "sold more than was held"
    buffer = total * case.policy.cash_buffer / 100
    assert cash >= min(case.cash, buffer)
    assert cash_at_limits(case, found) >= min(case.cash, buffer.quantize(Decimal("0.01"), "ROUND_FLOOR"))
    assert value(held, case.prices, cash).total == total, "value was made or lost"
    check_report(case, found)
    return found


def cash_at_limits(case: Case, found: OrderPlan) -> Decimal:
    """The cash if every order fills at the worst price, each amount rounded to the cent against the portfolio."""
    amounts = ((it.side, it.quantity * it.limit_price) for it in found.orders)
    cents = Decimal("0.01")
    return case.cash + sum(
        amount.quantize(cents, "ROUND_FLOOR") if side is Side.SELL else -amount.quantize(cents, "ROUND_CEILING")
        for side, amount in amounts
    )


def check_orders(case: Case, found: OrderPlan) -> None:
    policy = case.policy
    assert len({order.symbol for order in found.orders}) == len(found.orders)
    assert list(found.orders) == sorted(found.orders, key=lambda it: (it.side is Side.BUY, -it.notional, it.symbol))
    slip = policy.max_slippage / 100
    for order in found.orders:
        assert order.quantity > 0
        assert order.notional >= max(policy.minimum_trade, Decimal("0.01"))
        assert order.quantity == order.quantity.quantize(Decimal(1) if policy.whole_shares else GRAIN)
        assert order.limit_price == order.limit_price.quantize(GRAIN)
        assert order.limit_price > 0
        if order.side is Side.BUY:
            assert order.price <= order.limit_price <= order.price * (1 + slip)
        else:
            assert order.price * (1 - slip) <= order.limit_price <= order.price
        assert (order.side, case.mode) not in {(Side.SELL, Mode.INVEST_CASH), (Side.BUY, Mode.SELL_ONLY)}


def check_report(case: Case, found: OrderPlan) -> None:
    """What the plan says about itself is true."""
    before, after = case.legs(case.held, case.cash), case.legs(*case.after(found.orders))
    rounding = Decimal(len(after)) * Decimal("0.0001")
    assert found.drift_before == plan.drift(before)
    assert found.drift_after <= found.drift_before
    assert 0 <= plan.drift(after) - found.drift_after <= rounding
    assert found.within_band_after is (not planning.outside(after, case.policy))
    assert sum(leg.drifted for leg in found.legs) == sum(leg.target for leg in found.legs) == 100
    assert sum(leg.change for leg in found.legs) == 0
    assert CASH in {leg.asset for leg in found.legs}
    sides = {order.symbol: order.side for order in found.orders}
    ends = {leg.asset: leg.drifted for leg in after}
    for leg in found.legs:
        assert leg.change * (1 if sides.get(leg.asset) is Side.BUY else -1) >= 0 or leg.asset == CASH
        assert abs(leg.drifted + leg.change - ends.get(leg.asset, Decimal(0))) <= rounding
    for skipped in found.skipped:
        assert skipped.reason in {"mode", "minimum_trade", "whole_shares", "no_cash", "no_use"}
        assert skipped.reason in {"no_cash", "no_use"} or skipped.symbol not in sides


@settings(max_examples=250, deadline=None)
@given(cases())
def test_every_plan_keeps_every_promise(case: Case) -> None:
    if value(case.held, case.prices, case.cash).total:
        check(case)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_equal_inputs_give_equal_plans_in_whatever_order_they_come(case: Case) -> None:
    other = replace(
        case,
        held=dict(reversed(case.held.items())),
        prices=dict(reversed(case.prices.items())),
        allocation=dict(reversed(case.allocation.items())),
    )
    assert case.planned() == other.planned()


@settings(max_examples=120, deadline=None)
@given(cases())
def test_after_a_full_rebalance_all_is_inside_its_band_or_the_plan_says_why(case: Case) -> None:
    case = replace(case, mode=Mode.FULL, policy=replace(case.policy, band=case.policy.band or FIVE_POINTS))
    total = value(case.held, case.prices, case.cash).total
    if not total:
        return
    found = check(case)
    # What rounding to the 9 places of a quantity, the 4 of a weight and the 2 of an amount takes.
    dust = max(case.prices.values()) * GRAIN + Decimal("0.02") * len(found.legs)
    grain = dust / total * 100 + Decimal(len(found.legs)) * Decimal("0.0001")
    excused = case.policy.whole_shares or found.skipped or reserve(case, found, total) > 0
    for leg in case.legs(*case.after(found.orders)):
        assert excused or abs(leg.drift) <= tolerance_of(case.policy)(leg) + grain


def reserve(case: Case, found: OrderPlan, total: Decimal) -> Decimal:
    """What the plan has to leave in cash beyond the target of cash: buffer, and slippage of its own orders."""
    moved = sum((it.quantity * it.price for it in found.orders), Decimal(0))
    kept = total * case.policy.cash_buffer / 100 + moved * case.policy.max_slippage / 100
    return kept - total * case.policy.cash_target / 100


def misplaced(case: Case, orders: tuple[PlannedOrder, ...]) -> Decimal:
    """The drift after these orders, cash among it, in money and unrounded."""
    held, cash = case.after(orders)
    with localcontext(EXACT):
        worth = {symbol: quantity * case.prices[symbol] for symbol, quantity in held.items()} | {CASH: cash}
        target, total = targets(case.allocation, case.policy), sum(worth.values(), Decimal(0))
        away = (abs(worth.get(it, Decimal(0)) - target.get(it, Decimal(0)) * total / 100) for it in {*worth, *target})
        return sum(away, Decimal(0)) / 2


@settings(max_examples=120, deadline=None)
@given(cases())
def test_no_order_of_a_full_rebalance_is_without_use(case: Case) -> None:
    """Without any one of them the drift is greater, the buys are not paid for, or a leg is outside its band that the
    plan brings back; a sell does only where the plan ends inside all bands."""
    case = replace(case, mode=Mode.FULL)
    total = value(case.held, case.prices, case.cash).total
    if not total:
        return
    found = check(case)
    outside = {leg.asset for leg in planning.outside(case.legs(case.held, case.cash), case.policy)}
    for order in found.orders:
        rest = tuple(each for each in found.orders if each != order)
        is_unpaid = cash_at_limits(case, replace(found, orders=rest)) < total * case.policy.cash_buffer / 100
        if is_unpaid and any(each.side is Side.BUY for each in rest):
            continue
        is_greater = misplaced(case, rest) > misplaced(case, found.orders)
        is_back = order.symbol in outside and (order.side is Side.BUY or found.within_band_after)
        assert is_greater or is_back, order


def test_what_cannot_be_reinvested_is_not_sold() -> None:
    held, weights = dict(a=6500, **dict.fromkeys("bcdef", 700)), dict(a=50, **dict.fromkeys("bcdef", 10))
    policy = replace(FREE, band=FIVE_POINTS, minimum_trade=Decimal(600))
    case = Case(percents(**held), percents(**dict.fromkeys("abcdef", 1)), Decimal(0), percents(**weights), policy)
    assert brief(check(case))[0] == "no SELL a 1500.00: no_use"
    assert not check(case).orders
    # b's 900 is an order, and no more is sold than it takes.
    wider = replace(policy, band=Band(BandType.ABSOLUTE, Decimal(6)))
    some = replace(case, held=percents(**{**held, "b": 100, "c": 1000, "d": 1000}), policy=wider)
    assert brief(check(some))[:3] == ["SELL a 900.00", "BUY b 900.00", "no SELL a 600.00: no_use"]


def test_what_a_whole_share_cannot_be_had_for_is_not_sold() -> None:
    prices, policy = percents(a=10, brk=600_000), replace(FREE, whole_shares=True)
    case = Case(percents(a=10_000), prices, Decimal(0), percents(a=90, brk=10), policy)
    assert brief(check(case)) == ["no SELL a 10000.00: no_use", "no BUY brk 10000.00: whole_shares"]


def test_a_sell_is_kept_that_brings_all_inside_their_bands() -> None:
    held, weights = percents(a=56, **dict.fromkeys("bcdef", "8.8")), dict(a=50, **dict.fromkeys("bcdef", 10))
    policy = replace(FREE, band=FIVE_POINTS, minimum_trade=Decimal(2))
    case = Case(held, percents(**dict.fromkeys("abcdef", 1)), Decimal(0), percents(**weights), policy)
    found = check(case)
    assert [it for it in brief(found) if "SELL" in it] == ["SELL a 2.00", "no SELL a 4.00: no_use"]
    assert found.within_band_after


@settings(max_examples=100, deadline=None)
@given(cases())
def test_without_costs_and_with_fractions_the_target_is_reached(case: Case) -> None:
    case = replace(case, policy=FREE, mode=Mode.FULL)
    total = value(case.held, case.prices, case.cash).total
    if total < 10:
        return
    found = check(case)
    dust = sum(case.prices.values()) * GRAIN + Decimal("0.02") * len(found.legs)  # amounts are rounded to the cent
    assert found.drift_after <= dust / total * 100 + Decimal(len(found.legs)) * Decimal("0.0001")


@settings(max_examples=80, deadline=None)
@given(cases())
def test_investing_cash_buys_nothing_further_than_its_target_and_keeps_the_cash_target(case: Case) -> None:
    case = replace(case, mode=Mode.INVEST_CASH, policy=replace(case.policy, whole_shares=False))
    total = value(case.held, case.prices, case.cash).total
    if not total:
        return
    found = check(case)
    assert all(order.side is Side.BUY for order in found.orders)
    _, cash = case.after(found.orders)
    assert not found.orders or cash >= total * case.policy.cash_target / 100 - total / 10**6
    assert all(it.reason == "mode" for it in found.skipped if it.side is Side.SELL)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_selling_only_never_takes_cash(case: Case) -> None:
    case = replace(case, mode=Mode.SELL_ONLY)
    if not value(case.held, case.prices, case.cash).total:
        return
    found = check(case)
    assert all(order.side is Side.SELL for order in found.orders)
    assert all(it.reason == "mode" for it in found.skipped if it.side is Side.BUY)
    assert case.after(found.orders)[1] >= case.cash


def whole_outcomes(case: Case) -> Iterator[Decimal]:
    """The drift, in money, of every combination of whole shares that can be had."""
    held, total = value(case.held, case.prices, case.cash), value(case.held, case.prices, case.cash).total
    wanted = {name: weight * total / 100 for name, weight in targets(case.allocation, case.policy).items()}
    symbols = sorted(case.prices)
    for counts in product(*(range(int(total / case.prices[it]) + 1) for it in symbols)):
        worth = {it: count * case.prices[it] for it, count in zip(symbols, counts, strict=True)}
        cash = total - sum(worth.values())
        if cash >= 0:
            worth[CASH] = cash
            yield sum((abs(worth[it] - wanted[it]) for it in worth), Decimal(0)) / 2
    assert held.total == total


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(10, 40)), min_size=1, max_size=3),
    st.integers(0, 60),
)
def test_whole_shares_come_within_a_share_of_the_best_there_is(pairs: list[tuple[int, int]], cash: int) -> None:
    names = "abc"[: len(pairs)]
    weights = dict(zip(names, [[100], [60, 40], [50, 30, 20]][len(names) - 1], strict=True))
    held = {name: Decimal(count) for name, (count, _) in zip(names, pairs, strict=True)}
    prices = {name: Decimal(price) for name, (_, price) in zip(names, pairs, strict=True)}
    case = Case(held, prices, Decimal(cash), percents(**weights), replace(FREE, whole_shares=True))
    total = value(held, prices, case.cash).total
    if not total:
        return
    found = check(case)
    best = min(whole_outcomes(case))
    assert found.drift_after * total / 100 <= best + max(prices.values()) + Decimal("0.01")


def simple(cash: str = "0", policy: Policy = FREE, mode: Mode = Mode.FULL, **held: float | str) -> Case:
    """100 in `a`, `b` and cash at a price of 1, meant to be 50 and 50."""
    return Case(percents(**held), percents(a=1, b=1), Decimal(cash), percents(a=50, b=50), policy, mode)


def brief(found: OrderPlan) -> list[str]:
    """Orders and skipped legs in words."""
    orders = [f"{it.side.value} {it.symbol} {it.notional}" for it in found.orders]
    return orders + [f"no {it.side.value} {it.symbol} {it.notional}: {it.reason}" for it in found.skipped]


def test_what_is_over_is_sold_and_pays_for_what_is_under() -> None:
    found = check(simple(a=70, b=30))
    assert brief(found) == ["SELL a 20.00", "BUY b 20.00"]


def test_the_slippage_and_the_buffer_stay_in_cash() -> None:
    # 100 in cash: the buffer of 1 and what the limit prices may take stay: (100 - 1) / 1.1 = 90.
    policy = replace(FREE, cash_buffer=Decimal(1), max_slippage=Decimal(10))
    found = check(simple(cash="100", policy=policy))
    assert brief(found) == ["BUY a 45.00", "BUY b 45.00", "no BUY a 5.00: no_cash", "no BUY b 5.00: no_cash"]
    assert [order.limit_price for order in found.orders] == [Decimal("1.1")] * 2


def test_an_asset_without_a_target_is_sold_to_the_last_grain() -> None:
    case = Case({"x": Decimal("3.333333333"), "a": Decimal(1)}, percents(x=3, a=90), Decimal(0), percents(a=100), FREE)
    found = check(case)
    assert (found.orders[0].symbol, found.orders[0].quantity) == ("x", Decimal("3.333333333"))


def test_to_the_bands_edge_moves_only_what_it_has_to() -> None:
    policy = replace(FREE, band=FIVE_POINTS, destination=Destination.BAND_EDGE)
    found = check(simple(a=70, b=30, policy=policy))
    assert brief(found)[0] == "SELL a 15.00"
    assert {leg.asset: leg.drifted + leg.change for leg in found.legs}["a"] == 55


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
def test_what_the_bands_edge_cannot_satisfy_is_led_to_the_target(
    a: int, b: int, cash: int, changes: dict[str, object], ends: list[str]
) -> None:
    policy = replace(FREE, band=FIVE_POINTS, destination=Destination.BAND_EDGE, **changes)  # type: ignore[arg-type]
    assert brief(check(simple(a=a, b=b, cash=str(cash), policy=policy, mode=policy.mode))) == ends


def test_what_is_outside_its_band_is_served_before_the_largest_need() -> None:
    # big lies 15 below 60 and inside its band; small lies 8 below 10 and outside: it gets the 5.2 to its edge first.
    policy = replace(FREE, band=Band(BandType.RELATIVE, Decimal(28)))
    held, prices = percents(big=45, small=2, rest=43), percents(big=1, small=1, rest=1)
    case = Case(held, prices, Decimal(10), percents(big=60, small=10, rest=30), policy, Mode.INVEST_CASH)
    found = check(case)
    assert brief(found)[:2] == ["BUY small 8.00", "BUY big 2.00"]


def test_short_cash_makes_few_orders_and_the_largest_first() -> None:
    held, prices = percents(a=30, b=35, c=15), percents(a=1, b=1, c=1, d=1)
    case = Case(held, prices, Decimal(10), percents(a=25, b=25, c=25, d=25), FREE, Mode.INVEST_CASH)
    assert [it for it in brief(check(case)) if it.startswith("BUY")] == ["BUY d 10.00"]


def test_a_move_below_the_minimum_trade_is_skipped_with_its_reason() -> None:
    found = check(simple(a="50.6", b="49.4", policy=replace(FREE, minimum_trade=Decimal(1))))
    assert brief(found) == ["no SELL a 0.60: minimum_trade", "no BUY b 0.60: minimum_trade"]


def test_cash_that_is_less_than_the_minimum_trade_starts_no_order() -> None:
    policy = replace(FREE, minimum_trade=Decimal(5))
    found = check(simple(a=56, b=40, cash="4", policy=policy, mode=Mode.INVEST_CASH))
    assert brief(found) == ["no SELL a 6.00: mode", "no BUY b 10.00: no_cash"]


def test_modes_forbid_a_side_and_say_so() -> None:
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
    assert targets(percents(a=50, b=50), policy) == percents(a=45, b=45) | {CASH: Decimal(10)}
    found = check(simple(a=50, b=50, policy=policy))
    assert brief(found) == ["SELL a 5.00", "SELL b 5.00"]
    assert found.drift_before == 10
    assert found.drift_after == 0


@given(allocations(zeros=False), decimals(0, 1_000_000, 4))
def test_targets_sum_to_100_with_cash_among_them(allocation: Numbers, cash_target: Decimal) -> None:
    found = targets(allocation, Policy(cash_target=cash_target))
    assert sum(found.values()) == 100
    assert found[CASH] == cash_target
    for asset, weight in allocation.items():
        assert abs(found[asset] - weight * (100 - cash_target) / 100) < Decimal("0.0001")


@pytest.mark.parametrize(("cash", "is_outside"), [("1.25", False), ("1.2501", True)])
def test_cash_may_lie_a_point_above_its_buffer(cash: str, is_outside: bool) -> None:
    policy = Policy(band=Band(BandType.HYBRID, Decimal(20), Decimal(1)))
    legs = plan.legs(percents(a=str(100 - Decimal(cash))) | {CASH: Decimal(cash)}, targets(percents(a=100), policy))
    assert bool(planning.outside(legs, policy)) is is_outside


def test_a_portfolio_worth_nothing_has_nothing_to_trade() -> None:
    found = Case({}, percents(a=1), Decimal(0), percents(a=100), FREE).planned()
    assert found == OrderPlan((), (), (), Decimal(0), Decimal(0), True)


def test_amounts_of_twelve_digits_are_planned_exactly() -> None:
    price = Decimal("999999999999.123456789")
    held = {"a": Decimal("999999999999.000000001"), "b": Decimal("0.000000001")}
    found = check(Case(held, {"a": price, "b": price}, Decimal(0), percents(a=50, b=50), Policy()))
    assert found.within_band_after
    assert to_money(found.orders[0].quantity * price) > to_money(Decimal(10) ** 23)
