"""Validation of daily bars, and the records of ingested days."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.contracts.bars import Bar
from trimtab.contracts.event_data import DATA
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.ids import fingerprint
from trimtab.market.domain.assets import enter_asset
from trimtab.market.domain.bars import (
    BarFault,
    DailyClose,
    FaultKind,
    ProvidedBar,
    ReferenceData,
    UnreadableRow,
    bars_fingerprint,
    validate,
)
from trimtab.market.domain.ingested_days import MAX_LISTED, record_day, sessions_between, sessions_up_to
from trimtab.market.domain.plausibility import PriceLimits

DAY, BEFORE = date(2026, 11, 20), date(2026, 11, 19)
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def row(close: Any = 100, **members: Any) -> ProvidedBar:
    """Return a row of AAPL; open, high, low and close are equal unless given."""
    given = {"open": close, "high": close, "low": close, "close": close, "volume": 10, **members}
    return ProvidedBar(
        "AAPL", **{name: None if value is None else Decimal(str(value)) for name, value in given.items()}
    )


def stored(close: Any = 100, day: date = DAY, revision: int = 1) -> Bar:
    """Return a stored bar of AAPL."""
    price = Decimal(close)
    return Bar("AAPL", day, price, price, price, price, Decimal(10), None, None, None, "file", revision)


def kind_of_fault(*rows: ProvidedBar, reference: ReferenceData = ReferenceData()) -> FaultKind | None:  # noqa: B008 - it is frozen
    """Return the kind of the fault that the validation finds."""
    fault = validate("AAPL", DAY, rows, reference, source="file").fault
    return fault.kind if fault else None


BAD = [
    (row(open=None), FaultKind.UNREADABLE),
    (row(volume=None), FaultKind.UNREADABLE),
    (row(0), FaultKind.NOT_POSITIVE),
    (row(low=-1), FaultKind.NOT_POSITIVE),
    (UnreadableRow("AAPL", error="Line 3 has 7 cells."), FaultKind.UNREADABLE),
    (row(high=99), FaultKind.INCONSISTENT),
    (row(low=101), FaultKind.INCONSISTENT),
    (row(open=102, high=101), FaultKind.INCONSISTENT),
    (row(volume=-1), FaultKind.INCONSISTENT),
]


@pytest.mark.parametrize(("bad", "kind"), BAD)
def test_an_invalid_row_has_a_fault_and_is_not_stored(bad: ProvidedBar, kind: FaultKind) -> None:
    assert validate("AAPL", DAY, [bad], ReferenceData(), source="file").bar is None
    assert kind_of_fault(bad) is kind
    kept = stored(7, revision=3)
    assert validate("AAPL", DAY, [bad], ReferenceData(kept), source="file").bar is kept


def test_a_valid_row_becomes_a_bar_also_without_volume() -> None:
    result = validate("AAPL", DAY, [row(100, high=103, low=99, open="99.5", volume=0)], ReferenceData(), source="file")
    assert result.fault is None
    assert result.bar == replace(stored(), open=Decimal("99.5"), high=Decimal(103), low=Decimal(99), volume=Decimal(0))


@pytest.mark.parametrize("number", [None, 0, -5])
@pytest.mark.parametrize("name", ["vwap", "pre_market", "after_hours", "dividend"])
def test_an_optional_number_that_is_not_above_zero_is_left_out(name: str, number: int | None) -> None:
    result = validate("AAPL", DAY, [row(**{name: number})], ReferenceData(), source="file")
    assert (result.bar, result.fault) == (stored(), None)
    given = validate("AAPL", DAY, [row(**{name: 7})], ReferenceData(), source="file").bar
    assert given is not None
    assert getattr(given, name) == 7


def test_a_missing_dividend_changes_no_fingerprint_and_a_dividend_does() -> None:
    paying = replace(stored(), dividend=Decimal("0.25"))
    assert bars_fingerprint([stored()]) == fingerprint([["AAPL", 1, *["100"] * 4, "10", "", "", ""]])
    assert bars_fingerprint([paying]) != bars_fingerprint([stored()])


def test_a_symbol_without_a_row_is_missing_unless_its_bar_is_there() -> None:
    assert kind_of_fault() is FaultKind.MISSING
    assert kind_of_fault(reference=ReferenceData(stored())) is None


def test_equal_rows_are_one_bar_and_different_rows_are_ambiguous() -> None:
    assert kind_of_fault(row(), row()) is None
    assert kind_of_fault(row(), row(101)) is FaultKind.AMBIGUOUS


@pytest.mark.parametrize(
    ("close", "jumps"), [(140, False), ("140.01", True), (60, False), ("59.99", True), (100, False)]
)
def test_a_close_that_moves_more_than_forty_percent_is_not_stored(close: Any, jumps: bool) -> None:
    reference = ReferenceData(previous=stored(100, BEFORE))
    assert (kind_of_fault(row(close), reference=reference) is FaultKind.JUMP) is jumps
    without_limit = replace(reference, limits=PriceLimits(max_jump_percent=None))
    assert validate("AAPL", DAY, [row(close)], without_limit, source="file").fault is None


@pytest.mark.parametrize(
    ("close", "new", "old", "day", "explained"),
    [
        (25, 4, 1, DAY, True),
        (26, 4, 1, DAY, True),
        (1000, 1, 10, DAY, True),
        (25, 1, 4, DAY, False),  # the wrong way round
        (25, 4, 1, BEFORE, False),  # it was in the close before
        (25, 4, 1, DAY + timedelta(days=1), False),  # it is to come
        (10, 4, 1, DAY, False),  # it explains a part of it
    ],
)
def test_a_split_explains_a_jump_by_its_ratio(close: int, new: int, old: int, day: date, explained: bool) -> None:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    split = Split(at, Decimal(new), Decimal(old))
    reference = ReferenceData(previous=stored(100, BEFORE), quote=Quote("AAPL", splits=(split,)))
    assert (kind_of_fault(row(close), reference=reference) is None) is explained


@pytest.mark.parametrize(
    ("close", "kind", "is_stored"),
    [
        (1000, FaultKind.NEW_LEVEL, True),
        (1400, FaultKind.NEW_LEVEL, True),
        (1401, FaultKind.JUMP, False),
        (120, None, True),
    ],
)
def test_a_second_close_at_the_rejected_level_is_stored_with_a_fault(
    close: int, kind: FaultKind | None, is_stored: bool
) -> None:
    reference = ReferenceData(
        previous=stored(100, BEFORE - timedelta(days=1)), rejected=DailyClose(BEFORE, Decimal(1000))
    )
    result = validate("AAPL", DAY, [row(close)], reference, source="file")
    assert (result.fault and result.fault.kind) is kind
    assert (result.bar is not None) is is_stored
    split = Split(datetime(2026, 11, 20, tzinfo=UTC), Decimal(2), Decimal(1))
    half = replace(reference, quote=Quote("AAPL", splits=(split,)))
    assert kind_of_fault(row(500), reference=half) is FaultKind.NEW_LEVEL
    assert kind_of_fault(row(50), reference=half) is None


def test_a_close_that_contradicts_a_split_is_rejected_and_never_a_new_level() -> None:
    split = Split(datetime(2026, 11, 20, 14, 30, tzinfo=UTC), Decimal(10), Decimal(1))
    reference = ReferenceData(
        previous=stored(100, BEFORE), quote=Quote("AAPL", splits=(split,)), rejected=DailyClose(BEFORE, Decimal(100))
    )
    fault = validate("AAPL", DAY, [row(101)], reference, source="file").fault
    assert fault == BarFault("AAPL", FaultKind.SPLIT, "close 101 is 910 % away from 10, and contradicts a split")
    assert kind_of_fault(row("10.1"), reference=reference) is None


def test_a_close_after_a_long_gap_is_compared_with_the_last_close() -> None:
    recycled = ReferenceData(previous=stored("12", DAY - timedelta(days=200)))
    assert kind_of_fault(row(184), reference=recycled) is FaultKind.JUMP


@pytest.mark.parametrize(
    ("as_of", "kind"),
    [
        (datetime(2026, 11, 20, 20, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 19, 20, 59, tzinfo=UTC), FaultKind.JUMP),  # the last close is newer
        (datetime(2026, 11, 20, 21, 1, tzinfo=UTC), FaultKind.JUMP),  # the quote is newer than the close
    ],
)
def test_a_close_is_compared_with_the_newest_accepted_price_before_it(as_of: datetime, kind: FaultKind | None) -> None:
    reference = ReferenceData(
        previous=stored(100, BEFORE), quote=Quote("AAPL", Decimal(170), as_of), limits=PriceLimits("XNYS")
    )
    assert kind_of_fault(row(180), reference=reference) is kind


def test_an_alert_separates_rejected_rows_from_stored_rows() -> None:
    faults = [
        BarFault("AAPL", FaultKind.JUMP, "jumps", Decimal(7)),
        BarFault("MSFT", FaultKind.NEW_LEVEL, "is at a new level"),
    ]
    record = record_day(None, DAY, ["AAPL", "MSFT"], bars=[stored()], faults=faults, now=NOW)
    text = record.events[1].data["text"]
    assert text == "Rejected: AAPL: jumps. Stored despite a fault: MSFT: is at a new level."
    assert (record.rejected, record.jumps) == (1, {"AAPL": Decimal(7)})
    assert record_day(None, DAY, ["MSFT"], bars=[], faults=faults[1:], now=NOW).rejected == 0


def test_equal_numbers_keep_the_stored_bar_and_different_numbers_are_the_next_revision() -> None:
    kept = stored(100, revision=2)
    assert validate("AAPL", DAY, [row(100)], ReferenceData(kept), source="other").bar is kept
    changed = validate("AAPL", DAY, [row(101)], ReferenceData(kept), source="other").bar
    assert changed == replace(stored(101, revision=3), source="other")


def test_a_record_has_events_for_new_bars_and_new_faults_once() -> None:
    faults = [BarFault(f"S{n:03}", FaultKind.MISSING, "there is no bar") for n in range(500)]
    first = record_day(None, DAY, ["AAPL"], bars=[stored()], faults=faults, now=NOW)
    assert [event.type for event in first.events] == ["bars.ingested", "alert.raised"]
    for event in first.events:
        DATA[event.type].model_validate(dict(event.data))
    text = first.events[1].data["text"]
    assert text.count("there is no bar") == MAX_LISTED
    assert text.endswith("and 480 more.")
    assert record_day(first, DAY, ["AAPL"], bars=[stored()], faults=faults, now=NOW + timedelta(1)) is first
    mended = record_day(first, DAY, ["AAPL"], bars=[stored()], faults=[], now=NOW)
    assert (mended.version, mended.events, mended.is_complete(first.assets)) == (2, (), True)
    changed = record_day(mended, DAY, ["AAPL"], bars=[stored(101, revision=2)], faults=[], now=NOW)
    assert [event.data for event in changed.events] == [{"day": "2026-11-20", "stored": 1, "changed": 1}]
    assert not changed.is_complete(record_day(None, DAY, ["AAPL", "MSFT"], bars=[], faults=[], now=NOW).assets)
    silent = record_day(None, DAY, ["AAPL"], bars=[stored()], faults=faults, now=NOW, publish=False)
    assert silent.events == ()


def test_sessions_are_trading_days_oldest_first() -> None:
    assert sessions_up_to(date(2026, 11, 29), 4) == [date(2026, 11, day) for day in (23, 24, 25, 27)]
    assert sessions_between(date(2026, 11, 25), date(2026, 11, 30)) == [date(2026, 11, day) for day in (25, 27, 30)]
    assert sessions_between(DAY, BEFORE) == []


def test_every_sector_has_a_code_of_its_own() -> None:
    assert [sector.code for sector in Sector] == list(range(10, 65, 5))


numbers = st.decimals("0.000000001", "999999999", places=9)


@given(
    st.builds(
        Bar,
        symbol=st.sampled_from(["AAPL", "BRK.B"]),
        day=st.dates(),
        **dict.fromkeys(("open", "high", "low", "close", "volume"), numbers),
        **{name: st.none() | numbers for name in ("vwap", "pre_market", "after_hours", "dividend")},
        source=st.just("file"),
        revision=st.integers(1, 9),
    )
)
def test_a_bar_is_read_as_it_was_written(bar: Bar) -> None:
    item = {name: value for name, value in bar.to_item().items() if value is not None}
    assert Bar.from_item(item) == bar


@given(st.none() | st.sampled_from(Sector), st.booleans())
def test_an_asset_is_read_as_written_and_entering_it_again_changes_nothing(sector: Sector | None, active: bool) -> None:
    given = AssetRecord("SPY", "SPDR S&P 500", "etf", sector, "USD", "ARCX", active)
    asset = enter_asset(None, given)
    item = {name: value for name, value in asset.to_item().items() if value is not None}
    assert AssetRecord.from_item(item) == asset
    assert enter_asset(asset, given) is asset
    assert enter_asset(asset, replace(given, name="SPDR")).version == 2
