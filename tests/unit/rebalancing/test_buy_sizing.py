"""Sizes of buys: they spend what the sells brought, top-ups invest the rest, and nothing is ever overdrawn."""

from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.kernel.currencies import minor_units, round_money, smallest_amount
from trimtab.kernel.money import HUNDRED, count_decimals, to_money
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.rebalancing.buy_sizing import (
    cash_after_fills,
    cost_of,
    fit_buys_to_cash,
    plan_top_up,
    unpaid_reversals,
)
from trimtab.portfolios.rebalancing.journal import (
    BUYS,
    FIRST_TOP_UP,
    MAX_TOP_UPS,
    SELLS,
    Execution,
    Funds,
    client_order_id_of,
    new_execution,
    pack_execution,
    unpack_execution,
)
from trimtab.portfolios.rebalancing.orders import (
    NO_CASH,
    NO_COMMISSION,
    Commission,
    Order,
    OrderStatus,
    PlannedOrder,
    SkippedLeg,
)

NOW = datetime(2026, 11, 20, tzinfo=UTC)
D = Decimal
DEFAULT, WHOLE = Policy(), Policy(whole_shares=True)
ONE = D(1)


def buy(symbol: str, quantity: Any, price: Any, limit: Any = None) -> PlannedOrder:
    """Return a planned buy."""
    return PlannedOrder(symbol, Side.BUY, D(quantity), D(price), D(price if limit is None else limit))


def sell(symbol: str, quantity: Any, price: Any, limit: Any = None) -> PlannedOrder:
    """Return a planned sell."""
    return PlannedOrder(symbol, Side.SELL, D(quantity), D(price), D(price if limit is None else limit))


def unpaid(symbol: str, notional: Any) -> SkippedLeg:
    """Return the rest of a buy that the cash did not pay for."""
    return SkippedLeg(symbol, Side.BUY, D(notional), NO_CASH)


def journal(*orders: PlannedOrder, rests: Any = (), policy: Policy = DEFAULT, **members: Any) -> Execution:
    """Return the journal of a plan, by default with no cash."""
    members = {"is_funded": False, "funds": Funds(D(0)), **members}
    return new_execution("r", orders, rests, policy, deadline=NOW, **members)


def filled(execution: Execution, wave: int, factor: Decimal = ONE, commission: Commission = NO_COMMISSION) -> Execution:
    """Return the journal after a wave whose orders all filled at the planning price times a factor."""

    def fill(order: Order) -> Order:
        if order.status is OrderStatus.SKIPPED:
            return order
        price = order.price * factor
        if order.limit_price is not None:
            price = min(price, order.limit_price) if order.side is Side.BUY else max(price, order.limit_price)
        amount = round_money(order.quantity * price, execution.currency)
        fill = {"filled": order.quantity, "amount": amount, "fees": commission.of(amount, execution.currency)}
        return replace(order, status=OrderStatus.FILLED, **fill)

    started = execution.start_wave(wave, NOW)
    return started.update_orders(fill, started.current).mark_posted()


def quantities(execution: Execution) -> dict[str, Decimal]:
    """Return the quantities of the buys that are still planned."""
    return {order.symbol: order.quantity for order in execution.orders if order.status is OrderStatus.PLANNED}


# Examples ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "bought"), [("1000", {"B": 1, "C": 7}), ("999.99", {"C": 7}), ("900", {"C": 7}), ("650", {"C": 6})]
)
def test_buys_are_cut_to_what_the_sells_brought_and_a_skipped_buy_leaves_its_cash_to_the_others(
    amount: str, bought: dict[str, int]
) -> None:
    plan = journal(sell("A", 10, 100), buy("B", 1, 300), buy("C", 7, 100), policy=WHOLE)
    sold = filled(plan, SELLS).update_orders(lambda order: replace(order, amount=D(amount)), plan.orders[:1])
    after = fit_buys_to_cash(sold)
    assert quantities(after) == bought
    sent = after.start_wave(BUYS, NOW).current
    assert {order.symbol for order in sent if order.status is OrderStatus.SENT} == set(bought)


