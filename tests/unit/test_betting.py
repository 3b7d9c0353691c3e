"""What bets come to: exposure, payouts, positions and sums, worked by hand and held as rules."""

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimtab.betting.adapters import items
from trimtab.betting.domain.insights import Insight, require_value
from trimtab.betting.domain.markets import closed
from trimtab.betting.domain.orders import Asked, NewOrder, Order
from trimtab.betting.domain.positions import Position, fold, worst_case
from trimtab.betting.domain.results import Result, Side, Verdict, exposure, payout, profit, verdict_of
from trimtab.betting.domain.tally import Stakes, Sum, Tally, stakes, tally, total
from trimtab.betting.schemas.requests import SettleOrder
from trimtab.betting.schemas.views import selection_view
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Refusal, Unprocessable
from trimtab.kernel.money import to_money

D = Decimal
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
THIRD = Fraction(1, 3)
WON, LOST, VOID = Verdict(Result.WON), Verdict(Result.LOST), Verdict(Result.VOID)
HALF_WON, HALF_LOST = Verdict(Result.HALF_WON), Verdict(Result.HALF_LOST)
DEAD_HEAT = Verdict(Result.DEAD_HEAT, Fraction(1, 2))
VERDICTS = (WON, LOST, VOID, HALF_WON, HALF_LOST, DEAD_HEAT, Verdict(Result.DEAD_HEAT, THIRD))

money = st.decimals(min_value=D("0.01"), max_value=D("100000"), places=2)
odds = st.decimals(min_value=D("1.01"), max_value=D("1000"), places=2)
verdicts = st.sampled_from(VERDICTS)
sides = st.sampled_from(list(Side))


def order(side: str = "BACK", stake: str = "10", at: str = "3.50", selection: str = "home", number: int = 1) -> Order:
    """An open order on the market m."""
    new = NewOrder("u", "m", selection, Side(side), D(stake), D(at))
    return new.placed("demo", f"o{number}", None, NOW)


def settled(it: Order, verdict: Verdict = WON, **members: Any) -> Order:
    """The order, settled."""
    return it.settled(Asked(verdict, **members), by="p", now=NOW)


def position(*orders: Order) -> Position:
    """The position of these orders."""
    return fold(Position(tenant_id="demo", user_id="u", market_id="m", updated_at=NOW), orders, None)


@pytest.mark.parametrize(
    ("side", "verdict", "paid", "earned"),
    [
        # BACK 10 at 3.50 exposes 10 and can earn 25.
        ("BACK", WON, "35.00", "25.00"),
        ("BACK", LOST, "0.00", "-10.00"),
        ("BACK", VOID, "10.00", "0.00"),
        ("BACK", HALF_WON, "22.50", "12.50"),  # 5 at 3.50 is 17.50, and 5 back
        ("BACK", HALF_LOST, "5.00", "-5.00"),
        ("BACK", DEAD_HEAT, "17.50", "7.50"),  # 5 at 3.50, and 5 lost
        ("BACK", Verdict(Result.DEAD_HEAT, THIRD), "11.67", "1.67"),  # 10/3 at 3.50
        # LAY 10 at 3.50 exposes 25 and can earn 10.
        ("LAY", WON, "0.00", "-25.00"),
        ("LAY", LOST, "35.00", "10.00"),
        ("LAY", VOID, "25.00", "0.00"),
        ("LAY", HALF_WON, "12.50", "-12.50"),
        ("LAY", HALF_LOST, "30.00", "5.00"),
        ("LAY", DEAD_HEAT, "17.50", "-7.50"),
        ("LAY", Verdict(Result.DEAD_HEAT, THIRD), "23.33", "-1.67"),
    ],
)
def test_payouts_and_profits_worked_by_hand(side: str, verdict: Verdict, paid: str, earned: str) -> None:
    it = settled(order(side), verdict)
    assert it.exposure == (D(10) if side == "BACK" else D(25))
    assert (it.payout, it.pnl) == (D(paid), D(earned))


@given(money, odds, verdicts)
def test_a_lay_is_the_mirror_of_a_back(stake: D, at: D, verdict: Verdict) -> None:
    assert profit(Side.LAY, stake, at, verdict) == -profit(Side.BACK, stake, at, verdict)


