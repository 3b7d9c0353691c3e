"""Golden items of the market: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord, QuoteUnit, Sector
from trimtab.contracts.bars import Bar
from trimtab.contracts.events import unpack_events
from trimtab.contracts.quotes import HeldPrice, HoldReason, Quote, Split
from trimtab.contracts.stored_form import UnknownForm
from trimtab.market.domain.bars import BarFault, FaultKind
from trimtab.market.domain.ingested_days import IngestedDay, UnannouncedDays, bars_ingested, record_day
from trimtab.market.domain.splits import add_split, amend_split, withdraw_split

GOLDEN = Path(__file__).parents[2] / "golden/market"
DAY = date(2026, 11, 20)
TIME = datetime(2026, 11, 20, 20, 30, 0, 123456, tzinfo=UTC)
SPLIT = Split(datetime(2026, 6, 1, tzinfo=UTC), new=Decimal(4), old=Decimal(1))
BAR = Bar(
    symbol="AAPL",
    day=DAY,
    open=Decimal("198.1"),
    high=Decimal("203.25"),
    low=Decimal("197.5"),
    close=Decimal(201),
    volume=Decimal("51234567"),
    vwap=Decimal("200.123456789"),
    pre_market=Decimal("197.9"),
    after_hours=None,
    source="massive",
    revision=2,
)
JUMP = BarFault("MSFT", FaultKind.JUMP, "close 700 is 75 % away from 400, and no split explains it", Decimal(700))
HELD = HeldPrice(Decimal(10000), TIME, "feed", HoldReason.PRICE_JUMP, Decimal(100), Decimal(9900), TIME)
ITEMS: dict[str, Any] = {
    "asset": AssetRecord("AAPL", "Apple Inc.", "stock", Sector.INFORMATION_TECHNOLOGY, "USD", "XNAS", True, version=3),
    "asset_without_sector": AssetRecord("SPY", "SPDR S&P 500", "etf", None, "USD", "ARCX", False),
    "asset_halted": AssetRecord(
        "MEME", "Meme", "stock", None, "USD", "XNYS", True, halted=True, max_jump_percent=Decimal("62.5")
    ),
    "asset_without_limit": AssetRecord("BTC", "Bitcoin", "crypto", None, "USD", "CRYPTO", True, max_jump_percent=None),
    "asset_in_percent": AssetRecord(
        "T-35", "Treasury 2035", "bond", None, "USD", "OTC", True, quote_unit=QuoteUnit.PERCENT
    ),
    "asset_with_fine_quantities": AssetRecord(
        "ETH", "Ether", "crypto", None, "USD", "CRYPTO", True, quantity_places=18
    ),
    "quote": Quote("AAPL", Decimal("201.000000001"), TIME, "feed", version=1234),
    "quote_with_splits": Quote(
        "AAPL",
        Decimal("50.25"),
        TIME,
        "feed",
        (SPLIT, Split(datetime(2026, 9, 1, tzinfo=UTC), new=Decimal(1), old=Decimal(10))),
        version=1236,
    ),
    "quote_with_time_of_storing": Quote("AAPL", Decimal("201.000000001"), TIME, "feed", stored_at=TIME, version=1234),
    "quote_held": Quote("AAPL", Decimal(100), TIME, "feed", held=HELD, version=7),
    "quote_in_percent": Quote("T-35", Decimal("98.5"), TIME, "feed", quote_unit=QuoteUnit.PERCENT, version=2),
    "splits_without_quote": Quote("NEW", splits=(SPLIT,)),
    "bar": BAR,
    "bar_in_percent": replace(BAR, symbol="T-35", quote_unit=QuoteUnit.PERCENT),
    "bar_with_dividend": replace(BAR, dividend=Decimal("0.26")),
    "ingested_day": record_day(None, DAY, ["AAPL", "MSFT"], bars=[BAR], faults=[JUMP], now=TIME),
    "unannounced_days": UnannouncedDays(since=DAY, updated_at=TIME),
    "announced_days": UnannouncedDays(since=None, version=2, updated_at=TIME, events=(bars_ingested(DAY, None),)),
}
ENTERED = add_split(Quote("AAPL", version=4), SPLIT)
AMENDED = amend_split(ENTERED.after, [SPLIT.effective_at.date()], Decimal(5), Decimal(1))
WITHDRAWN = withdraw_split(AMENDED.after, [SPLIT.effective_at.date()])
ITEMS["quote_with_withdrawn_split"] = WITHDRAWN.after
WRITTEN = {
    **ITEMS,
    "split_entered": ENTERED.log_entry("ops", None, TIME),
    "split_amended": AMENDED.log_entry("ops", "5 for 1", TIME),
    "split_withdrawn": WITHDRAWN.log_entry("ops", "another symbol", TIME),
}


def written(kind: str) -> dict[str, Any]:
    """Return the stored attributes of a kind of item; attributes with the value None are not stored."""
    return {name: value for name, value in WRITTEN[kind].to_item().items() if value is not None}


def stored(kind: str) -> dict[str, Any]:
    """Return the golden item of a kind."""
    item: dict[str, Any] = json.loads((GOLDEN / f"{kind}.v1.json").read_text())
    return item


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_golden_item_is_written_unchanged(kind: str) -> None:
    assert written(kind) == stored(kind)
    assert stored(kind)["v"] == 1


@pytest.mark.parametrize("kind", ITEMS)
def test_the_golden_item_is_read(kind: str) -> None:
    assert type(ITEMS[kind]).from_item(stored(kind)) == ITEMS[kind]


@pytest.mark.parametrize("kind", ITEMS)
def test_unknown_attributes_of_a_newer_release_are_ignored(kind: str) -> None:
    assert type(ITEMS[kind]).from_item(stored(kind) | {"venue": "XNAS"}) == ITEMS[kind]


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item_of_an_unknown_form_is_refused(kind: str) -> None:
    with pytest.raises(UnknownForm):
        type(ITEMS[kind]).from_item(stored(kind) | {"v": 2})


def test_a_later_added_member_with_a_default_leaves_older_items_readable() -> None:
    class QuoteOfNextRelease(Quote, frozen=True):
        bid: Decimal | None = None

    quote = QuoteOfNextRelease.from_item(stored("quote_with_splits"))
    assert isinstance(quote, QuoteOfNextRelease)
    assert (quote.bid, quote.price, len(quote.splits)) == (None, Decimal("50.25"), 2)


def test_the_items_carry_their_events() -> None:
    (entered,) = unpack_events(stored("split_entered")["events"])
    assert (entered.type, entered.data["ratio"], entered.data["per"]) == ("split.entered", "4", "1")
    (withdrawn,) = unpack_events(stored("split_withdrawn")["events"])
    assert (withdrawn.type, withdrawn.data["ratio"], withdrawn.data["reason"]) == (
        "split.withdrawn",
        "5",
        "another symbol",
    )
    types = [event.type for event in unpack_events(stored("ingested_day")["events"])]
    assert types == ["bars.ingested", "alert.raised"]


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_of_any_kind_is_counted_and_listed_in_the_alert(kind: FaultKind) -> None:
    record: IngestedDay = record_day(None, DAY, ["A"], bars=[], faults=[BarFault("A", kind, "text")], now=TIME)
    alert = record.events[-1].data
    assert alert["details"][kind.value] == "1"
    assert "A: text" in alert["text"]
