"""The fold that makes a holding, its step that adds one trade, and splits."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import NOW
from trimtab.contracts.quotes import Quote, Split, from_item, to_item
from trimtab.kernel.errors import Unprocessable
from trimtab.portfolios.portfolio import holdings_text
from trimtab.portfolios.portfolio.holdings import Execution, Holding, SecurityType, Side, fold

EMPTY = Holding("A", SecurityType.STOCK)
HOUR = timedelta(hours=1)


def step(side: str, quantity: Any, amount: Any, at: int, fees: Any = 0, ref_id: str = "t") -> Execution:
    """A trade at that hour."""
    number, gross, fee = (Decimal(str(it)) for it in (quantity, amount, fees))
    return Execution(ref_id, Side(side), "A", number, gross, fee, NOW + at * HOUR)


def split(at: int, new: Any, old: Any = 1) -> Split:
    """A split at that hour."""
    return Split(NOW + at * HOUR, Decimal(str(new)), Decimal(str(old)))


@pytest.mark.parametrize(
    ("trades", "splits", "sums"),
    [
        ([], [], (0, 0, 0)),
        ([step("BUY", 3, 10, 1)], [], (3, 10, 0)),
        ([step("BUY", 3, 10, 1), step("SELL", 1, 5, 2)], [], (2, "6.67", "1.67")),  # 10/3 is 3.33
        ([step("BUY", 3, "0.01", 1), step("SELL", 1, 0, 2)], [], (2, "0.01", 0)),  # a third of a cent is none
        ([step("SELL", 2, 9, 2, 1), step("BUY", 2, 6, 1, 1)], [], (0, 0, 1)),  # any order; fees 1 and 1
        ([step("BUY", 2, 6, 1), step("SELL", 6, 9, 2)], [split(2, 3)], (0, 0, 3)),
        ([step("BUY", 2, 6, 1), step("BUY", 1, 6, 3)], [split(2, 1, 4)], ("1.5", 12, 0)),
        ([step("BUY", 10, 6, 1)], [split(2, 1, 3)], ("3.333333333", 6, 0)),
        ([step("BUY", 10, 6, 5)], [split(2, 7)], (10, 6, 0)),
        ([step("BUY", 1, 5, 1, ref_id="a"), step("SELL", 1, 5, 1, ref_id="b")], [], (0, 0, 0)),  # ties by id
    ],
)
def test_a_holding_is_the_fold_of_its_trades_and_splits_by_time(trades: Any, splits: Any, sums: Any) -> None:
    it = fold(EMPTY, trades, splits)
    assert (it.quantity, it.cost, it.realised) == tuple(Decimal(str(number)) for number in sums)
    assert (it.trades, it.splits) == (len(trades), len(splits))


@pytest.mark.parametrize(
    "trades",
    [
        [step("SELL", 1, 1, 1)],
        [step("BUY", 1, 1, 2), step("SELL", 1, 1, 1), step("BUY", 5, 1, 3)],
        [step("BUY", 1, 1, 1), step("SELL", "1.000000001", 1, 2)],
        [step("SELL", 1, 5, 1, ref_id="a"), step("BUY", 1, 5, 1, ref_id="b")],
    ],
)
def test_no_quantity_is_ever_negative(trades: Any) -> None:
    with pytest.raises(Unprocessable, match="insufficient_quantity"):
        fold(EMPTY, trades, [])


def test_a_split_of_everything_into_nothing_keeps_the_cost() -> None:
    it = fold(EMPTY, [step("BUY", "0.000000001", 5, 1)], [split(2, 1, 10)])
    assert (it.quantity, it.cost, it.average_cost) == (Decimal(0), Decimal(5), None)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Execution], list[Split]]:
    """Trades that never sell more than is held, and splits among them."""
    trades, splits, held = [], [], EMPTY
    for hour in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["BUY", "BUY", "SELL", "split"]))
        if kind == "split":
            splits.append(split(hour, draw(st.integers(1, 5)), draw(st.integers(1, 5))))
            held = held.split(splits[-1])
            continue
        most = 10**10 if kind == "BUY" else int(held.quantity * 10**9)
        if most:
            quantity = Decimal(draw(st.integers(1, most))).scaleb(-9)
            amount, fees = (Decimal(draw(st.integers(low, 10**6))).scaleb(-2) for low in (1, 0))
            trades.append(step(kind, quantity, amount, hour, fees))
            held = held.after(trades[-1])
    return trades, splits


@given(histories(), st.randoms(use_true_random=False))
def test_adding_one_by_one_is_the_same_as_folding_and_no_cent_is_lost(history: Any, random: Any) -> None:
    trades, splits = history
    held, seen = EMPTY, 0
    for trade in trades:
        due = held.pending_splits(splits, trade.executed_at)
        assert due is not None
        for each in due:
            held = held.split(each)
        assert held.follows(trade)
        held, seen = held.after(trade), seen + len(due)
    for each in held.pending_splits(splits, NOW + 99 * HOUR) or []:
        held = held.split(each)
    assert held == fold(EMPTY, random.sample(trades, len(trades)), random.sample(splits, len(splits)))
    paid = sum((trade.cash_change for trade in trades), Decimal(0))
    assert held.cost - held.realised == -paid
    assert held.cost >= 0
    assert holdings_text.unpack(holdings_text.pack([held]) or "") == [held]


@pytest.mark.parametrize(
    ("held", "splits", "due"),
    [
        (EMPTY, [], 0),
        (EMPTY, [split(1, 2), split(2, 2)], 2),
        (fold(EMPTY, [step("BUY", 1, 1, 3)], []), [split(4, 2)], 1),
        (fold(EMPTY, [step("BUY", 1, 1, 3)], []), [split(9, 2)], 0),  # not yet
        (fold(EMPTY, [step("BUY", 1, 1, 3)], []), [split(3, 2)], None),  # entered late
        (fold(EMPTY, [step("BUY", 1, 1, 3)], [split(2, 2)]), [split(2, 2), split(4, 2)], 1),
        (fold(EMPTY, [step("BUY", 1, 1, 3)], [split(2, 2)]), [split(1, 2), split(2, 2)], None),
        (fold(EMPTY, [step("BUY", 1, 1, 3)], [split(4, 2)]), [split(4, 2), split(5, 2)], 1),
    ],
)
def test_splits_are_due_once_and_one_that_comes_late_calls_for_the_fold(held: Any, splits: Any, due: Any) -> None:
    pending = held.pending_splits(splits, NOW + 8 * HOUR)
    assert (None if pending is None else len(pending)) == due


def test_a_quote_is_read_as_it_was_written() -> None:
    for quote in (
        Quote("A", version=1),
        Quote("A", Decimal("1.000000001"), NOW, "feed", (split(1, "1.5"), split(2, 1, 10)), 7),
    ):
        item = {name: value for name, value in to_item(quote).items() if value is not None}
        assert from_item(item) == quote