@given(sides, money, odds)
def test_a_winner_is_paid_stake_times_odds_a_loser_nothing_a_void_its_exposure(side: Side, stake: D, at: D) -> None:
    winning, losing = (WON, LOST) if side is Side.BACK else (LOST, WON)
    assert payout(side, stake, at, winning) == to_money(stake * at)
    assert payout(side, stake, at, losing) == 0
    assert payout(side, stake, at, VOID) == exposure(side, stake, at)


@given(sides, money, odds, verdicts)
def test_no_order_loses_more_than_its_exposure(side: Side, stake: D, at: D, verdict: Verdict) -> None:
    assert payout(side, stake, at, verdict) >= 0
    assert profit(side, stake, at, verdict) >= -exposure(side, stake, at)


def test_a_verdict_is_written_and_read_again_and_a_factor_belongs_to_a_dead_heat() -> None:
    assert [verdict_of(each.text()) for each in VERDICTS] == list(VERDICTS)
    assert (DEAD_HEAT.text(), Verdict(Result.DEAD_HEAT, THIRD).text()) == ("dead_heat:1/2", "dead_heat:1/3")
    assert verdict_of("dead_heat:0.5") == DEAD_HEAT  # as it was written once
    half, whole, nothing = Fraction(1, 2), Fraction(1), Fraction()
    for wrong in (
        (Result.WON, half),
        (Result.DEAD_HEAT, None),
        (Result.DEAD_HEAT, whole),
        (Result.DEAD_HEAT, nothing),
    ):
        with pytest.raises(Unprocessable):
            Verdict(*wrong)


factors = st.builds(Fraction, st.integers(1, 8), st.integers(9, 12)) | st.sampled_from([Fraction(1, 7), Fraction(2, 3)])


@given(sides, st.integers(1, 2000).map(lambda cents: D(cents) / 100), odds, factors)
@example(Side.LAY, D("10.00"), D("3.00"), THIRD)  # breaks even, as do the next three
@example(Side.BACK, D("6.00"), D("6.00"), Fraction(1, 6))
@example(Side.BACK, D("7.00"), D("7.00"), Fraction(1, 7))
@example(Side.LAY, D("1.50"), D("1.50"), Fraction(2, 3))
@example(Side.BACK, D("0.10"), D("6.75"), THIRD)  # earns half a cent more than 0.12
@example(Side.BACK, D("0.17"), D("1.50"), THIRD)  # loses half a cent more than 0.08
def test_a_dead_heat_is_reckoned_exactly_and_rounded_once(side: Side, stake: D, at: D, factor: Fraction) -> None:
    exact = side.sign * (factor * Fraction(stake * (at - 1)) - (1 - factor) * Fraction(stake))
    it = settled(order(side.value, str(stake), str(at)), Verdict(Result.DEAD_HEAT, factor))
    cents = (D((abs(exact) * 10**9).__floor__()) / 10**9).quantize(D("0.01"), rounding=ROUND_HALF_UP)
    assert it.pnl == (cents if exact > 0 else -cents)
    assert it.has_won is (exact > 0)


def test_a_factor_is_the_same_however_it_is_written() -> None:
    for same in (["1/2", "0.5", D("0.50"), "5/10"], ["1/3", "2/6"]):
        found = {SettleOrder(result="dead_heat", dead_heat_factor=it).to_domain().request_hash() for it in same}
        assert len(found) == 1


# Settling ----------------------------------------------------------------------------------------------------------


def test_the_same_settlement_again_is_the_first_and_another_is_refused() -> None:
    it = settled(order(), WON, commission=D("1.25"))
    assert it.pnl == D("23.75")
    assert settled(it, WON, commission=D("1.250")) is it
    assert settled(it, WON, commission=D("1.25"), payout=D(35)) is it
    for verdict, commission in ((LOST, D(0)), (WON, D(0))):
        with pytest.raises(Conflict):
            settled(it, verdict, commission=commission)
    with pytest.raises(Conflict):
        settled(it, WON, commission=D("1.25"), payout=D(34))
    with pytest.raises(Conflict):
        it.cancelled(NOW)


