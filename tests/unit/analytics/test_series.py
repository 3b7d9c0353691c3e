"""The series of daily values of a portfolio."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.analytics.domain.daily_value import CASH, DailyValue
from trimtab.analytics.domain.performance import compute_daily_returns, select_window
from trimtab.analytics.domain.series import LOOK_BACK, Closes, compute_daily_values
from trimtab.analytics.domain.windows import Span, Window
from trimtab.contracts.portfolios import CashMovement, LedgerTrade
from trimtab.contracts.quotes import Split
from trimtab.kernel.money import plain, to_percent
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side, TradeEffect, fold

MONDAY = date(2026, 3, 2)
WEEK = [MONDAY + timedelta(days=days) for days in range(5)]


def at(day: date, hour: int = 15) -> datetime:
    """Return an instant of the day."""
    return datetime.combine(day, time(hour), tzinfo=UTC)


def trade(
    symbol: str,
    side: str,
    quantity: str,
    amount: str,
    when: datetime,
    *,
    fees: Decimal = Decimal(0),
    moves_cash: bool = True,
    ref_id: str | None = None,
) -> LedgerTrade:
    """Return a trade with a name of its own."""
    name = ref_id or f"{symbol}{side}{when.isoformat()}{quantity}"
    sign = 1 if side == "BUY" else -1
    proceeds = -sign * Decimal(amount) - fees
    return LedgerTrade(name, symbol, sign * Decimal(quantity), Decimal(amount), proceeds, when, moves_cash)


def deposit(amount: str, when: datetime, *, is_external: bool = True) -> CashMovement:
    """Return cash that came in."""
    return CashMovement(when, Decimal(amount), is_external)


def closes(**prices: Sequence[str | None]) -> Closes:
    """Return closes of the week by symbol; None for a day without a bar."""
    return {
        symbol: {day: Decimal(price) for day, price in zip(WEEK, of_days, strict=False) if price is not None}
        for symbol, of_days in prices.items()
    }


def test_holdings_times_closes_and_cash_are_the_value_of_each_day() -> None:
    # Deposit 1,000; buy 10 at 50 with 1 of fees: 499 cash. Tuesday they close at 55: 550 + 499. Wednesday 4 are sold at
    # 60 with 1 of fees: 738 cash, and 6 of them at 62 are 372.
    found = compute_daily_values(
        [
            trade("ACME", "BUY", "10", "500", at(MONDAY), fees=Decimal(1)),
            trade("ACME", "SELL", "4", "240", at(WEEK[2]), fees=Decimal(1)),
        ],
        [deposit("1000", at(MONDAY, 9))],
        {},
        closes(ACME=["51", "55", "62"]),
        WEEK[:3],
    )
    assert [day.value for day in found] == [Decimal(1009), Decimal(1049), Decimal(1110)]
    assert [day.cash for day in found] == [Decimal(499), Decimal(499), Decimal(738)]
    assert [day.flow for day in found] == [Decimal(1000), Decimal(0), Decimal(0)]
    assert found[2].weights == {"ACME": Decimal("33.5135"), CASH: Decimal("66.4865")}
    assert found[2].quantities == {"ACME": Decimal(6)}


def test_a_day_ends_at_midnight_utc_and_a_weekend_belongs_to_the_next_trading_day() -> None:
    friday, next_monday = WEEK[4], MONDAY + timedelta(days=7)
    late = datetime.combine(friday, time(23, 59, 59, 999999), tzinfo=UTC)
    found = compute_daily_values(
        [], [deposit("1", late), deposit("2", late + timedelta(microseconds=1))], {}, {}, [friday, next_monday]
    )
    assert [(day.day, day.flow, day.value) for day in found] == [
        (friday, Decimal(1), Decimal(1)),
        (next_monday, Decimal(2), Decimal(3)),
    ]


def test_nothing_is_there_before_the_first_event_and_nothing_at_all_without_one() -> None:
    assert [day.day for day in compute_daily_values([], [deposit("1", at(WEEK[3]))], {}, {}, WEEK)] == WEEK[3:]
    assert compute_daily_values([], [], {"ACME": [Split(at(MONDAY), Decimal(2), Decimal(1))]}, {}, WEEK) == []


def test_a_dividend_is_earned_and_a_deposit_is_not() -> None:
    movements = [deposit("100", at(MONDAY)), deposit("5", at(WEEK[1]), is_external=False)]
    found = compute_daily_values([], movements, {}, {}, WEEK[:2])
    assert [(day.value, day.flow) for day in found] == [(Decimal(100), Decimal(100)), (Decimal(105), Decimal(0))]


def test_a_trade_that_moves_no_cash_was_paid_from_outside_with_its_fees() -> None:
    found = compute_daily_values(
        [
            trade("ACME", "BUY", "10", "500", at(MONDAY), moves_cash=False, fees=Decimal(2)),
            trade("ACME", "SELL", "5", "300", at(WEEK[1]), moves_cash=False, fees=Decimal(2)),
        ],
        [],
        {},
        closes(ACME=["50", "60"]),
        WEEK[:2],
    )
    assert [(day.value, day.cash, day.flow) for day in found] == [
        (Decimal(500), Decimal(0), Decimal(502)),
        (Decimal(300), Decimal(0), Decimal(-298)),
    ]


def test_transferred_units_without_an_earlier_close_are_a_flow_of_their_value_at_the_end_of_the_day() -> None:
    """ACME has no close, so it has the price of its cost; a split comes between a weekend's transfer and its day."""
    came_in = replace(trade("ACME", "BUY", "4", "80", at(MONDAY)), proceeds=Decimal(0), is_transfer=True)
    went_out = replace(trade("ACME", "SELL", "4", "0", at(WEEK[2])), is_transfer=True)
    sunday = at(MONDAY - timedelta(days=1))
    other = replace(trade("OTHER", "BUY", "10", "100", sunday), proceeds=Decimal(0), is_transfer=True)
    split = {"OTHER": [Split(at(MONDAY, 0), Decimal(2), Decimal(1))]}
    found = compute_daily_values([came_in, went_out, other], [], split, closes(OTHER=["6", "7", "8"]), WEEK[:3])
    assert [(day.value, day.flow) for day in found] == [
        (Decimal(200), Decimal(200)),  # 4 at 20 and 20 at 6
        (Decimal(220), Decimal(0)),
        (Decimal(160), Decimal(-80)),
    ]


