"""What a day's bars are worth: judged row by row, marked as a whole."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.contracts import assets, bars
from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.contracts.bars import Bar
from trimtab.contracts.events import DATA
from trimtab.contracts.quotes import Split
from trimtab.market.domain.assets import entered
from trimtab.market.domain.bars import Close, Fault, Known, ProvidedBar, Wrong, judge
from trimtab.market.domain.ingested import MAX_LISTED, mark, sessions_between, sessions_up_to

DAY, BEFORE = date(2026, 11, 20), date(2026, 11, 19)
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def row(close: Any = 100, **members: Any) -> ProvidedBar:
    """A row of AAPL that opens, peaks and closes at the same price, unless told otherwise."""
    given = {"open": close, "high": close, "low": close, "close": close, "volume": 10, **members}
    return ProvidedBar("AAPL", **{name: None if it is None else Decimal(str(it)) for name, it in given.items()})


def stored(close: Any = 100, day: date = DAY, revision: int = 1) -> Bar:
    """A bar of AAPL that is stored."""
    price = Decimal(close)
    return Bar("AAPL", day, price, price, price, price, Decimal(10), None, None, None, "file", revision)


def wrong(*rows: ProvidedBar, known: Known = Known()) -> Wrong | None:  # noqa: B008 - it is frozen
    """What is wrong with the day."""
    fault = judge("AAPL", DAY, rows, known, source="file").fault
    return fault.wrong if fault else None


BAD = [
    (row(open=None), Wrong.UNREADABLE),
    (row(volume=None), Wrong.UNREADABLE),
    (row(0), Wrong.NOT_POSITIVE),
    (row(low=-1), Wrong.NOT_POSITIVE),
    (row(vwap=0), Wrong.NOT_POSITIVE),
    (row(after_hours=-5), Wrong.NOT_POSITIVE),
    (row(high=99), Wrong.INCONSISTENT),
    (row(low=101), Wrong.INCONSISTENT),
    (row(open=102, high=101), Wrong.INCONSISTENT),
    (row(volume=-1), Wrong.INCONSISTENT),
]


@pytest.mark.parametrize(("bad", "kind"), BAD)
def test_a_bad_row_is_named_and_not_stored(bad: ProvidedBar, kind: Wrong) -> None:
    assert judge("AAPL", DAY, [bad], Known(), source="file").bar is None
    assert wrong(bad) is kind
    kept = stored(7, revision=3)
    assert judge("AAPL", DAY, [bad], Known(kept), source="file").bar is kept


def test_a_good_row_is_a_bar_and_a_day_without_trades_is_one() -> None:
    judged = judge("AAPL", DAY, [row(100, high=103, low=99, open="99.5", volume=0)], Known(), source="file")
    assert judged.fault is None
    assert judged.bar == replace(stored(), open=Decimal("99.5"), high=Decimal(103), low=Decimal(99), volume=Decimal(0))


def test_a_symbol_without_a_row_is_missing_unless_its_bar_is_there() -> None:
    assert wrong() is Wrong.MISSING
    assert wrong(known=Known(stored())) is None


def test_the_same_row_twice_is_one_and_two_that_differ_are_none() -> None:
    assert wrong(row(), row()) is None
    assert wrong(row(), row(101)) is Wrong.AMBIGUOUS


@pytest.mark.parametrize(
    ("close", "jumps"), [(140, False), ("140.01", True), (60, False), ("59.99", True), (100, False)]
)
def test_a_close_that_moves_more_than_forty_percent_is_not_stored(close: Any, jumps: bool) -> None:
    known = Known(previous=stored(100, BEFORE))
    assert (wrong(row(close), known=known) is Wrong.JUMP) is jumps
    assert judge("AAPL", DAY, [row(close)], known, source="file", max_jump_percent=None).fault is None


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
    known = Known(previous=stored(100, BEFORE), splits=[Split(at, Decimal(new), Decimal(old))])
    assert (wrong(row(close), known=known) is None) is explained


@pytest.mark.parametrize(
    ("close", "kind", "is_stored"),
    [(1000, Wrong.NEW_LEVEL, True), (1400, Wrong.NEW_LEVEL, True), (1401, Wrong.JUMP, False), (120, None, True)],
)
def test_a_second_close_at_the_level_that_was_refused_is_stored_and_named(
    close: int, kind: Wrong | None, is_stored: bool
) -> None:
    known = Known(previous=stored(100, BEFORE - timedelta(days=1)), refused=Close(BEFORE, Decimal(1000)))
    judged = judge("AAPL", DAY, [row(close)], known, source="file")
    assert (judged.fault and judged.fault.wrong) is kind
    assert (judged.bar is not None) is is_stored
    half = replace(known, splits=[Split(datetime(2026, 11, 20, tzinfo=UTC), Decimal(2), Decimal(1))])
    assert wrong(row(500), known=half) is Wrong.NEW_LEVEL
    assert wrong(row(50), known=half) is None


def test_an_alert_tells_what_was_stored_from_what_was_not() -> None:
    faults = [Fault("AAPL", Wrong.JUMP, "jumps", Decimal(7)), Fault("MSFT", Wrong.NEW_LEVEL, "is at a new level")]
    it = mark(None, DAY, ["AAPL", "MSFT"], bars=[stored()], faults=faults, at=NOW)
    text = it.events[1].data["text"]
    assert text == "Not stored: AAPL: jumps. Stored all the same: MSFT: is at a new level."
    assert (it.wrong, it.jumps) == (1, {"AAPL": Decimal(7)})
    assert mark(None, DAY, ["MSFT"], bars=[], faults=faults[1:], at=NOW).wrong == 0


def test_what_is_stored_is_kept_and_what_differs_is_the_next_revision() -> None:
    kept = stored(100, revision=2)
    assert judge("AAPL", DAY, [row(100)], Known(kept), source="other").bar is kept
    changed = judge("AAPL", DAY, [row(101)], Known(kept), source="other").bar
    assert changed == replace(stored(101, revision=3), source="other")


def test_a_mark_tells_of_new_bars_and_new_faults_once() -> None:
    faults = [Fault(f"S{n:03}", Wrong.MISSING, "there is no bar") for n in range(500)]
    first = mark(None, DAY, ["AAPL"], bars=[stored()], faults=faults, at=NOW)
    assert [event.type for event in first.events] == ["bars.ingested", "alert.raised"]
    for event in first.events:
        DATA[event.type].model_validate(dict(event.data))
    text = first.events[1].data["text"]
    assert text.count("there is no bar") == MAX_LISTED
    assert text.endswith("and 480 more.")
    assert mark(first, DAY, ["AAPL"], bars=[stored()], faults=faults, at=NOW + timedelta(1)) is first
    mended = mark(first, DAY, ["AAPL"], bars=[stored()], faults=[], at=NOW)
    assert (mended.version, mended.events, mended.is_complete(first.wanted)) == (2, (), True)
    changed = mark(mended, DAY, ["AAPL"], bars=[stored(101, revision=2)], faults=[], at=NOW)
    assert [event.data for event in changed.events] == [{"day": "2026-11-20", "stored": 1, "changed": 1}]
    assert not changed.is_complete(mark(None, DAY, ["AAPL", "MSFT"], bars=[], faults=[], at=NOW).wanted)
    silent = mark(None, DAY, ["AAPL"], bars=[stored()], faults=faults, at=NOW, tells=False)
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
        **{name: st.none() | numbers for name in ("vwap", "pre_market", "after_hours")},
        source=st.just("file"),
        revision=st.integers(1, 9),
    )
)
def test_a_bar_is_read_as_it_was_written(bar: Bar) -> None:
    item = {name: value for name, value in bars.to_item(bar).items() if value is not None}
    assert bars.from_item(item) == bar


@given(st.none() | st.sampled_from(Sector), st.booleans())
def test_an_asset_is_read_as_it_was_written_and_said_again_it_stays(sector: Sector | None, active: bool) -> None:
    said = AssetRecord("SPY", "SPDR S&P 500", "etf", sector, "USD", "ARCX", active, 0)
    asset = entered(None, said)
    item = {name: value for name, value in assets.to_item(asset).items() if value is not None}
    assert assets.from_item(item) == asset
    assert entered(asset, said) is asset
    assert entered(asset, replace(said, name="SPDR")).version == 2