def test_a_cut_buy_says_what_the_cash_did_not_pay_for() -> None:
    plan = journal(sell("A", 10, 100), buy("B", 10, 100), policy=WHOLE)
    half = plan.start_wave(SELLS, NOW).update_orders(
        lambda order: replace(order, status=OrderStatus.ENDED, filled=D(5), amount=D(500)), plan.orders[:1]
    )
    after = fit_buys_to_cash(half)
    assert quantities(after) == {"B": 4}
    assert after.skipped == (unpaid("B", "600.00"),)


def test_buys_are_raised_by_what_the_sells_brought_more_than_their_limit_prices() -> None:
    plan = journal(sell("A", 10, 100, 99), buy("B", "9.8", 100, 101), rests=[unpaid("B", "20")])
    after = fit_buys_to_cash(filled(plan, SELLS))
    assert quantities(after) == {"B": D("9.900891089")}
    assert after.skipped == (unpaid("B", "9.91"),)


def test_no_buy_is_raised_beyond_its_leg() -> None:
    plan = journal(sell("A", 10, 100, 99), buy("B", "9.8", 100, 100), rests=[unpaid("B", "5")])
    assert quantities(fit_buys_to_cash(filled(plan, SELLS))) == {"B": D("9.85")}


def test_cash_left_after_the_buys_is_invested_in_the_same_run() -> None:
    """5,000 of cash for a leg of 5,000: the limit price 1 % above reserves 50, which the buy did not need."""
    plan = journal(
        buy("B", "49.257425742", 100, 101),
        rests=[unpaid("B", "74.26")],
        is_funded=True,
        funds=Funds(D(5000), D("25.00")),
    )
    bought = filled(plan, SELLS)
    assert cash_after_fills(bought, bought.funds or Funds(D(0))) == D("74.26")
    first = plan_top_up(bought, "r")
    assert quantities(first) == {"B": D("0.487623762")}
    second = plan_top_up(filled(first, FIRST_TOP_UP), "r")
    assert second == filled(first, FIRST_TOP_UP), "the rest of 0.51 is below the minimum trade"
    ids = [order.client_order_id for order in second.orders]
    assert ids == [client_order_id_of("r", "B", SELLS), client_order_id_of("r", "B", FIRST_TOP_UP)]


def test_a_top_up_leaves_the_cash_target_and_is_not_made_where_the_commission_is_too_dear() -> None:
    plan = journal(
        buy("B", 40, 100, 101), rests=[unpaid("B", 500)], is_funded=True, funds=Funds(D(5000), D(10), D(900))
    )
    assert quantities(plan_top_up(filled(plan, SELLS), "r")) == {"B": D("0.990000000")}
    dear = replace(filled(plan, SELLS), commission=Commission(D(1)))
    assert quantities(plan_top_up(dear, "r")) == {}


def test_top_ups_are_reversed_with_the_orders_they_belong_to() -> None:
    plan = journal(buy("B", 40, 100, 101), rests=[unpaid("B", 500)], is_funded=True, funds=Funds(D(5000)))
    topped_up = filled(plan_top_up(filled(plan, SELLS), "r"), FIRST_TOP_UP)
    reversing = topped_up.plan_reversals("r")
    (reversal,) = [order for order in reversing.orders if order.reverses]
    assert (reversal.quantity, reversal.reverses) == (topped_up.net_fills()["B"], plan.orders[0].client_order_id)
    assert reversing.next_wave == BUYS + 1
    assert unpack_execution(pack_execution(reversing), "r") == reversing
    assert filled(reversing, BUYS + 1).net_fills() == {}


def test_a_journal_of_an_earlier_release_is_cut_to_its_sells_and_has_no_top_ups() -> None:
    plan = journal(sell("A", 10, 100, 99), buy("B", "9.8", 100, 101), rests=[unpaid("B", "20")], funds=None)
    sold = filled(plan, SELLS)
    less = sold.update_orders(lambda order: replace(order, amount=D(900)), plan.orders[:1])
    assert quantities(fit_buys_to_cash(less))["B"] < D("9")
    assert plan_top_up(filled(sold, BUYS), "r") == filled(sold, BUYS)


# Properties ----------------------------------------------------------------------------------------------------------