def test_a_payout_that_disagrees_needs_a_reason_which_is_kept() -> None:
    with pytest.raises(Unprocessable):
        settled(order(), WON, payout=D(34))
    it = settled(order(), WON, payout=D(34), override_reason="Rule 4 deduction.")
    assert (it.payout, it.pnl) == (D(34), D(24))
    assert it.settlement is not None
    assert (it.settlement.due, it.settlement.override_reason) == (D(35), "Rule 4 deduction.")
    assert settled(it, WON, payout=D(34), override_reason="Rule 4 deduction.") is it
    with pytest.raises(Conflict):
        settled(it, WON)


def test_a_void_order_gives_its_exposure_back_and_nothing_else() -> None:
    with pytest.raises(Unprocessable, match="decides nothing"):
        settled(order(), VOID, payout=D(50), override_reason="A gift.")
    it = settled(order(), VOID, payout=D(10), override_reason="As the rules say.")
    assert (it.pnl, tally(it).settled_stake) == (D(0), D(0))


def test_commission_is_not_more_than_was_won() -> None:
    assert settled(order(), WON, commission=D(25)).pnl == 0
    for verdict, commission in ((WON, "25.01"), (LOST, "0.01"), (VOID, "0.01")):
        with pytest.raises(Unprocessable):
            settled(order(), verdict, commission=D(commission))


def test_a_cancelled_order_stays_so() -> None:
    it = order().cancelled(NOW)
    assert it.cancelled(NOW) is it
    assert tally(it) == Tally(orders_placed=1, orders_cancelled=1)
    with pytest.raises(Conflict):
        settled(it)


# Positions ---------------------------------------------------------------------------------------------------------


def test_a_position_worked_by_hand() -> None:
    """Back home 10 at 3.50 and 20 at 3.00, lay home 15 at 2.80, lay draw 8 at 4.00, back away 5 at 6.00."""
    it = position(
        order("BACK", "10", "3.50", "home", 1),
        order("BACK", "20", "3.00", "home", 2),
        order("LAY", "15", "2.80", "home", 3),
        order("LAY", "8", "4.00", "draw", 4),
        order("BACK", "5", "6.00", "away", 5),
    )
    home, draw, away = it.on("home"), it.on("draw"), it.on("away")
    # home: wins 25 + 40, lay loses 27; else loses 30, lay wins 15
    assert (home.if_win, home.if_lose, home.exposure) == (D(38), D(-15), D(57))
    assert (draw.if_win, draw.if_lose, draw.exposure) == (D(-24), D(8), D(24))
    assert (away.if_win, away.if_lose, away.exposure) == (D(25), D(-5), D(5))
    assert [each.side for each in (home, draw, away)] == [Side.BACK, Side.LAY, Side.BACK]
    assert it.exposure == D(86)
    # home wins: 38 + 8 - 5 = 41; draw wins: -15 - 24 - 5 = -44; away wins: -15 + 8 + 25 = 18; another: -12
    assert it.worst_case() == it.worst_case(others=False) == D(44)
    # two winners: home and draw 9, home and away 71, draw and away -14, draw and another -44, two others -12
    assert it.worst_case(2) == D(44)
    assert it.worst_case(2, others=False) == D(14)
    # The cash-out of home at 2.50: (38 + 15) / 2.50 = 21.20; then home earns 38 - 31.80 = 6.20 either way.
    assert home.hedge(D("2.50")) == (Side.LAY, D("21.2"))
    assert draw.hedge(D("4")) == (Side.BACK, D(8))


def test_the_cash_out_of_a_back_is_back_odds_times_stake_by_lay_odds() -> None:
    on = stakes(order("BACK", "10", "3.50"))
    assert on.hedge(D("2.80")) == (Side.LAY, D("12.5"))  # 3.50 * 10 / 2.80
    assert on.own_odds == D("3.5")
    assert Stakes().hedge(D(2)) is None
    assert Stakes().own_odds is None


selections = st.sampled_from(["a", "b", "c"])
bets = st.lists(st.tuples(sides, money, odds, selections), min_size=1, max_size=8)