def test_a_transfer_in_counts_from_the_start_of_its_day_at_the_last_close_before() -> None:
    """10 ACME at 10 are held. On Tuesday ACME rises by 10 %, and 10 OTHER come in, which rise from 8 to 10.

    The portfolio begins Tuesday with 100 and 80, and ends with 110 and 100: 16.6667 %. Valued at the close, the same
    units told 5 %, less than each of the two assets. On Wednesday a split doubles OTHER, and 4 more come in at 5.
    """
    came_in = replace(trade("OTHER", "BUY", "10", "60", at(WEEK[1])), proceeds=Decimal(0), is_transfer=True)
    more = replace(trade("OTHER", "BUY", "4", "1", at(WEEK[2])), proceeds=Decimal(0), is_transfer=True)
    held = trade("ACME", "BUY", "10", "100", at(MONDAY), moves_cash=False)
    split = {"OTHER": [Split(at(WEEK[2], 0), Decimal(2), Decimal(1))]}
    prices = closes(ACME=["10", "11", "11"], OTHER=["8", "10", "6"])
    found = compute_daily_values([held, came_in, more], [], split, prices, WEEK[:3])
    assert [(plain(day.value), plain(day.flow)) for day in found] == [("100", "100"), ("210", "80"), ("254", "20")]
    returns = compute_daily_returns(select_window(found, Window(Span.CUSTOM, MONDAY, WEEK[2])))
    assert {day: to_percent(change * 100) for day, change in returns.by_day.items()} == {
        WEEK[1]: Decimal("16.6667"),
        WEEK[2]: Decimal("10.4348"),  # 254 of 210 and 20
    }