SCALES = {"USD": D(1), "JPY": D(100), "KWD": D("0.1")}
"""Factors that keep the smallest amount of money the same part of each amount."""


@st.composite
def plans(draw: st.DrawFn) -> Execution:
    """Return a payable plan as the planner makes them: sells at 1 % slippage, buys within what these bring."""
    currency = draw(st.sampled_from(sorted(SCALES)))
    scale, unit = SCALES[currency], smallest_amount(currency)
    money = st.integers(1, 500_000).map(lambda units: units * unit)
    minimum = draw(st.sampled_from([D(0), D(1), D(50)])) * scale
    policy = Policy(whole_shares=draw(st.booleans()), minimum_trade=minimum)
    per_order, percent = draw(st.sampled_from([(D(0), D(0)), (D(1), D(0)), (D("0.35"), D("0.1"))]))
    commission = Commission(per_order * scale, percent)
    cash, slip = draw(money), draw(st.sampled_from([D(0), D(1), D(10)]))
    buffer, target = (draw(st.sampled_from([D(0), D(5), D(20)])) * scale for _ in range(2))
    sells = [sell(f"S{n}", draw(st.integers(1, 20)), p := draw(money), p * (HUNDRED - slip) / 100) for n in range(2)]
    worst = (
        cash
        - buffer
        + sum(((each.quantity * each.limit_price).quantize(unit, ROUND_FLOOR) for each in sells), D(0))
        - sum((commission.of(each.quantity * each.limit_price, currency) for each in sells), D(0))
    )
    orders, rests = list(sells), []
    for number in range(draw(st.integers(1, 4))):
        price = draw(money)
        wanted = buy(f"B{number}", draw(st.decimals("0.1", 20, places=3)), price, price * (HUNDRED + slip) / 100)
        if policy.whole_shares:
            wanted = replace(wanted, quantity=wanted.quantity.quantize(D(1), ROUND_FLOOR))
        if wanted.quantity and cost_of(wanted, commission, currency) <= worst:
            worst -= cost_of(wanted, commission, currency)
            orders.append(wanted)
            rests.append(unpaid(wanted.symbol, round_money(draw(money) / 10, currency)))
    funds = Funds(cash, buffer, target)
    return journal(*orders, rests=rests, policy=policy, funds=funds, commission=commission, currency=currency)


@given(plan=plans(), price=st.sampled_from([D("0.9"), D("0.995"), D(1), D("1.005"), D("1.1")]))
def test_whatever_the_fills_are_cash_never_goes_below_the_buffer_nor_a_leg_beyond_its_end(
    plan: Execution, price: Decimal
) -> None:
    assert plan.funds
    ends = {order.symbol: order.quantity for order in plan.orders if order.side is Side.BUY}
    for leg in plan.skipped:
        ends[leg.symbol] += leg.notional / next(each.price for each in plan.orders if each.symbol == leg.symbol)
    after = fit_buys_to_cash(filled(plan, SELLS, price, plan.commission))
    planned = {order.symbol: order.quantity for order in plan.orders if order.side is Side.BUY}
    assert all(quantity >= planned[symbol] for symbol, quantity in quantities(after).items()), "nothing is cut"
    after = filled(after, BUYS, 2 - price, plan.commission)
    for _ in range(MAX_TOP_UPS + 1):
        is_bought = any(order.side is Side.BUY and order.filled for order in after.orders)
        assert not is_bought or cash_after_fills(after, plan.funds) >= plan.funds.buffer
        more = plan_top_up(after, "r")
        for order in more.orders[len(after.orders) :]:
            notional = round_money(order.quantity * order.price, plan.currency)
            assert notional >= max(plan.policy.minimum_trade, smallest_amount(plan.currency))
        after = filled(more, more.next_wave, 2 - price, plan.commission) if more.next_wave else more
        if after == more:
            break
    else:
        pytest.fail("too many top-ups")
    assert count_decimals(after.cash_change) <= minor_units(plan.currency)
    for symbol, quantity in after.net_fills().items():
        assert quantity <= ends.get(symbol, 0) + D("0.000000001"), symbol


