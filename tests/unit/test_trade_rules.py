"""Trades as they are recorded and corrected, and what makes two of them the same."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.samples import MINUTE, NOW, portfolio
from trimtab.contracts.events import DATA
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.portfolios.ledger.service import NewCashEntry, NewTrade
from trimtab.portfolios.ledger.trades import CashType, Trade, gross_amount, require_not_ahead
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import MAX_HOLDINGS, Lock

NEW = NewTrade(
    ref_id="a",
    side=Side.BUY,
    security_type=SecurityType.STOCK,
    symbol="AAPL",
    quantity=Decimal(8),
    amount=Decimal(100),
    fees=Decimal(1),
    status=TradeStatus.SUCCESS,
    executed_at=NOW,
)
LATER = NOW + MINUTE


def recorded(**changes: Any) -> Trade:
    """The trade in a portfolio."""
    return replace(NEW, **changes).to_trade(portfolio(), NOW)


def test_a_trade_without_a_time_happened_when_it_was_recorded() -> None:
    assert recorded(executed_at=None).executed_at == NOW
    assert recorded(executed_at=NOW - MINUTE).executed_at == NOW - MINUTE


@pytest.mark.parametrize(
    ("side", "status", "cash"),
    [("BUY", "success", -101), ("SELL", "success", 99), ("BUY", "pending", 0), ("SELL", "failed", 0)],
)
def test_only_a_successful_trade_moves_cash_and_fees_always_cost(side: str, status: str, cash: int) -> None:
    trade = recorded(side=Side(side), status=TradeStatus(status))
    assert trade.settled(None, cash_is_tracked=True).cash_change == cash
    assert trade.settled(None, cash_is_tracked=False).cash_change == 0
    assert (trade.execution is None) == (cash == 0)


def test_numbers_are_the_same_however_they_are_written_and_everything_else_counts() -> None:
    assert replace(NEW, quantity=Decimal("8.000"), fees=Decimal("1.0")).request_hash() == NEW.request_hash()
    changes: list[dict[str, Any]] = [
        {"side": Side.SELL},
        {"security_type": SecurityType.ETF},
        {"symbol": "A"},
        {"quantity": Decimal("8.1")},
        {"amount": Decimal("100.01")},
        {"fees": Decimal(0)},
        {"status": TradeStatus.PENDING},
        {"executed_at": None},
        {"executed_at": LATER},
    ]
    assert len({replace(NEW, **change).request_hash() for change in [*changes, {}]}) == len(changes) + 1


def test_a_correction_keeps_what_was_before_and_says_who_and_when() -> None:
    first = recorded()
    second = first.corrected({"quantity": Decimal(9), "status": TradeStatus.FAILED}, by="ann", now=LATER)
    third = second.corrected({"amount": Decimal(90)}, by="bob", now=LATER + MINUTE)
    assert (third.version, third.updated_at, third.created_at) == (3, LATER + MINUTE, NOW)
    before = [(it.by, it.at, str(it.quantity), str(it.amount)) for it in third.history]
    assert before == [("ann", LATER, "8", "100"), ("bob", LATER + MINUTE, "9", "100")]
    assert third.as_first_recorded() == first
    assert third.corrected({"amount": Decimal("90.0")}, by="ann", now=LATER) is third


def test_each_change_has_an_event_that_fits_its_description() -> None:
    first = recorded()
    second = first.corrected({"quantity": Decimal("9.50")}, by="ann", now=LATER)
    for trade, type, revision in ((first, "trade.recorded", 1), (second, "trade.corrected", 2)):
        (event,) = trade.events
        assert (event.type, event.data["revision"]) == (type, revision)
        DATA[type].model_validate(event.data)
    assert second.events[0].data["quantity"] == "9.5"


@pytest.mark.parametrize(("quantity", "price", "amount"), [("3", "0.005", "0.02"), ("3", "33.333333333", "100.00")])
def test_an_amount_follows_from_a_price_rounded_half_up(quantity: str, price: str, amount: str) -> None:
    assert str(gross_amount(Decimal(quantity), Decimal(price))) == amount


def test_five_minutes_ahead_is_a_clock_that_is_fast_and_more_is_the_future() -> None:
    require_not_ahead(NOW + 5 * MINUTE, NOW)
    with pytest.raises(Unprocessable, match="executed_at_in_future"):
        require_not_ahead(NOW + 6 * MINUTE, NOW)


def test_booking_is_a_version_and_no_revision_and_tracked_cash_is_never_negative() -> None:
    after = portfolio().booked(LATER, holdings=[Holding("A", SecurityType.STOCK)], cash=Decimal(0))
    assert (after.version, after.revision, set(after.holdings), after.events) == (2, 1, {"A"}, ())
    with pytest.raises(Unprocessable, match="insufficient_cash"):
        portfolio().booked(LATER, cash=Decimal("-0.01"))
    full = [Holding(f"S{number}", SecurityType.STOCK) for number in range(MAX_HOLDINGS)]
    assert len(portfolio().booked(LATER, holdings=full, cash=None).holdings) == MAX_HOLDINGS
    with pytest.raises(Unprocessable, match="too_many_holdings"):
        portfolio().booked(LATER, holdings=[*full, Holding("A", SecurityType.STOCK)], cash=None)


@pytest.mark.parametrize(("left", "wait"), [(0.2, 1), (10, 11), (59, 60), (4000, 60)])
def test_a_lock_says_how_long_to_wait_and_ends_by_itself(left: float, wait: int) -> None:
    locked = portfolio(lock=Lock("job", "why", NOW + MINUTE * (left / 60)))
    with pytest.raises(Conflict, match="locked") as refusal:
        locked.require_tradable(NOW)
    assert refusal.value.retry_after_seconds == wait
    locked.require_tradable(NOW + MINUTE * (left / 60))


@pytest.mark.parametrize(("type", "sign"), [("deposit", 1), ("dividend", 1), ("withdrawal", -1), ("fee", -1)])
def test_an_entry_has_a_direction_and_is_known_by_type_amount_and_the_time_that_is_named(type: str, sign: int) -> None:
    wanted = NewCashEntry("c", CashType(type), Decimal(1))
    stored = wanted.to_entry(portfolio(cash=Decimal(10)), NOW)
    assert (stored.change, stored.balance, stored.executed_at) == (Decimal(sign), Decimal(10 + sign), NOW)
    assert NewCashEntry("c", CashType(type), Decimal("1.0")).is_repeated_by(stored)
    assert NewCashEntry("c", CashType(type), Decimal(1), NOW).is_repeated_by(stored)
    assert not NewCashEntry("c", CashType(type), Decimal(2)).is_repeated_by(stored)
    assert not NewCashEntry("c", CashType(type), Decimal(1), NOW - MINUTE).is_repeated_by(stored)