def placed(rows: Any) -> list[Order]:
    """Open orders."""
    return [
        NewOrder("u", "m", it[3], it[0], it[1], it[2]).placed("demo", f"o{n}", None, NOW) for n, it in enumerate(rows)
    ]


@given(bets, st.integers(1, 3))
@example([(Side.LAY, D("10.00"), D("2.00"), "a"), (Side.LAY, D("0.01"), D("1.01"), "b")], 1)  # b exposes nothing
def test_the_worst_case_is_that_of_brute_force(rows: Any, winners: int) -> None:
    orders = placed(rows)
    outcomes = []
    for bits in range(8):
        won = {name for number, name in enumerate("abc") if bits >> number & 1}
        if len(won) <= winners:  # the other winners are selections without orders
            outcomes.append(
                sum(profit(it.side, it.stake, it.odds, WON if it.selection_id in won else LOST) for it in orders)
            )
    assert position(*orders).worst_case(winners) == max(D(0), -min(outcomes))


@given(bets)
def test_the_worst_case_is_at_most_the_gross_exposure(rows: Any) -> None:
    it = position(*placed(rows))
    assert it.worst_case() <= it.exposure == sum(each.exposure for each in it.selections.values())


@given(bets, selections, odds, st.decimals(min_value=0, max_value=1, places=3))
def test_a_hedge_never_raises_the_worst_case(rows: Any, selection: str, at: D, part: D) -> None:
    """Up to the cent by which its own potential is rounded."""
    it = position(*placed(rows))
    hedge = it.on(selection).hedge(at)
    if hedge is None:
        return
    side, whole = hedge
    stake = (whole * part).quantize(D("0.01"), rounding="ROUND_DOWN")
    if not stake:
        return
    after = it.changed([(None, NewOrder("u", "m", selection, side, stake, at).placed("demo", "h", None, NOW))], NOW)
    if side is Side.LAY:
        assert after.worst_case() <= it.worst_case() + D("0.01")
    else:  # a BACK hedges a LAY where the selection wins; it costs its stake in the other outcomes, which the lay pays
        assert after.on(selection).if_win >= it.on(selection).if_win
        assert worst_case([after.on(selection)]) <= worst_case([it.on(selection)]) + D("0.01")


def test_selections_on_which_nothing_is_left_make_room_for_others() -> None:
    back, void = order("BACK", selection="a", number=1), order("LAY", selection="b", number=2)
    it = position(back, void, order(selection="c", number=3))
    it = it.changed([(back, back.cancelled(NOW)), (void, settled(void, VOID))], NOW)
    assert list(it.selections) == ["c"]
    assert [each.data["exposure"] for each in it.events] == ["0.00", "0.00"]
    assert list(position(back.cancelled(NOW), settled(void, VOID)).selections) == []


def test_a_selection_says_when_its_own_orders_changed() -> None:
    later = NOW + timedelta(hours=1)
    before = position(order(selection="a", number=1))
    both = before.changed([(None, order(selection="b", number=2))], later)
    assert [both.since(each) for each in "ab"] == [NOW, later]
    assert [selection_view(both, each)["updated_at"] for each in "ab"] == [format_time(it) for it in (NOW, later)]
    item = items.from_position(both)
    read = items.to_position(item)
    assert read == both
    rows = {name: row[:-1] for name, row in json.loads(item["selections"]).items()}
    old = items.to_position({**item, "selections": json.dumps(rows)})  # of before the rows had a time
    assert (old.selections, old.since("a")) == (both.selections, later)


# Sums --------------------------------------------------------------------------------------------------------------