@given(plan=plans(), part=st.decimals(0, 1, places=2))
def test_after_a_partial_sell_the_buys_never_cost_more_than_there_is(plan: Execution, part: Decimal) -> None:
    assert plan.funds
    started = plan.start_wave(SELLS, NOW)
    half = started.update_orders(
        lambda order: replace(
            order,
            status=OrderStatus.ENDED,
            filled=(order.quantity * part).quantize(D("0.000000001"), ROUND_FLOOR),
            amount=round_money(order.quantity * part * order.price, plan.currency),
        ),
        started.current,
    )
    after = fit_buys_to_cash(half.mark_posted())
    planned = [order for order in after.orders if order.status is OrderStatus.PLANNED]
    cost = sum((cost_of(order, plan.commission, plan.currency) for order in planned), D(0))
    assert cost <= max(D(0), cash_after_fills(after, plan.funds) - plan.funds.buffer)


# Reversals -----------------------------------------------------------------------------------------------------------

TEN_PERCENT = D(10)


def reversing(*sells: PlannedOrder, **members: Any) -> Execution:
    """Return the journal of filled sells that are about to be bought back."""
    return filled(journal(*sells, buy("Z", 1, 1), **members), SELLS).plan_reversals("r")


def test_a_portfolio_without_cash_whose_sold_asset_rose_a_little_buys_back_what_its_cash_pays_for() -> None:
    execution = reversing(sell("A", 20, 100))
    assert unpaid_reversals(execution, D(2000), {"A": D(100)}, TEN_PERCENT) == {}
    missing = unpaid_reversals(execution, D(2000), {"A": D("100.10")}, TEN_PERCENT)
    assert missing is not None
    assert D(20) - missing["A"] == (D("1999.99") / D("100.10")).quantize(D("1e-9"), ROUND_FLOOR)


def test_where_more_than_the_allowed_part_of_the_cost_is_missing_nothing_is_bought_back() -> None:
    execution = reversing(sell("A", 20, 100))
    assert unpaid_reversals(execution, D(2000), {"A": D("111.11")}, TEN_PERCENT) is not None
    assert unpaid_reversals(execution, D(2000), {"A": D("111.12")}, TEN_PERCENT) is None


def test_a_whole_share_that_cash_does_not_pay_for_is_skipped_and_ends_the_rollback() -> None:
    execution = reversing(sell("A", 1, 1000), policy=WHOLE)
    missing = unpaid_reversals(execution, D(1000), {"A": D(1001)}, TEN_PERCENT)
    assert missing == {"A": D(1)}
    cut = execution.cut_reversals(missing)
    assert (cut.next_wave, cut.is_reversed) == (None, True)
    assert unpack_execution(pack_execution(cut), "r") == cut


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 900), st.integers(900, 1200)), min_size=1, max_size=6),
    st.decimals(0, 3, places=2),
    st.decimals(0, 2, places=2),
    st.integers(0, 50),
)
def test_reversals_never_overdraw_and_leave_at_most_the_buffer_where_they_are_cut(
    legs: list[tuple[int, int, int]], per_order: Decimal, percent: Decimal, buffer: int
) -> None:
    commission = Commission(per_order, percent)
    sells = [sell(f"S{number}", quantity, price) for number, (quantity, price, _) in enumerate(legs)]
    execution = reversing(*sells, commission=commission, funds=Funds(D(0), D(buffer)))
    prices = {f"S{number}": D(price) * moved / 1000 for number, (_, price, moved) in enumerate(legs)}
    cash = sum((D(quantity) * price for quantity, price, _ in legs), D(0))
    missing = unpaid_reversals(execution, cash, prices, D(30))
    assert missing is not None
    orders = [order for order in execution.cut_reversals(missing).orders if order.status is OrderStatus.PLANNED]
    amounts = [to_money(order.quantity * prices[order.symbol]) for order in orders]
    left = cash - sum((amount + commission.of(amount, "USD") for amount in amounts), D(0))
    assert left >= 0
    if missing:
        unbought = per_order * (len(legs) - len(orders))
        assert left <= buffer + unbought + D("0.05") * len(legs) + D("0.001") * max(prices.values())