def test_a_transfer_in_and_out_of_one_day_is_no_flow_and_out_is_valued_at_the_close() -> None:
    came_in = replace(trade("ACME", "BUY", "4", "40", at(WEEK[1], 14)), proceeds=Decimal(0), is_transfer=True)
    went_out = replace(trade("ACME", "SELL", "4", "0", at(WEEK[1], 16)), is_transfer=True)
    last = replace(trade("ACME", "SELL", "1", "0", at(WEEK[2])), is_transfer=True)
    held = trade("ACME", "BUY", "1", "10", at(MONDAY), moves_cash=False)
    found = compute_daily_values([held, came_in, went_out, last], [], {}, closes(ACME=["10", "11", "12"]), WEEK[:3])
    assert [(plain(day.value), plain(day.flow)) for day in found] == [("10", "10"), ("11", "0"), ("0", "-12")]


def test_free_units_without_a_close_are_worth_nothing_until_they_have_a_price() -> None:
    free = replace(trade("ACME", "BUY", "4", "0", at(MONDAY)), proceeds=Decimal(0))
    found = compute_daily_values([free], [deposit("1", at(MONDAY))], {}, closes(ACME=[None, "3"]), WEEK[:2])
    assert [(day.value, day.flow, day.at_trade_price) for day in found] == [
        (Decimal(1), Decimal(1), ("ACME",)),
        (Decimal(13), Decimal(0), ()),
    ]


def test_a_split_changes_the_quantity_and_not_the_value() -> None:
    split = {"ACME": [Split(at(WEEK[1], 0), Decimal(4), Decimal(1))]}
    found = compute_daily_values(
        [trade("ACME", "BUY", "10", "1000", at(MONDAY), moves_cash=False)],
        [],
        split,
        closes(ACME=["100", "25"]),
        WEEK[:2],
    )
    assert [(day.quantities["ACME"], day.value) for day in found] == [
        (Decimal(10), Decimal(1000)),
        (Decimal(40), Decimal(1000)),
    ]


def test_a_sell_that_a_late_split_made_larger_than_the_holding_ends_the_holding() -> None:
    """10 become 1, of which 4 were sold at 16: nothing is left, as in the holdings, and never -3 for -48."""
    trades = [trade("ACME", "BUY", "10", "1000", at(MONDAY)), trade("ACME", "SELL", "4", "64", at(WEEK[2]))]
    reverse = Split(at(WEEK[1], 14), new=Decimal(1), old=Decimal(10))
    found = compute_daily_values(
        trades, [deposit("1000", at(MONDAY, 9))], {"ACME": [reverse]}, closes(ACME=["100", "16", "16"]), WEEK[:3]
    )
    assert [day.value for day in found] == [Decimal(1000), Decimal(16), Decimal(64)]
    assert found[-1].quantities == {}


def test_a_day_without_a_bar_takes_the_last_close_and_says_so_also_across_a_split() -> None:
    split = {"ACME": [Split(at(WEEK[2], 0), Decimal(4), Decimal(1))]}
    found = compute_daily_values(
        [trade("ACME", "BUY", "10", "900", at(MONDAY), moves_cash=False)],
        [],
        split,
        closes(ACME=["100", None, None, "26"]),
        WEEK[:4],
    )
    assert [day.value for day in found] == [1000, 1000, 1000, 1040]
    assert [day.stale for day in found] == [(), ("ACME",), ("ACME",), ()]
    assert found[2].prices == {"ACME": Decimal(25)}
    assert not any(day.at_trade_price for day in found)


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")])
def test_the_ids_of_buys_at_one_instant_do_not_change_the_price(ids: tuple[str, str]) -> None:
    bought = [
        trade("RARE", "BUY", "1", amount, at(MONDAY), moves_cash=False, ref_id=ref_id)
        for ref_id, amount in zip(ids, ("10", "12"), strict=True)
    ]
    for order in (bought, bought[::-1]):
        assert compute_daily_values(order, [], {}, {}, [MONDAY])[0].prices == {"RARE": Decimal(12)}


