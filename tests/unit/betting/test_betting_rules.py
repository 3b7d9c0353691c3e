"""The rules of betting: exposure, payouts, positions and totals, worked by hand and as properties."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.betting.domain.market_results import StatedResults
from trimtab.betting.domain.markets import enter_results
from trimtab.betting.domain.odds import OddsLadder
from trimtab.betting.domain.orders import BetOrder, NewOrder, SettlementRequest
from trimtab.betting.domain.positions import BettingPosition, compute_worst_case, fold_orders
from trimtab.betting.domain.results import (
    BetSide,
    ResultKind,
    SelectionResult,
    compute_exposure,
    compute_payout,
    compute_profit,
)
from trimtab.betting.domain.totals import (
    Hedge,
    OrderTotals,
    sum_totals,
    totals_of_order,
)
from trimtab.betting.schemas.position_views import selection_view
from trimtab.betting.schemas.requests import SettleOrder
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Refusal, Unprocessable
from trimtab.kernel.money import to_money

D = Decimal
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
THIRD = Fraction(1, 3)
WON, LOST, VOID = (SelectionResult(kind) for kind in (ResultKind.WON, ResultKind.LOST, ResultKind.VOID))
HALF_WON, HALF_LOST = SelectionResult(ResultKind.HALF_WON), SelectionResult(ResultKind.HALF_LOST)
DEAD_HEAT = SelectionResult(ResultKind.DEAD_HEAT, Fraction(1, 2))
DEAD_HEAT_OF_THREE = SelectionResult(ResultKind.DEAD_HEAT, THIRD)
RESULTS = (WON, LOST, VOID, HALF_WON, HALF_LOST, DEAD_HEAT, DEAD_HEAT_OF_THREE)

money = st.decimals(min_value=D("0.01"), max_value=D("100000"), places=2)
odds = st.decimals(min_value=D("1.01"), max_value=D("1000"), places=2)
results = st.sampled_from(RESULTS)
sides = st.sampled_from(list(BetSide))


def open_order(
    side: str = "BACK", stake: str = "10", at: str = "3.50", selection: str = "home", number: int = 1
) -> BetOrder:
    """Return an open order on the market m."""
    new = NewOrder("u", "m", selection, BetSide(side), D(stake), D(at))
    return new.place("demo", f"o{number}", None, NOW)


def settle(order: BetOrder, result: SelectionResult = WON, **members: Any) -> BetOrder:
    """Return the settled order."""
    return order.settle(SettlementRequest(result, **members), by="p", now=NOW)


def no_orders() -> BettingPosition:
    """Return the position of a user without orders on the market m."""
    return BettingPosition(tenant_id="demo", user_id="u", market_id="m", updated_at=NOW)


def position_of(*orders: BetOrder) -> BettingPosition:
    """Return the position of these orders."""
    return fold_orders(no_orders(), orders)


@pytest.mark.parametrize(
    ("side", "result", "payout", "profit"),
    [
        # BACK 10 at 3.50 exposes 10 and can earn 25.
        ("BACK", WON, "35.00", "25.00"),
        ("BACK", LOST, "0.00", "-10.00"),
        ("BACK", VOID, "10.00", "0.00"),
        ("BACK", HALF_WON, "22.50", "12.50"),  # 5 at 3.50 is 17.50, and 5 back
        ("BACK", HALF_LOST, "5.00", "-5.00"),
        ("BACK", DEAD_HEAT, "17.50", "7.50"),  # 5 at 3.50, and 5 lost
        ("BACK", DEAD_HEAT_OF_THREE, "11.67", "1.67"),  # 10/3 at 3.50
        # LAY 10 at 3.50 exposes 25 and can earn 10.
        ("LAY", WON, "0.00", "-25.00"),
        ("LAY", LOST, "35.00", "10.00"),
        ("LAY", VOID, "25.00", "0.00"),
        ("LAY", HALF_WON, "12.50", "-12.50"),
        ("LAY", HALF_LOST, "30.00", "5.00"),
        ("LAY", DEAD_HEAT, "17.50", "-7.50"),
        ("LAY", DEAD_HEAT_OF_THREE, "23.33", "-1.67"),
    ],
)
def test_payouts_and_profits_are_those_worked_by_hand(
    side: str, result: SelectionResult, payout: str, profit: str
) -> None:
    order = settle(open_order(side), result)
    assert order.exposure == (D(10) if side == "BACK" else D(25))
    assert (order.payout, order.pnl) == (D(payout), D(profit))


@given(money, odds, results)
def test_a_lay_earns_what_a_back_loses(stake: D, at: D, result: SelectionResult) -> None:
    assert compute_profit(BetSide.LAY, stake, at, result) == -compute_profit(BetSide.BACK, stake, at, result)


@given(sides, money, odds)
def test_a_winner_is_paid_stake_times_odds_a_loser_nothing_a_void_its_exposure(side: BetSide, stake: D, at: D) -> None:
    winning, losing = (WON, LOST) if side is BetSide.BACK else (LOST, WON)
    assert compute_payout(side, stake, at, winning) == to_money(stake * at)
    assert compute_payout(side, stake, at, losing) == 0
    assert compute_payout(side, stake, at, VOID) == compute_exposure(side, stake, at)


@given(sides, money, odds, results)
def test_no_order_loses_more_than_its_exposure(side: BetSide, stake: D, at: D, result: SelectionResult) -> None:
    assert compute_payout(side, stake, at, result) >= 0
    assert compute_profit(side, stake, at, result) >= -compute_exposure(side, stake, at)


def test_a_settlement_keeps_the_result_and_only_a_dead_heat_has_a_factor_between_0_and_1() -> None:
    settlements = [settle(open_order(), result).settlement for result in RESULTS]
    assert [settlement and settlement.selection_result for settlement in settlements] == list(RESULTS)
    assert (DEAD_HEAT.factor_text, DEAD_HEAT_OF_THREE.factor_text, WON.factor_text) == ("1/2", "1/3", None)
    for kind, factor in (
        (ResultKind.WON, Fraction(1, 2)),
        (ResultKind.DEAD_HEAT, None),
        (ResultKind.DEAD_HEAT, Fraction(1)),
        (ResultKind.DEAD_HEAT, Fraction()),
    ):
        with pytest.raises(Unprocessable):
            SelectionResult(kind, factor)


factors = st.builds(Fraction, st.integers(1, 8), st.integers(9, 12)) | st.sampled_from([Fraction(1, 7), Fraction(2, 3)])


@given(sides, st.integers(1, 2000).map(lambda cents: D(cents) / 100), odds, factors)
@example(BetSide.LAY, D("10.00"), D("3.00"), THIRD)  # breaks even, as do the next three
@example(BetSide.BACK, D("6.00"), D("6.00"), Fraction(1, 6))
@example(BetSide.BACK, D("7.00"), D("7.00"), Fraction(1, 7))
@example(BetSide.LAY, D("1.50"), D("1.50"), Fraction(2, 3))
@example(BetSide.BACK, D("0.10"), D("6.75"), THIRD)  # earns half a cent more than 0.12
@example(BetSide.BACK, D("0.17"), D("1.50"), THIRD)  # loses half a cent more than 0.08
def test_a_dead_heat_is_computed_exactly_and_rounded_once(side: BetSide, stake: D, at: D, factor: Fraction) -> None:
    exact = side.sign * (factor * Fraction(stake * (at - 1)) - (1 - factor) * Fraction(stake))
    order = settle(open_order(side.value, str(stake), str(at)), SelectionResult(ResultKind.DEAD_HEAT, factor))
    cents = (D((abs(exact) * 10**9).__floor__()) / 10**9).quantize(D("0.01"), rounding=ROUND_HALF_UP)
    assert order.pnl == (cents if exact > 0 else -cents)
    assert order.has_won is (exact > 0)


def test_equal_factors_have_the_same_hash_however_they_are_written() -> None:
    for same in (["1/2", "0.5", D("0.50"), "5/10"], ["1/3", "2/6"]):
        bodies = [SettleOrder(result="dead_heat", dead_heat_factor=factor) for factor in same]
        assert len({body.to_domain().request_hash() for body in bodies}) == 1


# Settling ----------------------------------------------------------------------------------------------------------


def test_the_same_settlement_again_is_the_first_and_another_is_refused() -> None:
    order = settle(open_order(), WON, commission=D("1.25"))
    assert order.pnl == D("23.75")
    assert settle(order, WON, commission=D("1.250")) is order
    assert settle(order, WON, commission=D("1.25"), payout=D(35)) is order
    for result, commission in ((LOST, D(0)), (WON, D(0))):
        with pytest.raises(Conflict):
            settle(order, result, commission=commission)
    with pytest.raises(Conflict):
        settle(order, WON, commission=D("1.25"), payout=D(34))
    with pytest.raises(Conflict):
        order.cancel(NOW)


def test_a_payout_that_differs_needs_a_reason_which_is_stored() -> None:
    with pytest.raises(Unprocessable):
        settle(open_order(), WON, payout=D(34))
    order = settle(open_order(), WON, payout=D(34), override_reason="Rule 4 deduction.")
    assert (order.payout, order.pnl) == (D(34), D(24))
    assert order.settlement is not None
    assert (order.settlement.due, order.settlement.override_reason) == (D(35), "Rule 4 deduction.")
    assert settle(order, WON, payout=D(34), override_reason="Rule 4 deduction.") is order
    with pytest.raises(Conflict):
        settle(order, WON)
    with pytest.raises(Conflict):
        settle(order, WON, payout=D(33), override_reason="Rule 4 deduction.")


def test_each_member_of_a_settlement_request_changes_the_hash() -> None:
    base = SettlementRequest(WON, D(1), D(34), "Rule 4 deduction.")
    others = [
        replace(base, result=LOST),
        replace(base, result=DEAD_HEAT),
        replace(base, result=DEAD_HEAT_OF_THREE),
        replace(base, commission=D(2)),
        replace(base, payout=D(33)),
        replace(base, override_reason="Rule 5."),
    ]
    assert len({request.request_hash() for request in [base, *others]}) == 1 + len(others)
    # Without a reason the payout follows from the result, and to state the payout is the same request.
    assert replace(base, override_reason=None).request_hash() == SettlementRequest(WON, D(1)).request_hash()


def test_a_void_order_returns_its_exposure_and_nothing_else() -> None:
    with pytest.raises(Unprocessable, match="returns its exposure"):
        settle(open_order(), VOID, payout=D(50), override_reason="A gift.")
    order = settle(open_order(), VOID, payout=D(10), override_reason="As the rules say.")
    assert (order.pnl, totals_of_order(order).settled_stake) == (D(0), D(0))


def test_commission_does_not_exceed_the_winnings() -> None:
    assert settle(open_order(), WON, commission=D(25)).pnl == 0
    for result, commission in ((WON, "25.01"), (LOST, "0.01"), (VOID, "0.01")):
        with pytest.raises(Unprocessable):
            settle(open_order(), result, commission=D(commission))


def test_a_cancelled_order_stays_cancelled() -> None:
    order = open_order().cancel(NOW)
    assert order.cancel(NOW) is order
    assert totals_of_order(order) == OrderTotals(orders_placed=1, orders_cancelled=1)
    with pytest.raises(Conflict):
        settle(order)


# Positions ---------------------------------------------------------------------------------------------------------


def test_a_position_is_the_one_worked_by_hand() -> None:
    """Back home 10 at 3.50 and 20 at 3.00, lay home 15 at 2.80, lay draw 8 at 4.00, back away 5 at 6.00."""
    position = position_of(
        open_order("BACK", "10", "3.50", "home", 1),
        open_order("BACK", "20", "3.00", "home", 2),
        open_order("LAY", "15", "2.80", "home", 3),
        open_order("LAY", "8", "4.00", "draw", 4),
        open_order("BACK", "5", "6.00", "away", 5),
    )
    home, draw, away = (position.get_exposure(selection) for selection in ("home", "draw", "away"))
    # home: wins 25 + 40, lay loses 27; else loses 30, lay wins 15
    assert (home.if_win, home.if_lose, home.exposure) == (D(38), D(-15), D(57))
    assert (draw.if_win, draw.if_lose, draw.exposure) == (D(-24), D(8), D(24))
    assert (away.if_win, away.if_lose, away.exposure) == (D(25), D(-5), D(5))
    assert [exposure.side for exposure in (home, draw, away)] == [BetSide.BACK, BetSide.LAY, BetSide.BACK]
    assert position.exposure == D(86)
    # home wins: 38 + 8 - 5 = 41; draw wins: -15 - 24 - 5 = -44; away wins: -15 + 8 + 25 = 18; another: -12
    assert position.compute_worst_case() == position.compute_worst_case(others=False) == D(44)
    # two winners: home and draw 9, home and away 71, draw and away -14, draw and another -44, two others -12
    assert position.compute_worst_case(2) == D(44)
    assert position.compute_worst_case(2, others=False) == D(14)
    # The cash-out of home at 2.50: (38 + 15) / 2.50 = 21.20; then home earns 38 - 31.80 = 6.20 either way.
    assert home.compute_hedge(D("2.50")) == Hedge(BetSide.LAY, D("2.50"), D("21.20"), D("6.20"), D("6.20"))
    assert draw.compute_hedge(D(4)) == Hedge(BetSide.BACK, D(4), D(8), D(0), D(0))


selections = st.sampled_from(["a", "b", "c"])
bets = st.lists(st.tuples(sides, money, odds, selections), min_size=1, max_size=8)


def open_orders(rows: Any) -> list[BetOrder]:
    """Return an open order for each row of side, stake, odds and selection."""
    return [
        NewOrder("u", "m", selection, side, stake, at).place("demo", f"o{number}", None, NOW)
        for number, (side, stake, at, selection) in enumerate(rows)
    ]


@given(bets, st.integers(1, 3))
@example([(BetSide.LAY, D("10.00"), D("2.00"), "a"), (BetSide.LAY, D("0.01"), D("1.01"), "b")], 1)  # b exposes nothing
def test_the_worst_case_is_that_of_brute_force(rows: Any, winners: int) -> None:
    orders = open_orders(rows)
    outcomes = []
    for bits in range(8):
        won = {name for number, name in enumerate("abc") if bits >> number & 1}
        if len(won) <= winners:  # the other winners are selections without orders
            profits = (
                compute_profit(order.side, order.stake, order.odds, WON if order.selection_id in won else LOST)
                for order in orders
            )
            outcomes.append(sum(profits))
    assert position_of(*orders).compute_worst_case(winners) == max(D(0), -min(outcomes))


@given(bets)
def test_the_worst_case_is_at_most_the_gross_exposure(rows: Any) -> None:
    position = position_of(*open_orders(rows))
    gross = sum(exposure.exposure for exposure in position.selections.values())
    assert position.compute_worst_case() <= position.exposure == gross


@given(bets, selections, odds, st.decimals(min_value=0, max_value=1, places=3))
def test_a_hedge_never_raises_the_worst_case(rows: Any, selection: str, at: D, part: D) -> None:
    """Up to the cent by which the winnings of the hedge are rounded."""
    position = position_of(*open_orders(rows))
    before = position.get_exposure(selection)
    hedge = before.compute_hedge(at)
    if hedge is None:
        return
    side = hedge.side
    stake = (hedge.stake * part).quantize(D("0.01"), rounding="ROUND_DOWN")
    if not stake:
        return
    hedging = NewOrder("u", "m", selection, side, stake, at).place("demo", "h", None, NOW)
    hedged = position.apply([(None, hedging)], NOW)
    after = hedged.get_exposure(selection)
    if side is BetSide.LAY:
        assert hedged.compute_worst_case() <= position.compute_worst_case() + D("0.01")
    else:  # a BACK hedges a LAY if the selection wins; in the other outcomes the lay pays the stake of the BACK
        assert after.if_win >= before.if_win
        assert compute_worst_case([after]) <= compute_worst_case([before]) + D("0.01")


def test_selections_without_open_orders_and_profit_make_room_for_others() -> None:
    back, void = open_order("BACK", selection="a", number=1), open_order("LAY", selection="b", number=2)
    position = position_of(back, void, open_order(selection="c", number=3))
    position = position.apply([(back, back.cancel(NOW)), (void, settle(void, VOID))], NOW)
    assert list(position.selections) == ["c"]
    assert [event.data["exposure"] for event in position.events] == ["0.00", "0.00"]
    assert list(position_of(back.cancel(NOW), settle(void, VOID)).selections) == []


def test_each_selection_has_the_time_at_which_its_own_orders_changed() -> None:
    later = NOW + timedelta(hours=1)
    before = position_of(open_order(selection="a", number=1))
    both = before.apply([(None, open_order(selection="b", number=2))], later)
    assert [both.get_changed_at(selection) for selection in "ab"] == [NOW, later]
    times = [format_time(time) for time in (NOW, later)]
    assert [selection_view(both, selection, OddsLadder.TWO_DECIMALS)["updated_at"] for selection in "ab"] == times
    assert BettingPosition.from_item(both.to_item()) == both


# Totals ------------------------------------------------------------------------------------------------------------


def test_the_totals_of_a_user_are_those_worked_by_hand() -> None:
    won = settle(open_order("BACK", "10", "3.50", "home", 1), WON)  # +25
    lay = settle(open_order("LAY", "20", "2.00", "draw", 2), LOST)  # +20
    lost = settle(open_order("BACK", "40", "2.00", "away", 3), LOST)  # -40
    void = settle(open_order("BACK", "7", "2.00", "away", 4), VOID)
    orders = (won, lay, lost, void, open_order("LAY", "5", "4.00", "x", 5))
    totals = sum_totals(totals_of_order(order) for order in orders)
    assert (totals.total_stake, totals.total_payout, totals.profit) == (D(82), D(82), D(5))  # 35 + 40 + 0 + 7
    assert (totals.settled_stake, totals.settled_profit) == (D(70), D(5))
    assert (totals.roi, totals.win_rate) == (D("7.1429"), D("66.6667"))  # 5 / 70, 2 of 3
    assert (totals.open_stake, totals.open_exposure) == (D(5), D(15))
    counts = (totals.orders_placed, totals.orders_settled, totals.orders_won, totals.orders_void)
    assert counts == (5, 3, 2, 1)
    assert (OrderTotals().roi, OrderTotals().win_rate) == (D(0), D(0))


steps = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["settle", "cancel"]), results), max_size=10)


@given(bets, steps)
def test_totals_changed_by_differences_equal_the_fold_of_the_orders(rows: Any, changes: Any) -> None:
    orders = open_orders(rows)
    position, totals = no_orders(), OrderTotals()
    for order in orders:
        position, totals = position.apply([(None, order)], NOW), totals.plus(totals_of_order(order))
    for number, change, result in changes:
        before = orders[number % len(orders)]
        try:
            after = before.cancel(NOW) if change == "cancel" else settle(before, result)
        except Refusal:
            continue
        orders[number % len(orders)] = after
        position = position.apply([(before, after)], NOW)
        totals = totals.plus(totals_of_order(after).minus(totals_of_order(before)))
    totals = replace(totals, open_worst_case=position.compute_worst_case(None))
    folded = position_of(*orders)
    assert (position.selections, position.totals) == (folded.selections, folded.totals)
    assert totals == position.totals
    assert replace(totals, open_worst_case=D(0)) == sum_totals(totals_of_order(order) for order in orders)


@given(st.builds(OrderTotals, st.integers(0, 99), total_stake=money, profit=money))
def test_totals_are_stored_in_whole_cents_and_read_back(totals: OrderTotals) -> None:
    assert OrderTotals.from_cents(totals.to_cents()) == totals


# Markets -----------------------------------------------------------------------------------------------------------


def test_a_closed_market_has_a_result_for_every_selection() -> None:
    market = enter_results(
        "demo", "m", StatedResults(("b", "a", "a"), ("v",), number_of_winners=2), D(5), by="p", now=NOW
    )
    kinds = [market.settlement_request(selection).result.kind for selection in "abvx"]
    assert kinds == [ResultKind.WON, ResultKind.WON, ResultKind.VOID, ResultKind.LOST]
    assert market.is_same_settlement(
        enter_results("demo", "m", StatedResults(("a", "b"), ("v",), number_of_winners=2), D("5.0"), by="q", now=NOW)
    )
    with pytest.raises(Unprocessable):
        enter_results("demo", "m", StatedResults(("a",), ("a",)), D(0), by="p", now=NOW)


def test_commission_is_charged_once_on_the_net_winnings_in_the_market() -> None:
    market = enter_results("demo", "m", StatedResults(("home",)), D(5), by="p", now=NOW)
    back, lay = open_order("BACK", "10", "3.50", "home", 1), open_order("LAY", "8", "4.00", "draw", 2)
    both = position_of(back, lay)
    half = both.apply([(back, settle(back, WON))], NOW)
    assert half.charge(market) is half  # the other order is open
    done = half.apply([(lay, settle(lay, LOST))], NOW).charge(market)
    assert (done.market_commission, done.totals.profit, done.totals.commission) == (D("1.65"), D("31.35"), D("1.65"))
    assert done.charge(market) is done
    assert market.compute_commission(D(33), D(2)) == 0  # the commission of single orders counts
    assert market.compute_commission(D(-1), D(0)) == 0
