"""The order planner: as close to the target as cash, minimum trade and whole shares allow, and never further away."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.assurance import tried
from tests.unit.balancing.missed_orders import missed_orders
from tests.unit.balancing.plan_cases import FIVE_POINTS, FREE, GRAIN, Case, cash_at_limits, check, decimals
from tests.unit.samples import allocations, bands
from trimtab.kernel.currencies import minor_units, smallest_amount
from trimtab.kernel.money import count_decimals
from trimtab.portfolios.balancing import order_planner, order_sizing
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Band, Destination, Mode, Policy
from trimtab.portfolios.rebalancing.drift import CASH, policy_tolerance, target_weights
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission, PlannedOrder
from trimtab.portfolios.rebalancing.valuation import EXACT, value

COMMISSIONS = [NO_COMMISSION, NO_COMMISSION, Commission(Decimal(1)), Commission(Decimal("0.35"), Decimal("0.25"))]
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
    """Draw any portfolio, at three scales of prices."""
    allocation = draw(allocations(zeros=False))
    scale = draw(st.sampled_from([Decimal("0.01"), Decimal(1), Decimal(100)]))
    price = decimals(1, 10**6, 2).map(lambda number: number * scale)
    quantity = st.one_of(decimals(1, 10**11, 9), st.integers(1, 1000).map(Decimal))
    held = draw(st.dictionaries(st.sampled_from([*allocation, "x1", "x2"]), quantity, max_size=len(allocation) + 2))
    prices = {symbol: draw(price) for symbol in sorted({*allocation, *held})}
    cash = draw(st.one_of(st.just(Decimal(0)), decimals(0, 10**7, 2)))
    mode = draw(st.sampled_from([*Mode, Mode.FULL]))
    return Case(held, prices, cash, allocation, draw(policies), mode, draw(st.sampled_from(COMMISSIONS)))


@given(cases())
def test_every_plan_keeps_every_invariant(case: Case) -> None:
    if value(case.held, case.prices, case.cash).total:
        check(case)


def no_order_is_missed(case: Case) -> None:
    """Fail if an order, or a pair of orders, could bring a leg outside its band closer to its target."""
    tried()
    if value(case.held, case.prices, case.cash).total:
        missed = list(missed_orders(case, check(case)))
        assert not missed, missed


@given(cases())
def test_no_leg_stays_outside_that_a_payable_order_of_at_least_the_minimum_brings_closer(case: Case) -> None:
    no_order_is_missed(case)


@pytest.mark.assurance("Planner: generated portfolios")
@pytest.mark.proof
@settings(max_examples=4000, deadline=None)
@given(cases())
def test_no_leg_of_4000_portfolios_stays_outside_that_an_order_brings_closer(case: Case) -> None:
    no_order_is_missed(case)


def amounts_of(plan: OrderPlan) -> list[Decimal]:
    """Return the money of a plan: fees, orders and skipped legs."""
    return [plan.fees, *(order.notional for order in plan.orders), *(leg.notional for leg in plan.skipped)]


@given(cases(), st.sampled_from(["JPY", "KWD"]))
def test_a_plan_in_yen_or_in_thousandths_of_a_dinar_is_that_in_as_many_cents(case: Case, currency: str) -> None:
    # The same plan proves each guarantee of the planner in every currency: only the smallest amount of money matters.
    other = case.in_currency(currency)
    if value(case.held, case.prices, case.cash).total:
        plan, scaled = case.planned(), check(other)
        no_order_is_missed(other)
        assert [(order.symbol, order.side, order.quantity) for order in scaled.orders] == [
            (order.symbol, order.side, order.quantity) for order in plan.orders
        ]
        factor = smallest_amount(currency) / smallest_amount("USD")
        amounts, in_other = amounts_of(plan), amounts_of(scaled)
        assert in_other == [amount * factor for amount in amounts]
        assert all(count_decimals(amount) <= minor_units(currency) for amount in in_other)
        assert scaled.legs == plan.legs


@given(cases())
def test_the_reserve_is_taken_from_all_buys_in_proportion(case: Case) -> None:
    # A band of 100 points: no part of a buy has to bring an asset inside.
    policy = replace(case.policy, band=Band(value=Decimal(100)), whole_shares=False, minimum_trade=Decimal(0))
    case = replace(case, held={}, policy=policy, mode=Mode.FULL)
    found = case.planned()
    target, cent = target_weights(case.allocation, case.policy), Decimal("0.01")
    grain = cent + 2 * max(case.prices.values()) * GRAIN
    wanted = {order.symbol: target[order.symbol] * case.cash / 100 for order in found.orders}
    # Parts of their targets that buys may have, each within a cent: one part has to be common to all.
    least = max(((order.notional - grain) / wanted[order.symbol] for order in found.orders), default=Decimal(0))
    most = min(((order.notional + grain) / wanted[order.symbol] for order in found.orders), default=Decimal(0))
    assert least <= most


@settings(max_examples=40, deadline=None)
@given(cases())
def test_equal_inputs_give_equal_plans_in_any_order(case: Case) -> None:
    other = replace(
        case,
        held=dict(reversed(case.held.items())),
        prices=dict(reversed(case.prices.items())),
        allocation=dict(reversed(case.allocation.items())),
    )
    assert case.planned() == other.planned()


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
        assert excused or abs(leg.drift) <= policy_tolerance(case.policy)(leg) + grain


def reserve(case: Case, found: OrderPlan, total: Decimal) -> Decimal:
    """Return the cash that a plan has to leave beyond the cash target: the buffer and the slippage of its orders."""
    moved = sum((symbol.quantity * symbol.price for symbol in found.orders), Decimal(0))
    kept = total * case.policy.cash_buffer / 100 + moved * case.policy.max_slippage / 100
    return kept - total * case.policy.cash_target / 100


def misplaced(case: Case, orders: tuple[PlannedOrder, ...]) -> Decimal:
    """Return the drift after these orders, cash included, in money and unrounded."""
    held, cash = case.after(orders)
    with localcontext(EXACT):
        worth = {symbol: quantity * case.prices[symbol] for symbol, quantity in held.items()} | {CASH: cash}
        target, total = target_weights(case.allocation, case.policy), sum(worth.values(), Decimal(0))
        away = (
            abs(worth.get(symbol, Decimal(0)) - target.get(symbol, Decimal(0)) * total / 100)
            for symbol in {*worth, *target}
        )
        return sum(away, Decimal(0)) / 2


@given(cases())
def test_no_order_of_a_full_rebalance_is_needless(case: Case) -> None:
    """Without any one of them the drift is greater, the buys are not paid for, or a leg is outside its band that the
    plan brings back; a sell does only where the plan ends inside all bands."""
    case = replace(case, mode=Mode.FULL)
    total = value(case.held, case.prices, case.cash).total
    if not total:
        return
    found = check(case)
    outside = {leg.asset for leg in order_planner.outside(case.legs(case.held, case.cash), case.policy)}
    for order in found.orders:
        rest = tuple(each for each in found.orders if each != order)
        is_unpaid = cash_at_limits(case, replace(found, orders=rest)) < total * case.policy.cash_buffer / 100
        if is_unpaid and any(each.side is Side.BUY for each in rest):
            continue
        is_greater = misplaced(case, rest) > misplaced(case, found.orders)
        is_back = order.symbol in outside and (order.side is Side.BUY or found.within_band_after)
        assert is_greater or is_back, order


@given(cases())
def test_without_costs_and_with_fractions_the_target_is_reached(case: Case) -> None:
    case = replace(case, policy=FREE, mode=Mode.FULL, commission=NO_COMMISSION)
    total = value(case.held, case.prices, case.cash).total
    if total < 10:
        return
    found = check(case)
    dust = sum(case.prices.values()) * GRAIN + Decimal("0.02") * len(found.legs)  # amounts are rounded to the cent
    assert found.drift_after <= dust / total * 100 + Decimal(len(found.legs)) * Decimal("0.0001")


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
    assert all(leg.reason == "mode" for leg in found.skipped if leg.side is Side.SELL)


@given(cases())
def test_selling_only_never_takes_cash(case: Case) -> None:
    case = replace(case, mode=Mode.SELL_ONLY)
    if not value(case.held, case.prices, case.cash).total:
        return
    found = check(case)
    assert all(order.side is Side.SELL for order in found.orders)
    assert all(leg.reason == "mode" for leg in found.skipped if leg.side is Side.BUY)
    assert case.after(found.orders)[1] >= case.cash


def test_every_mode_has_its_sides() -> None:
    assert set(order_sizing.ALLOWED_SIDES) == set(Mode)
