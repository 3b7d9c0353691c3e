"""Rules of recording and correcting trades and cash entries, and of telling a repeated request from a new one."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.samples import MINUTE, NOW, portfolio
from trimtab.contracts.event_data import DATA
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import ids
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade
from trimtab.portfolios.ledger.trades import Trade, gross_amount, require_not_in_future
from trimtab.portfolios.portfolio.cash import CashType
from trimtab.portfolios.portfolio.cash_rule import CashRule, CashTracking
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.model import MAX_HOLDINGS

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
    """The first revision of the sample trade, with changes."""
    return replace(NEW, **changes).to_trade(portfolio(), NOW)


def test_a_trade_without_a_time_is_executed_at_the_time_of_recording() -> None:
    assert recorded(executed_at=None).executed_at == NOW
    assert recorded(executed_at=NOW - MINUTE).executed_at == NOW - MINUTE


@pytest.mark.parametrize(
    ("side", "status", "cash"),
    [("BUY", "success", -101), ("SELL", "success", 99), ("BUY", "pending", 0), ("SELL", "failed", 0)],
)
def test_only_a_successful_trade_moves_cash_and_fees_always_cost(side: str, status: str, cash: int) -> None:
    trade = recorded(side=Side(side), status=TradeStatus(status))
    assert trade.cash_change(CashRule(CashTracking.ON)) == cash
    assert trade.cash_change(CashRule(CashTracking.OFF)) == 0
    assert (trade.effect is None) == (cash == 0)


def test_the_request_hash_ignores_how_numbers_are_written_and_depends_on_every_member() -> None:
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


def test_the_request_hash_of_version_1_never_changes() -> None:
    """A recorded trade keeps the hash, so another hash of the same request would turn every retry into a conflict."""
    assert NEW.request_hash() == "1:58ffcf747bb9f3949d5e9cdf2c9357e9"
    stored = NEW.to_trade(portfolio(), NOW)
    assert NEW.matches(stored)
    assert not replace(NEW, amount=Decimal(101)).matches(stored)


def test_a_new_member_with_a_default_does_not_change_the_request_hash() -> None:
    fields = {"symbol": "AAPL", "quantity": Decimal(8)}
    assert ids.request_hash(1, {**fields, "venue": "XNAS"}, {"venue": "XNAS"}) == ids.request_hash(1, fields)


def test_a_request_hash_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownForm, match="request hash"):
        NEW.matches(replace(NEW.to_trade(portfolio(), NOW), request_hash="2:0"))


def test_a_correction_keeps_the_earlier_revision_with_author_and_time() -> None:
    first = recorded()
    second = first.correct({"quantity": Decimal(9), "status": TradeStatus.FAILED}, by="ann", now=LATER)
    third = second.correct({"amount": Decimal(90)}, by="bob", now=LATER + MINUTE)
    assert (third.version, third.updated_at, third.created_at) == (3, LATER + MINUTE, NOW)
    revisions = [(each.corrected_by, each.corrected_at, str(each.quantity), str(each.amount)) for each in third.history]
    assert revisions == [("ann", LATER, "8", "100"), ("bob", LATER + MINUTE, "9", "100")]
    assert third.first_revision() == first
    assert third.correct({"amount": Decimal("90.0")}, by="ann", now=LATER) is third


def test_each_revision_has_an_event_that_fits_its_schema() -> None:
    first = recorded()
    second = first.correct({"quantity": Decimal("9.50")}, by="ann", now=LATER)
    for trade, type, revision in ((first, "trade.recorded", 1), (second, "trade.corrected", 2)):
        (event,) = trade.events
        assert (event.type, event.data["revision"]) == (type, revision)
        DATA[type].model_validate(event.data)
    assert second.events[0].data["quantity"] == "9.5"


@pytest.mark.parametrize(
    ("quantity", "price", "amount"), [("3", "0.005", "0.015000000"), ("0.5", "33.333333333", "16.666666667")]
)
def test_the_gross_amount_is_rounded_half_up_to_nine_decimals(quantity: str, price: str, amount: str) -> None:
    assert str(gross_amount(Decimal(quantity), Decimal(price))) == amount


def test_a_time_up_to_five_minutes_ahead_is_accepted_because_clocks_differ() -> None:
    require_not_in_future(NOW + 5 * MINUTE, NOW)
    with pytest.raises(Unprocessable, match="executed_at_in_future"):
        require_not_in_future(NOW + 6 * MINUTE, NOW)


def test_posting_changes_the_version_not_the_revision() -> None:
    after = portfolio().post(LATER, holdings=[Holding("A", SecurityType.STOCK)])
    assert (after.version, after.revision, set(after.holdings), after.events) == (2, 1, {"A"}, ())
    full = [Holding(f"S{number}", SecurityType.STOCK) for number in range(MAX_HOLDINGS)]
    assert len(portfolio().post(LATER, holdings=full).holdings) == MAX_HOLDINGS
    with pytest.raises(Unprocessable, match="too_many_holdings"):
        portfolio().post(LATER, holdings=[*full, Holding("A", SecurityType.STOCK)])


@pytest.mark.parametrize(("left", "wait"), [(0.2, 1), (10, 11), (59, 60), (4000, 60)])
def test_a_refusal_by_a_lock_names_the_time_to_wait_and_a_lock_expires(left: float, wait: int) -> None:
    locked = portfolio(lock=Lock("job", "why", NOW + MINUTE * (left / 60)))
    with pytest.raises(Conflict, match="locked") as refusal:
        locked.require_tradable(NOW)
    assert refusal.value.retry_after_seconds == wait
    locked.require_tradable(NOW + MINUTE * (left / 60))


@pytest.mark.parametrize(("type", "sign"), [("deposit", 1), ("dividend", 1), ("withdrawal", -1), ("fee", -1)])
def test_a_cash_entry_has_a_sign_and_is_repeated_by_equal_type_amount_and_given_time(type: str, sign: int) -> None:
    wanted = NewCashEntry("c", CashType(type), Decimal(1))
    stored = wanted.to_entry(portfolio(cash=Decimal(10)), NOW)
    assert (stored.change, stored.balance, stored.executed_at) == (Decimal(sign), None, NOW)
    assert NewCashEntry("c", CashType(type), Decimal("1.0")).matches(stored)
    assert NewCashEntry("c", CashType(type), Decimal(1), NOW).matches(stored)
    assert not NewCashEntry("c", CashType(type), Decimal(2)).matches(stored)
    assert not NewCashEntry("c", CashType(type), Decimal(1), NOW - MINUTE).matches(stored)
