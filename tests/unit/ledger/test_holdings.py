"""The fold of trades and splits into a holding, and the equal result of appending each trade."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.samples import NOW
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import to_money
from trimtab.portfolios.portfolio import holdings_text
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side, TradeEffect, TradeKind, fold

EMPTY = Holding("A", SecurityType.STOCK)
HOUR = timedelta(hours=1)


def trade(
    side: str, quantity: Any, amount: Any, hour: int, fees: Any = 0, ref_id: str = "t", kind: str = "stock"
) -> TradeEffect:
    """A trade of symbol A at an hour after NOW."""
    shares, gross, fee = (Decimal(str(number)) for number in (quantity, amount, fees))
    return TradeEffect(ref_id, Side(side), SecurityType(kind), "A", shares, gross, fee, NOW + hour * HOUR)


def split(hour: int, new: Any, old: Any = 1) -> Split:
    """A split at an hour after NOW."""
    return Split(NOW + hour * HOUR, Decimal(str(new)), Decimal(str(old)))


@pytest.mark.parametrize(
    ("trades", "splits", "sums"),
    [
        ([], [], (0, 0, 0)),
        ([trade("BUY", 3, 10, 1)], [], (3, 10, 0)),
        ([trade("BUY", 3, 10, 1), trade("SELL", 1, 5, 2)], [], (2, "6.67", "1.67")),  # 10 / 3 is 3.33
        ([trade("BUY", 3, "0.01", 1), trade("SELL", 1, 0, 2)], [], (2, "0.01", 0)),  # a third of a cent rounds to 0
        ([trade("SELL", 2, 9, 2, 1), trade("BUY", 2, 6, 1, 1)], [], (0, 0, 1)),  # in any order; fees of 1 and 1
        ([trade("BUY", 2, 6, 1), trade("SELL", 6, 9, 2)], [split(2, 3)], (0, 0, 3)),
        ([trade("BUY", 2, 6, 1), trade("BUY", 1, 6, 3)], [split(2, 1, 4)], ("1.5", 12, 0)),
        ([trade("BUY", 10, 6, 1)], [split(2, 1, 3)], ("3.333333333", 6, 0)),
        ([trade("BUY", 10, 6, 5)], [split(2, 7)], (10, 6, 0)),
        ([trade("BUY", 1, 5, 1, ref_id="a"), trade("SELL", 1, 5, 1, ref_id="b")], [], (0, 0, 0)),  # ties by ref_id
    ],
)
def test_a_holding_is_the_fold_of_its_trades_and_splits_in_order_of_time(trades: Any, splits: Any, sums: Any) -> None:
    holding = fold(EMPTY, trades, splits)
    quantity_cost_profit = (holding.quantity, holding.cost_basis, holding.realised_profit)
    assert quantity_cost_profit == tuple(Decimal(str(number)) for number in sums)
    assert (holding.trade_count, holding.split_count) == (len(trades), len(splits))


def test_movements_of_one_instant_are_ordered_by_side_values_and_kind() -> None:
    """Units and cost that come in count first; of equal quantities the transfer goes before the write-off."""
    bought = trade("BUY", 3, 10, 1)
    lost, out = movement(TradeKind.WRITE_OFF, 1, 0, 1), movement(TradeKind.TRANSFER_OUT, 1, 0, 1)
    capital = movement(TradeKind.RETURN_OF_CAPITAL, 0, 1, 1)
    for order in permutations([bought, lost, out, capital]):
        # 10 less 1 of capital; the transfer takes a third of 9, the write-off a half of 6.
        assert fold(EMPTY, order, []) == replace(
            EMPTY,
            quantity=Decimal(1),
            cost_basis=Decimal(3),
            realised_profit=Decimal(-3),
            last_trade=(lost.executed_at, "t"),
            trade_count=4,
        )


def test_a_sell_of_more_than_is_held_ends_the_holding_where_overselling_is_counted() -> None:
    holding = fold(EMPTY, [trade("BUY", 4, 10, 1), trade("SELL", 5, 20, 2)], [], may_oversell=True)
    assert (holding.quantity, holding.cost_basis, holding.oversold) == (Decimal(0), Decimal(0), Decimal(1))
    assert holding.realised_profit == 10


def test_after_a_split_that_contradicts_a_spin_off_the_parent_ends_at_cost_zero() -> None:
    spun_off = movement(TradeKind.SPIN_OFF, 0, 8, 3)
    trades = [trade("BUY", 4, 10, 1), trade("SELL", 1, 5, 2), spun_off]
    with pytest.raises(Unprocessable, match="insufficient_cost"):
        fold(EMPTY, trades, [])
    holding = fold(EMPTY, trades, [], may_oversell=True)
    assert (holding.quantity, holding.cost_basis) == (Decimal(3), Decimal(0))
    assert holding.realised_profit == Decimal("2.50")


@pytest.mark.parametrize(
    "trades",
    [
        [trade("SELL", 1, 1, 1)],
        [trade("BUY", 1, 1, 2), trade("SELL", 1, 1, 1), trade("BUY", 5, 1, 3)],
        [trade("BUY", 1, 1, 1), trade("SELL", "1.000000001", 1, 2)],
        [trade("SELL", 2, 5, 1, ref_id="a"), trade("BUY", 1, 5, 1, ref_id="b")],
    ],
)
def test_the_quantity_is_never_negative(trades: Any) -> None:
    with pytest.raises(Unprocessable, match="insufficient_quantity"):
        fold(EMPTY, trades, [])


def test_a_reverse_split_that_rounds_the_quantity_to_zero_keeps_the_cost_basis() -> None:
    holding = fold(EMPTY, [trade("BUY", "0.000000001", 5, 1)], [split(2, 1, 10)])
    assert (holding.quantity, holding.cost_basis, holding.average_cost) == (Decimal(0), Decimal(5), None)


def test_the_security_type_is_that_of_the_earliest_trade() -> None:
    trades = [trade("BUY", 1, 1, 2, kind="etf"), trade("BUY", 1, 1, 1, kind="bond")]
    assert fold(EMPTY, trades, []).security_type is SecurityType.BOND
    assert EMPTY.with_trade(trades[0]).security_type is SecurityType.ETF


def movement(kind: TradeKind, quantity: Any, amount: Any, hour: int) -> TradeEffect:
    """A movement of symbol A without a trade; a spin-off is the parent's side."""
    side = Side.SELL if kind is TradeKind.SPIN_OFF else kind.side
    assert side is not None
    return replace(trade(side, quantity, amount, hour), kind=kind)


