"""The daily value series of a portfolio."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.domain.series import CASH, LOOK_BACK, Closes, Flow, Movement, Snapshot, flows, snapshots
from trimtab.contracts.quotes import Split
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus

MONDAY = date(2026, 3, 2)
WEEK = [MONDAY + timedelta(days=days) for days in range(5)]


class Execution(Struct, frozen=True):
    """A trade as the series sees one."""

    ref_id: str
    symbol: str
    side: str
    quantity: Decimal
    amount: Decimal
    executed_at: datetime
    fees: Decimal = Decimal(0)
    moves_cash: bool = True


def at(day: date, hour: int = 15) -> datetime:
    """An instant of the day."""
    return datetime.combine(day, time(hour), tzinfo=UTC)


def trade(symbol: str, side: str, quantity: str, amount: str, when: datetime, **more: object) -> Execution:
    """An execution with a name of its own."""
    name = f"{symbol}{side}{when.isoformat()}{quantity}"
    return replace(Execution(name, symbol, side, Decimal(quantity), Decimal(amount), when), **more)


def deposit(amount: str, when: datetime, *, is_external: bool = True) -> Movement:
    """Cash that came or went."""
    return Movement(when, Decimal(amount), is_external)


def closes(**prices: Sequence[str | None]) -> Closes:
    """Closes of the week by symbol; None where there was no bar."""
    return {
        symbol: {day: Decimal(price) for day, price in zip(WEEK, of_days, strict=False) if price is not None}
        for symbol, of_days in prices.items()
    }


def test_holdings_times_closes_and_cash_are_the_value_of_each_day() -> None:
    # Deposit 1,000; buy 10 at 50 with 1 of fees: 499 cash. Tuesday they close at 55: 550 + 499. Wednesday 4 are sold at
    # 60 with 1 of fees: 738 cash, and 6 of them at 62 are 372.
    found = snapshots(
        [
            trade("ACME", "BUY", "10", "500", at(MONDAY), fees=Decimal(1)),
            trade("ACME", "SELL", "4", "240", at(WEEK[2]), fees=Decimal(1)),
        ],
        [deposit("1000", at(MONDAY, 9))],
        {},
        closes(ACME=["51", "55", "62"]),
        WEEK[:3],
    )
    assert [it.value for it in found] == [Decimal(1009), Decimal(1049), Decimal(1110)]
    assert [it.cash for it in found] == [Decimal(499), Decimal(499), Decimal(738)]
    assert [it.flow for it in found] == [Decimal(1000), Decimal(0), Decimal(0)]
    assert found[2].weights == {"ACME": Decimal("33.5135"), CASH: Decimal("66.4865")}
    assert found[2].quantities == {"ACME": Decimal(6)}
    assert flows(found) == [Flow(MONDAY, Decimal(1000))]


def test_a_day_ends_at_midnight_utc_and_a_weekend_belongs_to_the_next_trading_day() -> None:
    friday, next_monday = WEEK[4], MONDAY + timedelta(days=7)
    late = datetime.combine(friday, time(23, 59, 59, 999999), tzinfo=UTC)
    found = snapshots(
        [], [deposit("1", late), deposit("2", late + timedelta(microseconds=1))], {}, {}, [friday, next_monday]
    )
    assert [(it.day, it.flow, it.value) for it in found] == [
        (friday, Decimal(1), Decimal(1)),
        (next_monday, Decimal(2), Decimal(3)),
    ]


def test_nothing_is_there_before_the_first_event_and_nothing_at_all_without_one() -> None:
    assert [it.day for it in snapshots([], [deposit("1", at(WEEK[3]))], {}, {}, WEEK)] == WEEK[3:]
    assert snapshots([], [], {"ACME": [Split(at(MONDAY), Decimal(2), Decimal(1))]}, {}, WEEK) == []


def test_a_dividend_is_earned_and_a_deposit_is_not() -> None:
    movements = [deposit("100", at(MONDAY)), deposit("5", at(WEEK[1]), is_external=False)]
    found = snapshots([], movements, {}, {}, WEEK[:2])
    assert [(it.value, it.flow) for it in found] == [(Decimal(100), Decimal(100)), (Decimal(105), Decimal(0))]


def test_a_trade_that_moves_no_cash_was_paid_from_outside_with_its_fees() -> None:
    untracked = {"moves_cash": False, "fees": Decimal(2)}
    found = snapshots(
        [
            trade("ACME", "BUY", "10", "500", at(MONDAY), **untracked),
            trade("ACME", "SELL", "5", "300", at(WEEK[1]), **untracked),
        ],
        [],
        {},
        closes(ACME=["50", "60"]),
        WEEK[:2],
    )
    assert [(it.value, it.cash, it.flow) for it in found] == [
        (Decimal(500), Decimal(0), Decimal(502)),
        (Decimal(300), Decimal(0), Decimal(-298)),
    ]


def test_a_split_changes_the_quantity_and_not_the_value() -> None:
    split = {"ACME": [Split(at(WEEK[1], 0), Decimal(4), Decimal(1))]}
    found = snapshots(
        [trade("ACME", "BUY", "10", "1000", at(MONDAY), moves_cash=False)],
        [],
        split,
        closes(ACME=["100", "25"]),
        WEEK[:2],
    )
    assert [(it.quantities["ACME"], it.value) for it in found] == [
        (Decimal(10), Decimal(1000)),
        (Decimal(40), Decimal(1000)),
    ]


def test_a_day_without_a_bar_takes_the_last_close_and_says_so_also_across_a_split() -> None:
    split = {"ACME": [Split(at(WEEK[2], 0), Decimal(4), Decimal(1))]}
    found = snapshots(
        [trade("ACME", "BUY", "10", "900", at(MONDAY), moves_cash=False)],
        [],
        split,
        closes(ACME=["100", None, None, "26"]),
        WEEK[:4],
    )
    assert [it.value for it in found] == [1000, 1000, 1000, 1040]
    assert [it.stale for it in found] == [(), ("ACME",), ("ACME",), ()]
    assert found[2].prices == {"ACME": Decimal(25)}
    assert not any(it.at_trade_price for it in found)


def test_a_symbol_that_never_closed_is_valued_at_its_last_trade_and_named() -> None:
    found = snapshots(
        [
            trade("RARE", "BUY", "3", "10", at(MONDAY), moves_cash=False),
            trade("RARE", "BUY", "3", "12", at(WEEK[1]), moves_cash=False),
        ],
        [],
        {},
        closes(RARE=[None, None, None, "5"]),
        WEEK[:4],
    )
    assert [it.value for it in found] == [Decimal("9.999999999"), 24, 24, 30]
    assert [it.at_trade_price for it in found] == [("RARE",), ("RARE",), ("RARE",), ()]
    assert [it.stale for it in found] == [("RARE",), ("RARE",), ("RARE",), ()]


def test_what_is_bought_on_a_day_without_a_bar_takes_the_close_before() -> None:
    bought = [trade("ACME", "BUY", "1", "90", at(WEEK[1]), moves_cash=False)]
    (found,) = snapshots(bought, [], {}, closes(ACME=["100"]), WEEK[1:2])
    assert (found.value, found.stale, found.at_trade_price) == (Decimal(100), ("ACME",), ())


def test_a_close_from_long_before_the_purchase_does_not_count_and_one_that_is_held_is_carried_on() -> None:
    bought = [trade("ACME", "BUY", "1", "90", at(MONDAY), moves_cash=False)]
    much_later = MONDAY + timedelta(days=98)
    for age, price, trade_priced in ((14, 100, ()), (15, 90, ("ACME",))):
        old: Closes = {"ACME": {MONDAY - timedelta(days=age): Decimal(100)}}
        first, last = snapshots(bought, [], {}, old, [MONDAY, much_later])
        assert first.value == last.value == price
        assert first.at_trade_price == last.at_trade_price == trade_priced
        assert last.stale == ("ACME",)


def test_cash_below_zero_counts_and_weights_still_sum_to_100() -> None:
    bought = [trade("ACME", "BUY", "3", "300", at(MONDAY))]
    first, second = snapshots(bought, [deposit("200", at(MONDAY))], {}, closes(ACME=["100", "30"]), WEEK[:2])
    assert first.weights == {"ACME": Decimal(150), CASH: Decimal(-50)}
    assert second.value == -10
    assert not second.weights, "a share of a debt is no weight"


def test_the_trades_of_the_ledger_fit() -> None:
    known = Trade(
        tenant_id="t",
        portfolio_id="p",
        user_id="u",
        ref_id="r",
        side=Side.BUY,
        security_type=SecurityType.STOCK,
        symbol="ACME",
        quantity=Decimal(2),
        amount=Decimal(20),
        fees=Decimal(1),
        status=TradeStatus.SUCCESS,
        executed_at=at(MONDAY),
        request_hash="",
        created_at=at(MONDAY),
        updated_at=at(MONDAY),
    )
    (found,) = snapshots([known], [], {}, {}, WEEK[:1])
    assert (found.value, found.flow) == (Decimal(20), Decimal(21))


instants = st.builds(lambda day, hour: at(MONDAY + timedelta(days=day), hour), st.integers(0, 40), st.integers(0, 23))
symbols = st.sampled_from("abc")
amounts = st.integers(1, 10**6).map(lambda cents: Decimal(cents).scaleb(-2))
trades = st.lists(
    st.builds(
        Execution,
        ref_id=st.uuids().map(str),
        symbol=symbols,
        side=st.sampled_from(["BUY", "BUY", "SELL"]),
        quantity=st.integers(1, 20).map(Decimal),
        amount=amounts,
        executed_at=instants,
        fees=st.sampled_from([Decimal(0), Decimal("0.35")]),
        moves_cash=st.booleans(),
    ),
    max_size=12,
)
movements = st.lists(st.builds(Movement, instants, amounts, st.booleans()), max_size=4)
all_splits = st.dictionaries(
    symbols,
    st.lists(
        st.builds(Split, instants, st.integers(1, 7).map(Decimal), st.integers(1, 3).map(Decimal)),
        max_size=2,
        unique_by=lambda it: it.effective_at,
    ),
)
all_closes = st.dictionaries(
    symbols,
    st.dictionaries(st.integers(-30, 40).map(lambda days: MONDAY + timedelta(days=days)), amounts, max_size=10),
)
DAYS = [MONDAY + timedelta(days=days) for days in range(41) if days % 7 < 5]


@given(trades, movements, all_splits, all_closes, st.integers(0, len(DAYS)))
def test_extending_a_series_gives_what_making_it_anew_gives(
    trades: list[Execution],
    movements: list[Movement],
    splits: dict[str, list[Split]],
    closes: dict[str, dict[date, Decimal]],
    cut: int,
) -> None:
    whole = snapshots(trades, movements, splits, closes, DAYS)
    begun = snapshots(trades, movements, splits, closes, DAYS[:cut])
    start = begun[-1] if begun else None
    assert begun + snapshots(trades, movements, splits, closes, DAYS, start=start) == whole
    if start is None:
        return
    newer = {
        symbol: {day: price for day, price in of_days.items() if day > start.day - LOOK_BACK}
        for symbol, of_days in closes.items()
    }
    later = [it for it in trades if it.executed_at.date() > start.day]
    extended = snapshots(later, movements, splits, newer, DAYS[cut:], start=start)
    assert begun + extended == whole, "neither the trades before the start nor closes of long ago are needed again"


@given(trades, movements, all_splits, all_closes)
def test_order_of_input_does_not_matter_and_weights_sum_to_100(
    trades: list[Execution],
    movements: list[Movement],
    splits: dict[str, list[Split]],
    closes: dict[str, dict[date, Decimal]],
) -> None:
    found: list[Snapshot] = snapshots(trades, movements, splits, closes, DAYS)
    assert snapshots(trades[::-1], movements[::-1], splits, closes, DAYS[::-1]) == found
    for it in found:
        assert sum(it.weights.values()) == (100 if it.value > 0 else 0)
        assert it.value == it.cash + sum(held * it.prices[symbol] for symbol, held in it.quantities.items())
        assert set(it.at_trade_price) <= set(it.stale) <= set(it.quantities)