def test_a_symbol_that_never_closed_is_valued_at_its_last_trade_and_named() -> None:
    found = compute_daily_values(
        [
            trade("RARE", "BUY", "3", "10", at(MONDAY), moves_cash=False),
            trade("RARE", "BUY", "3", "12", at(WEEK[1]), moves_cash=False),
        ],
        [],
        {},
        closes(RARE=[None, None, None, "5"]),
        WEEK[:4],
    )
    assert [day.value for day in found] == [Decimal("9.999999999"), 24, 24, 30]
    assert [day.at_trade_price for day in found] == [("RARE",), ("RARE",), ("RARE",), ()]
    assert [day.stale for day in found] == [("RARE",), ("RARE",), ("RARE",), ()]


def test_what_is_bought_on_a_day_without_a_bar_takes_the_close_before() -> None:
    bought = [trade("ACME", "BUY", "1", "90", at(WEEK[1]), moves_cash=False)]
    (found,) = compute_daily_values(bought, [], {}, closes(ACME=["100"]), WEEK[1:2])
    assert (found.value, found.stale, found.at_trade_price) == (Decimal(100), ("ACME",), ())


def test_a_close_from_long_before_the_purchase_does_not_count_and_one_that_is_held_is_carried_on() -> None:
    bought = [trade("ACME", "BUY", "1", "90", at(MONDAY), moves_cash=False)]
    much_later = MONDAY + timedelta(days=98)
    for age, price, trade_priced in ((14, 100, ()), (15, 90, ("ACME",))):
        old: Closes = {"ACME": {MONDAY - timedelta(days=age): Decimal(100)}}
        first, last = compute_daily_values(bought, [], {}, old, [MONDAY, much_later])
        assert first.value == last.value == price
        assert first.at_trade_price == last.at_trade_price == trade_priced
        assert last.stale == ("ACME",)


def test_cash_below_zero_counts_and_weights_still_sum_to_100() -> None:
    bought = [trade("ACME", "BUY", "3", "300", at(MONDAY))]
    first, second = compute_daily_values(bought, [deposit("200", at(MONDAY))], {}, closes(ACME=["100", "30"]), WEEK[:2])
    assert first.weights == {"ACME": Decimal(150), CASH: Decimal(-50)}
    assert second.value == -10
    assert not second.weights, "a share of a debt is no weight"


instants = st.builds(lambda day, hour: at(MONDAY + timedelta(days=day), hour), st.integers(0, 40), st.integers(0, 23))
symbols = st.sampled_from("abc")
amounts = st.integers(1, 10**6).map(lambda cents: Decimal(cents).scaleb(-2))
trades = st.lists(
    st.builds(
        trade,
        symbols,
        st.sampled_from(["BUY", "BUY", "SELL"]),
        st.integers(1, 20).map(str),
        amounts.map(str),
        instants,
        fees=st.sampled_from([Decimal(0), Decimal("0.35")]),
        moves_cash=st.booleans(),
        ref_id=st.uuids().map(str),
    ),
    max_size=12,
)
moved_units = st.builds(
    lambda each, amount, is_transfer: replace(each, amount=amount, proceeds=Decimal(0), is_transfer=is_transfer),
    st.builds(trade, symbols, st.sampled_from(["BUY", "SELL"]), st.integers(1, 20).map(str), st.just("0"), instants),
    st.sampled_from([Decimal(0), Decimal(7)]),
    st.booleans(),
)
capital = st.builds(
    LedgerTrade, st.just("roc"), symbols, st.just(Decimal(0)), amounts, amounts, instants, st.booleans()
)
trades_and_movements = st.builds(
    lambda trades, others: [*trades, *others], trades, st.lists(moved_units | capital, max_size=6)
)
movements = st.lists(st.builds(CashMovement, instants, amounts, st.booleans()), max_size=4)
all_splits = st.dictionaries(
    symbols,
    st.lists(
        st.builds(Split, instants, st.integers(1, 7).map(Decimal), st.integers(1, 3).map(Decimal)),
        max_size=2,
        unique_by=lambda split: split.effective_at,
    ),
)
all_closes = st.dictionaries(
    symbols,
    st.dictionaries(st.integers(-30, 40).map(lambda days: MONDAY + timedelta(days=days)), amounts, max_size=10),
)
DAYS = [MONDAY + timedelta(days=days) for days in range(41) if days % 7 < 5]