COST_ONLY = (TradeKind.RETURN_OF_CAPITAL, TradeKind.SPIN_OFF)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[TradeEffect], list[Split]]:
    """Draw trades that never sell more than is held, with splits between them."""
    trades, splits, held = [], [], EMPTY
    for hour in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["BUY", "BUY", "SELL", "split", *TradeKind]))
        if kind == "split":
            splits.append(split(hour, draw(st.integers(1, 5)), draw(st.integers(1, 5))))
            held = held.with_split(splits[-1])
            continue
        most = int(held.cost_basis * 100) if kind is TradeKind.SPIN_OFF else 10**6
        amount, fees = (Decimal(draw(st.integers(0, limit))).scaleb(-2) for limit in (most, 10**6))
        if kind in COST_ONLY:
            added = movement(TradeKind(kind), 0, amount, hour)
        else:
            side = TradeKind(kind).side if kind in list(TradeKind) else kind
            limit = int(held.quantity * 10**9) if side == "SELL" else 10**10
            quantity = Decimal(draw(st.integers(min(1, limit), limit))).scaleb(-9)
            is_trade = kind in {"BUY", "SELL", TradeKind.TRADE}
            stated = amount if is_trade or kind is TradeKind.TRANSFER_IN else 0
            added = trade(side or "BUY", quantity, stated, hour, fees if is_trade else 0)
            added = added if is_trade else replace(added, kind=TradeKind(kind))
        if added.quantity or (kind in COST_ONLY and held.trade_count):
            trades.append(added)
            held = held.with_trade(added)
    return trades, splits


def stated_cost(each: TradeEffect) -> Decimal:
    """Return the cost (money) that comes with transferred units, or leaves with a spin-off."""
    match each.kind:
        case TradeKind.TRANSFER_IN:
            return to_money(each.amount)
        case TradeKind.SPIN_OFF:
            return -to_money(each.amount)
    return Decimal(0)


@given(histories(), st.randoms(use_true_random=False))
def test_appending_one_by_one_equals_folding_and_no_cent_is_lost(history: Any, random: Any) -> None:
    trades, splits = history
    held = EMPTY
    for each in trades:
        pending = held.pending_splits(splits, each.executed_at)
        assert pending is not None
        for due in pending:
            held = held.with_split(due)
        assert held.can_append(each)
        before, held = held, held.with_trade(each)
        cost, profit = held.cost_basis - before.cost_basis, held.realised_profit - before.realised_profit
        if each.kind is TradeKind.TRANSFER_OUT:
            assert not profit
            assert cost <= 0
        else:
            assert cost - profit == stated_cost(each) - each.cash_change
    for due in held.pending_splits(splits, NOW + 99 * HOUR) or []:
        held = held.with_split(due)
    assert held == fold(EMPTY, random.sample(trades, len(trades)), random.sample(splits, len(splits)))
    assert held.cost_basis >= 0
    assert holdings_text.unpack(holdings_text.pack([held]) or "") == [held]


@pytest.mark.parametrize(
    ("held", "splits", "count"),
    [
        (EMPTY, [], 0),
        (EMPTY, [split(1, 2), split(2, 2)], 2),
        (fold(EMPTY, [trade("BUY", 1, 1, 3)], []), [split(4, 2)], 1),
        (fold(EMPTY, [trade("BUY", 1, 1, 3)], []), [split(9, 2)], 0),  # effective later
        (fold(EMPTY, [trade("BUY", 1, 1, 3)], []), [split(3, 2)], None),  # entered late
        (fold(EMPTY, [trade("BUY", 1, 1, 3)], [split(2, 2)]), [split(2, 2), split(4, 2)], 1),
        (fold(EMPTY, [trade("BUY", 1, 1, 3)], [split(2, 2)]), [split(1, 2), split(2, 2)], None),
        (fold(EMPTY, [trade("BUY", 1, 1, 3)], [split(4, 2)]), [split(4, 2), split(5, 2)], 1),
    ],
)
def test_a_split_is_pending_once_and_one_entered_late_needs_a_fold(held: Any, splits: Any, count: Any) -> None:
    pending = held.pending_splits(splits, NOW + 8 * HOUR)
    assert (None if pending is None else len(pending)) == count


def test_a_quote_is_read_as_it_was_written() -> None:
    for quote in (
        Quote("A", version=1),
        Quote("A", Decimal("1.000000001"), NOW, "feed", (split(1, "1.5"), split(2, 1, 10)), version=7),
    ):
        item = {name: value for name, value in quote.to_item().items() if value is not None}
        assert Quote.from_item(item) == quote