def test_the_sums_of_a_user_worked_by_hand() -> None:
    won = settled(order("BACK", "10", "3.50", "home", 1), WON)  # +25
    lay = settled(order("LAY", "20", "2.00", "draw", 2), LOST)  # +20
    lost = settled(order("BACK", "40", "2.00", "away", 3), LOST)  # -40
    void = settled(order("BACK", "7", "2.00", "away", 4), VOID)
    sums = total(tally(it) for it in (won, lay, lost, void, order("LAY", "5", "4.00", "x", 5)))
    assert (sums.total_stake, sums.total_payout, sums.profit) == (D(82), D(82), D(5))  # 35 + 40 + 0 + 7
    assert (sums.settled_stake, sums.settled_profit) == (D(70), D(5))
    assert (sums.roi, sums.win_rate) == (D("7.1429"), D("66.6667"))  # 5 / 70, 2 of 3
    assert (sums.open_stake, sums.open_exposure) == (D(5), D(15))
    assert (sums.orders_placed, sums.orders_settled, sums.orders_won, sums.orders_void) == (5, 3, 2, 1)
    assert (Tally().roi, Tally().win_rate) == (D(0), D(0))


steps = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["settle", "cancel"]), verdicts), max_size=10)


@given(bets, steps)
def test_sums_kept_by_differences_are_the_fold_of_the_orders(rows: Any, changes: Any) -> None:
    orders = placed(rows)
    kept, sums = Position(tenant_id="demo", user_id="u", market_id="m", updated_at=NOW), Tally()
    for it in orders:
        kept, sums = kept.changed([(None, it)], NOW), sums.plus(tally(it))
    for number, what, verdict in changes:
        before = orders[number % len(orders)]
        try:
            after = before.cancelled(NOW) if what == "cancel" else settled(before, verdict)
        except Refusal:
            continue
        orders[number % len(orders)] = after
        kept = kept.changed([(before, after)], NOW)
        sums = sums.plus(tally(after).minus(tally(before)))
    made = fold(Position(tenant_id="demo", user_id="u", market_id="m", updated_at=NOW), orders, None)
    assert (kept.selections, kept.tally) == (made.selections, made.tally)
    assert sums == kept.tally == total(tally(it) for it in orders)


@given(st.builds(Tally, st.integers(0, 99), total_stake=money, profit=money))
def test_sums_are_whole_cents_and_back(sums: Sum) -> None:
    assert Tally.from_whole(sums.whole()) == sums


# Markets -----------------------------------------------------------------------------------------------------------


def test_a_market_says_how_each_selection_ended() -> None:
    market = closed("demo", "m", ["b", "a", "a"], ["v"], D(5), by="p", now=NOW)
    assert [market.asked(each).verdict.result for each in "abvx"] == [Result.WON, Result.WON, Result.VOID, Result.LOST]
    assert market.request_hash == closed("demo", "m", ["a", "b"], ["v"], D("5.0"), by="q", now=NOW).request_hash
    with pytest.raises(Unprocessable):
        closed("demo", "m", ["a"], ["a"], D(0), by="p", now=NOW)


def test_commission_is_taken_once_on_what_was_won_in_the_market_in_all() -> None:
    market = closed("demo", "m", ["home"], [], D(5), by="p", now=NOW)
    back, lay = order("BACK", "10", "3.50", "home", 1), order("LAY", "8", "4.00", "draw", 2)
    both = position(back, lay)
    half = both.changed([(back, settled(back, WON))], NOW)
    assert half.charged(market) is half  # the other order is open
    done = half.changed([(lay, settled(lay, LOST))], NOW).charged(market)
    assert (done.market_commission, done.tally.profit, done.tally.commission) == (D("1.65"), D("31.35"), D("1.65"))
    assert done.charged(market) is done
    assert market.commission(D(33), D(2)) == 0  # what was taken with single orders counts
    assert market.commission(D(-1), D(0)) == 0


@pytest.mark.parametrize(
    ("side", "value", "is_fine"),
    [("BACK", "0.05", True), ("BACK", "0.04", False), ("LAY", "0.05", False), ("LAY", "-0.05", True)],
)
def test_an_order_needs_the_expected_value_that_the_policy_asks_for(side: str, value: str, is_fine: bool) -> None:
    insight = Insight("m", "s", D("0.5"), D(value), D(0), NOW)
    require_value(insight, Side(side), None)
    require_value(None, Side(side), D("0.05"))
    if is_fine:
        require_value(insight, Side(side), D("0.05"))
    else:
        with pytest.raises(Unprocessable):
            require_value(insight, Side(side), D("0.05"))