@given(trades_and_movements, movements, all_splits, all_closes, st.integers(0, len(DAYS)))
def test_extending_a_series_gives_what_making_it_anew_gives(
    trades: list[LedgerTrade],
    movements: list[CashMovement],
    splits: dict[str, list[Split]],
    closes: dict[str, dict[date, Decimal]],
    cut: int,
) -> None:
    whole = compute_daily_values(trades, movements, splits, closes, DAYS)
    begun = compute_daily_values(trades, movements, splits, closes, DAYS[:cut])
    start = begun[-1] if begun else None
    assert begun + compute_daily_values(trades, movements, splits, closes, DAYS, start=start) == whole
    if start is None:
        return
    newer = {
        symbol: {day: price for day, price in of_days.items() if day > start.day - LOOK_BACK}
        for symbol, of_days in closes.items()
    }
    later = [trade for trade in trades if trade.executed_at.date() > start.day]
    extended = compute_daily_values(later, movements, splits, newer, DAYS[cut:], start=start)
    assert begun + extended == whole, "neither the trades before the start nor closes of long ago are needed again"


@given(trades, all_splits)
def test_the_quantities_of_a_series_are_those_of_the_holdings_whatever_splits_contradict(
    trades: list[LedgerTrade], splits: dict[str, list[Split]]
) -> None:
    """Sells of more than the holding are common here, as after a split that was entered late."""
    single = {(each.symbol, each.executed_at): each for each in trades if each.executed_at < at(DAYS[-1], 23)}
    series = compute_daily_values(single.values(), [], splits, {}, DAYS)
    for symbol in {symbol for symbol, _ in single}:
        effects = [effect(each) for each in single.values() if each.symbol == symbol]
        effective = [split for split in splits.get(symbol, ()) if split.effective_at < at(DAYS[-1], 23)]
        holding = fold(Holding(symbol, SecurityType.STOCK), effects, effective, may_oversell=True)
        assert series[-1].quantities.get(symbol, Decimal(0)) == holding.quantity
        assert holding.quantity >= 0
        assert holding.quantity or not holding.cost_basis


def effect(trade: LedgerTrade) -> TradeEffect:
    """Return the effect of a trade on a holding."""
    side, quantity = (Side.BUY if trade.quantity > 0 else Side.SELL), abs(trade.quantity)
    numbers = (quantity, trade.amount, Decimal(0))
    return TradeEffect(trade.ref_id, side, SecurityType.STOCK, trade.symbol, *numbers, trade.executed_at)


@given(trades_and_movements, movements, all_splits, all_closes)
def test_order_of_input_does_not_matter_and_weights_sum_to_100(
    trades: list[LedgerTrade],
    movements: list[CashMovement],
    splits: dict[str, list[Split]],
    closes: dict[str, dict[date, Decimal]],
) -> None:
    found: list[DailyValue] = compute_daily_values(trades, movements, splits, closes, DAYS)
    assert compute_daily_values(trades[::-1], movements[::-1], splits, closes, DAYS[::-1]) == found
    for day in found:
        assert sum(day.weights.values()) == (100 if day.value > 0 else 0)
        assert day.value == day.cash + sum(held * day.prices[symbol] for symbol, held in day.quantities.items())
        assert set(day.at_trade_price) <= set(day.stale) <= set(day.quantities)
