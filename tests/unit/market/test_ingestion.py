"""An interrupted and repeated ingestion leaves the table as an uninterrupted ingestion does."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import AcceptedPrice, Quote
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.domain.ingested_days import IngestedDay, UnannouncedDays, sessions_between, sessions_up_to
from trimtab.market.domain.providers import ProviderFailed
from trimtab.market.domain.splits import add_split, split_of_day
from trimtab.market.service.ingestion import Ingestion, IngestionResult

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
LAST = date(2026, 11, 20)
DAYS = sessions_up_to(LAST)
SYMBOLS = ["AAPL", "JUMPS", "MISSING", "MSFT", "SPLIT"]


class End(BaseException):
    """Raised to end the process at a write."""


@dataclass
class Table:
    """The table `market` in memory. A batch of bars is written bar by bar, so that a write can end half-way."""

    bars: dict[tuple[str, date], Bar] = field(default_factory=dict)
    days: dict[date, IngestedDay] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    announcements: list[UnannouncedDays] = field(default_factory=list)
    looked_back_for: set[str] = field(default_factory=set)
    submitted: list[tuple[str, AcceptedPrice]] = field(default_factory=list)
    writes_left: float = float("inf")
    writes: int = 0

    def _write(self) -> None:
        if self.writes_left <= 0:
            raise End
        self.writes_left -= 1
        self.writes += 1

    def active_assets(self) -> list[AssetRecord]:
        return [AssetRecord(symbol, symbol, "stock", None, "USD", "XNYS", True) for symbol in SYMBOLS]

    def bars_of(self, symbols: Sequence[str], days: Sequence[date]) -> Mapping[tuple[str, date], Bar]:
        return {key: bar for key, bar in self.bars.items() if key[0] in symbols and key[1] in days}

    def last_bar(self, symbol: str, on_or_before: date) -> Bar | None:
        self.looked_back_for.add(symbol)
        bars = [bar for bar in self.bars.values() if bar.symbol == symbol and bar.day <= on_or_before]
        return max(bars, key=lambda bar: bar.day, default=None)

    def put_bars(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self._write()
            self.bars[bar.symbol, bar.day] = bar

    def quotes_of(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        return {symbol: quote for symbol, quote in self.quotes.items() if symbol in symbols}

    def ingested_days(self, days: Sequence[date]) -> Mapping[date, IngestedDay]:
        return {day: self.days[day] for day in days if day in self.days}

    def put(self, record: IngestedDay | UnannouncedDays) -> None:
        before = self.days.get(record.day) if isinstance(record, IngestedDay) else self.unannounced_days()
        if record.version != (before.version + 1 if before else 1):
            raise ConditionFailed({0: None})
        self._write()
        if isinstance(record, IngestedDay):
            self.days[record.day] = record
        else:
            self.announcements.append(record)

    def unannounced_days(self) -> UnannouncedDays | None:
        return self.announcements[-1] if self.announcements else None

    def announced_days(self) -> list[str]:
        """Return the days that events announced after backfills."""
        return [event.data["day"] for record in self.announcements for event in record.events]

    def enter_split(self, symbol: str, day: date, new: Decimal, old: Decimal) -> Quote:
        quote = self.quotes.get(symbol, Quote(symbol))
        entered = add_split(quote, split_of_day(day, new, old, "XNYS")).after
        if entered is not quote:
            self._write()
            self.quotes[symbol] = entered
        return entered

    def submit(self, symbol: str, price: AcceptedPrice) -> None:
        self.submitted.append((symbol, price))


@dataclass
class FakeProvider:
    """A provider of ten sessions; on the last one SPLIT splits and JUMPS jumps.

    The provider fails for the days `away`. A price of 0 means no bar.
    """

    prices: Mapping[tuple[str, date], int]
    away: frozenset[date] = frozenset()
    name: str = "test"

    def daily_bars(self, day: date) -> Iterable[ProvidedBar]:
        if day in self.away:
            raise ProviderFailed("away")
        for symbol in [*SYMBOLS, "STRANGER"]:
            price = Decimal(self.prices.get((symbol, day), 100))
            if symbol != "MISSING" and price:
                yield ProvidedBar(symbol, price, price, price, price, Decimal(1))

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        found = [ProvidedSplit("SPLIT", LAST, Decimal(4), Decimal(1)), ProvidedSplit("MSFT", LAST, None, None)]
        return [split for split in found if split.day == day]


PRICES = {("SPLIT", LAST): 25, ("JUMPS", LAST): 25}


def night(table: Table, provider: FakeProvider) -> Any:
    """Run a nightly ingestion."""
    return ingestion(table, provider).run_night()


def ingestion(table: Table, provider: FakeProvider, *, accept_jumps: bool = False) -> Ingestion:
    """Return the ingestion of a table in memory."""
    return Ingestion(
        provider, table.active_assets, table, table.enter_split, table.submit, lambda: NOW, accept_jumps=accept_jumps
    )


def in_one_go(*providers: FakeProvider) -> Table:
    """Return the table after a nightly ingestion with each provider."""
    table = Table()
    for provider in providers:
        night(table, provider)
    return table


def test_a_nightly_run_stores_valid_bars_and_reports_the_faults() -> None:
    table = Table()
    result = night(table, FakeProvider(PRICES))
    assert [day.day for day in result.days] == DAYS
    assert len(table.bars) == 10 * 3 + 9, "MISSING is missing, and JUMPS on one day"
    assert ("JUMPS", LAST) not in table.bars
    assert table.bars["SPLIT", LAST].close == 25
    assert table.quotes["SPLIT"].splits[0].new == 4
    events = {event.type: event.data for event in table.days[LAST].events}
    assert events["alert.raised"]["details"] == {"day": "2026-11-20", "missing": "1", "jump": "1", "split": "1"}
    writes = table.writes
    night(table, FakeProvider(PRICES))
    assert table.writes == writes, "the same again writes nothing"


@given(st.lists(st.integers(0, 60), max_size=6))
def test_any_sequence_of_interrupted_runs_leaves_the_same_table(ends: list[int]) -> None:
    table = Table()
    for writes in ends:
        table.writes_left = writes
        with suppress(End):
            night(table, FakeProvider(PRICES))
    table.writes_left = float("inf")
    night(table, FakeProvider(PRICES))
    whole = in_one_go(FakeProvider(PRICES))
    assert (table.bars, table.days, table.quotes) == (whole.bars, whole.days, whole.quotes)


@given(st.lists(st.integers(0, 8), max_size=4), st.dictionaries(st.sampled_from(SYMBOLS), st.integers(90, 110)))
def test_a_correction_that_is_interrupted_makes_the_same_table_too(ends: list[int], new: dict[str, int]) -> None:
    first, corrected = (
        FakeProvider(PRICES),
        FakeProvider(PRICES | {(symbol, LAST): price for symbol, price in new.items()}),
    )
    table = in_one_go(first)
    for writes in ends:
        table.writes_left = writes
        with suppress(End):
            night(table, corrected)
    table.writes_left = float("inf")
    night(table, corrected)
    whole = in_one_go(first, corrected)
    assert (table.bars, table.days) == (whole.bars, whole.days)


@given(st.lists(st.frozensets(st.sampled_from(DAYS)), max_size=4))
def test_days_for_which_the_provider_failed_are_ingested_by_a_later_run(absences: list[frozenset[date]]) -> None:
    table = Table()
    for away in absences:
        result = night(table, FakeProvider(PRICES, away))
        failed = {day for day, _ in result.failed}
        assert failed <= away
        assert LAST not in away or LAST in failed
    assert not night(table, FakeProvider(PRICES)).failed
    assert set(table.days) == set(DAYS)
    assert {key for key in table.bars if key[1] != LAST} == {
        (symbol, day) for symbol in SYMBOLS for day in DAYS[:-1] if symbol != "MISSING"
    }


def test_a_jump_after_a_session_without_a_bar_is_rejected_once_and_then_stored_with_an_alert() -> None:
    risen = dict.fromkeys([("AAPL", day) for day in DAYS[5:]], 1000)
    table = Table()
    night(table, FakeProvider({**PRICES, **risen, ("AAPL", DAYS[4]): 0}))
    assert ("AAPL", DAYS[5]) not in table.bars
    assert [table.bars["AAPL", day].close for day in DAYS[6:]] == [1000] * 4
    alerts = {day: table.days[day].events[-1].data for day in DAYS[5:8]}
    assert "AAPL: close 1000 is 900 % away from 100" in alerts[DAYS[5]]["text"]
    assert "Stored despite a fault: AAPL: close 1000 is 900 % away from 100, and no split" in alerts[DAYS[6]]["text"]
    assert f"close 1000 of {DAYS[5]} was rejected for the same jump" in alerts[DAYS[6]]["text"]
    assert "AAPL" not in alerts[DAYS[7]]["text"]
    assert table.looked_back_for == {"AAPL", "JUMPS", "MSFT", "SPLIT"}, "on the first day; MISSING never came"


def backfill(table: Table, provider: FakeProvider, first: date, *, accept_jumps: bool = False) -> list[IngestionResult]:
    """Run a backfill up to the last day."""
    return list(ingestion(table, provider, accept_jumps=accept_jumps).backfill(first, LAST))


class Whole(FakeProvider):
    """A provider without missing symbols and splits."""

    def daily_bars(self, day: date) -> Iterable[ProvidedBar]:
        price = Decimal(100)
        yield from super().daily_bars(day)
        yield ProvidedBar("MISSING", price, price, price, price, Decimal(1))

    def splits(self, day: date) -> Sequence[ProvidedSplit]:  # noqa: ARG002 - no day has splits
        return ()


def test_older_sessions_are_read_only_for_symbols_without_a_bar_of_the_session_before() -> None:
    gap = Whole({("AAPL", DAYS[-2]): 0})
    table = in_one_go(gap)
    table.looked_back_for.clear()
    night(table, gap)
    assert table.looked_back_for == {"AAPL"}


FAR = date(2026, 10, 1)


def test_a_backfill_skips_complete_days_raises_no_alerts_and_resumes() -> None:
    table = in_one_go(Whole({}))
    with pytest.raises(ProviderFailed):
        backfill(table, Whole({}, frozenset({date(2026, 10, 15)})), FAR)
    filled = [result.record.day for result in backfill(table, Whole({}), FAR) if not result.skipped]
    assert filled == sessions_between(date(2026, 10, 15), DAYS[0] - timedelta(days=1))
    assert not any(table.days[day].events for day in sessions_between(FAR, DAYS[0] - timedelta(days=1)))
    assert table.announced_days() == [str(FAR), "2026-10-15"]
    assert [result for result in backfill(table, Whole({}), FAR) if not result.skipped] == []
    assert len(table.announced_days()) == 2, "nothing was new"


def test_a_backfill_repeats_days_with_faults_and_accepts_jumps_if_allowed() -> None:
    table = in_one_go(FakeProvider(PRICES))
    done = {result.record.day for result in backfill(table, FakeProvider(PRICES), DAYS[0]) if not result.skipped}
    assert done == set(DAYS), "MISSING is missing"
    assert table.announced_days() == []
    backfill(table, FakeProvider(PRICES), LAST, accept_jumps=True)
    assert table.bars["JUMPS", LAST].close == 25
    assert table.announced_days() == [str(LAST)]


def test_a_replacing_backfill_corrects_the_bars_of_complete_days_and_announces_the_first() -> None:
    table, corrected = in_one_go(Whole({})), Whole({("AAPL", DAYS[3]): 101})
    assert [result for result in backfill(table, corrected, DAYS[0]) if not result.skipped] == []
    done = list(ingestion(table, corrected).backfill(DAYS[0], LAST, replace=True))
    assert [result.record.changed for result in done] == [int(day == DAYS[3]) for day in DAYS]
    bar = table.bars["AAPL", DAYS[3]]
    assert (bar.close, bar.revision, table.bars["MSFT", DAYS[3]].revision) == (Decimal(101), 2, 1)
    assert table.announced_days() == [str(DAYS[3])]
    list(ingestion(table, corrected).backfill(DAYS[0], LAST, replace=True))
    assert len(table.announced_days()) == 1, "equal bars change nothing"


@given(st.integers(0, 60))
def test_an_interrupted_backfill_announces_its_days_later(writes: int) -> None:
    table = Table(writes_left=writes)
    with suppress(End):
        backfill(table, Whole({}), DAYS[0])
    table.writes_left = float("inf")
    backfill(table, Whole({}), DAYS[0])
    assert min(table.announced_days()) == str(DAYS[0])
    assert table.announcements[-1].since is None
    assert len(table.announced_days()) <= 2


def test_a_nightly_run_announces_the_days_of_an_abandoned_backfill() -> None:
    table = Table(writes_left=20)
    with suppress(End):
        backfill(table, Whole({}), DAYS[0])
    assert table.announced_days() == []
    table.writes_left = float("inf")
    night(table, Whole({}))
    assert table.announced_days() == [str(DAYS[0])]


def test_a_nightly_run_without_assets_asks_the_provider_for_nothing() -> None:
    class Empty(Table):
        def active_assets(self) -> list[AssetRecord]:
            return []

    table = Empty()
    assert night(table, FakeProvider({}, frozenset(DAYS))).failed == ()
    assert table.writes == 0
