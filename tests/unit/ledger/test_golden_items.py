"""Golden items of the ledger: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel.errors import Conflict
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.ledger.imports import Import, RowError
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeKind, TradeStatus

GOLDEN = Path(__file__).parents[2] / "golden/ledger"
TIME = datetime(2026, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
RECORDED = Trade(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    user_id="1",
    ref_id="broker-4711",
    side=Side.BUY,
    security_type=SecurityType.STOCK,
    symbol="AAPL",
    quantity=Decimal("12.5"),
    amount=Decimal("1520.35"),
    fees=Decimal(1),
    status=TradeStatus.PENDING,
    executed_at=TIME,
    request_hash="1:58ffcf747bb9f3949d5e9cdf2c9357e9",
    created_at=TIME + HOUR,
    updated_at=TIME + HOUR,
    moves_cash=True,
).with_event()
CORRECTED = RECORDED.correct(
    {"status": TradeStatus.SUCCESS, "quantity": Decimal(12)}, by="ann", now=TIME + 2 * HOUR
).correct({"executed_at": TIME - HOUR}, by="bob", now=TIME + 3 * HOUR)
FILL = Trade(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    user_id="1",
    ref_id="66666666-7777-5888-8999-000000000000",
    side=Side.SELL,
    security_type=SecurityType.ETF,
    symbol="VWCE.DE",
    quantity=Decimal("0.000000001"),
    amount=Decimal("0.01"),
    fees=Decimal(0),
    status=TradeStatus.SUCCESS,
    executed_at=TIME,
    request_hash="1:0e5b8d5c62b86c1dcfd5c8f4cd0f8d5e",
    created_at=TIME,
    updated_at=TIME,
    rebalance_id="aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeeee",
).with_event()
SPIN_OFF = replace(
    RECORDED, kind=TradeKind.SPIN_OFF, symbol="CHILD", spun_off_from="AAPL", status=TradeStatus.SUCCESS, fees=Decimal(0)
).with_event()
DEPOSIT = CashEntry(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    ref_id="salary-1",
    type=CashType.DEPOSIT,
    amount=Decimal("50.25"),
    balance=Decimal("150.25"),
    executed_at=TIME,
    created_at=TIME + HOUR,
).with_event("1")
CORRECTED_DEPOSIT = (
    replace(DEPOSIT, balance=None)
    .correct({"amount": Decimal(60), "executed_at": TIME - HOUR}, "1", by="ann", now=TIME + 2 * HOUR)
    .correct({"is_void": True}, "1", by="bob", now=TIME + 3 * HOUR)
)
REQUESTED = Recalculation(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    user_id="1",
    job_id="99999999-aaaa-5bbb-8ccc-dddddddddddd",
    trade=CORRECTED,
    created_at=TIME,
    updated_at=TIME,
    resends=1,
)
REJECTED = Recalculation(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    user_id="1",
    job_id="99999999-aaaa-5bbb-8ccc-dddddddddddd",
    trade=RECORDED,
    created_at=TIME,
    updated_at=TIME,
).reject("The trade was changed after the recalculation was requested.", TIME + HOUR)
IMPORT = Import(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    user_id="1",
    import_id="77777777-aaaa-5bbb-8ccc-dddddddddddd",
    kind=EntryKind.TRADE,
    rows=200,
    requested_at=TIME,
    updated_at=TIME,
    ignored={"Trades: Forex": 2},
)
REUSED = Conflict("ref_id_reused", "See `errors`.", errors=[{"field": "line 2: ref_id", "detail": "Reused."}])
ITEMS: dict[str, Any] = {
    "trade": RECORDED,
    "trade_corrected": CORRECTED,
    "trade_of_rebalance": FILL,
    "trade_corrected_by_operator": FILL.correct(
        {"side": Side.BUY, "symbol": "VWRL.DE", "fees": Decimal("1.25")}, by="ann", now=TIME + HOUR, reason="Statement."
    ),
    "trade_after_sell": replace(RECORDED, tie_rank=1),
    "trade_transferred": replace(RECORDED, kind=TradeKind.TRANSFER_IN, acquired_on=TIME.date()).with_event(),
    "trade_spun_off": SPIN_OFF,
    "trade_spun_off_parent": SPIN_OFF.legs[1],
    "trade_in_yen": replace(RECORDED, minor_units=0),
    "cash_entry": DEPOSIT,
    "cash_entry_of_any_order": replace(DEPOSIT, balance=None),
    "cash_entry_corrected": CORRECTED_DEPOSIT,
    "cash_entry_of_symbol": replace(DEPOSIT, balance=None, type=CashType.TAX, symbol="AAPL"),
    "cash_entry_in_yen": replace(DEPOSIT, balance=None, minor_units=0),
    "trade_of_import": replace(RECORDED, import_id=IMPORT.import_id),
    "cash_entry_of_import": replace(DEPOSIT, balance=None, import_id=IMPORT.import_id),
    "import": IMPORT,
    "import_with_unrecorded_row": replace(
        IMPORT, unrecorded=(RowError("line 7: Spin-off", "Record a trade of the kind `spin_off`."),)
    ),
    "import_running": IMPORT.record_chunk(90, TIME + HOUR),
    "import_completed": IMPORT.complete(199, TIME - HOUR, TIME + HOUR),
    "import_rejected": IMPORT.reject(REUSED, TIME + HOUR),
    "import_undone": IMPORT.complete(80, TIME - HOUR, TIME + HOUR).undo(
        TIME - HOUR, TIME + 2 * HOUR, by="ann", at_once=True
    ),
    "recalculation": REQUESTED,
    "recalculation_rejected": REJECTED,
}


def written(record: Record) -> dict[str, Any]:
    """Return the stored attributes of a record; attributes with the value None are not stored."""
    return {name: value for name, value in record.to_item().items() if value is not None}


def stored(kind: str) -> dict[str, Any]:
    """Return the golden item of a kind."""
    item: dict[str, Any] = json.loads((GOLDEN / f"{kind}.v1.json").read_text())
    return item


@pytest.mark.parametrize("kind", ITEMS)
def test_the_golden_item_is_read_and_written_unchanged(kind: str) -> None:
    record = ITEMS[kind]
    assert type(record).from_item(stored(kind)) == record
    assert written(record) == stored(kind)
    assert stored(kind)["v"] == 1


def test_the_packed_trade_of_a_job_keeps_history_and_event() -> None:
    trade = Recalculation.from_item(stored("recalculation")).trade
    assert (trade, trade.events, trade.history) == (CORRECTED, CORRECTED.events, CORRECTED.history)


@pytest.mark.parametrize("kind", ITEMS)
def test_unknown_attributes_of_a_newer_release_are_ignored(kind: str) -> None:
    assert type(ITEMS[kind]).from_item(stored(kind) | {"venue": "XNAS"}) == ITEMS[kind]


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item_of_an_unknown_form_is_refused(kind: str) -> None:
    with pytest.raises(UnknownForm):
        type(ITEMS[kind]).from_item(stored(kind) | {"v": 2})


def test_a_later_added_member_with_a_default_leaves_older_trades_readable() -> None:
    class TradeOfNextRelease(Trade, frozen=True):
        venue: str | None = None

    trade = TradeOfNextRelease.from_item(stored("trade_corrected"))
    assert isinstance(trade, TradeOfNextRelease)
    assert (trade.venue, trade.version, len(trade.history)) == (None, 3, 2)


def test_every_kind_of_cash_entry_has_a_direction_and_an_origin() -> None:
    signs = {type: (type.sign, type.is_external) for type in CashType}
    assert signs == {
        CashType.DEPOSIT: (1, True),
        CashType.WITHDRAWAL: (-1, True),
        CashType.DIVIDEND: (1, False),
        CashType.INTEREST: (1, False),
        CashType.TAX: (-1, False),
        CashType.FEE: (-1, False),
    }
