"""The nightly ingestion of daily bars. Every step is idempotent."""

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from trimtab.contracts.assets import MAX_JUMP_PERCENT
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel import trading_days
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.retry import retry_on_conflict
from trimtab.market.domain.bars import (
    BarFault,
    DailyClose,
    FaultKind,
    ProvidedBar,
    ProvidedSplit,
    ReferenceData,
    ValidationResult,
    needs_splits,
    validate,
)
from trimtab.market.domain.ingested_days import (
    SESSIONS_BACK,
    IngestedDay,
    UnannouncedDays,
    assets_fingerprint,
    bars_ingested,
    has_new_bars,
    record_day,
    sessions_between,
    sessions_up_to,
)
from trimtab.market.domain.providers import BarProvider, ProviderFailed

SYMBOLS_PER_READ = 50
"""Two bars are read for each symbol, and one `BatchGetItem` call reads at most 100 items."""

Rows = dict[str, list[ProvidedBar]]


class IngestedBars(Protocol):
    """The store of an ingestion: the table, or memory in tests that interrupt an ingestion at every write."""

    def bars_of(self, symbols: Sequence[str], days: Sequence[date]) -> Mapping[tuple[str, date], Bar]:
        """Return the stored bars of the symbols on the days, read consistently."""

    def put_bars(self, bars: Sequence[Bar]) -> None:
        """Write the bars without conditions; a failure may leave some bars unwritten."""

    def splits_of(self, symbols: Sequence[str]) -> Mapping[str, Sequence[Split]]:
        """Return the splits of each symbol, read consistently."""

    def ingested_days(self, days: Sequence[date]) -> Mapping[date, IngestedDay]:
        """Return the records of the days that were ingested, read consistently."""

    def unannounced_days(self) -> UnannouncedDays | None:
        """Return the record of unannounced days, read consistently, None if no such record was ever written."""

    def put(self, record: IngestedDay | UnannouncedDays) -> None:
        """Write the record and its events (optimistic locking); raises `ConditionFailed` for a concurrent write."""


class NightlyResult(Struct, frozen=True):
    """The days that a nightly run ingested, and the days for which the provider failed, with the reasons."""

    days: Sequence[IngestedDay]
    failed: Sequence[tuple[date, str]]


class IngestionResult(Struct, frozen=True):
    """The record of an ingested day with its faults; `skipped` if the day was complete already."""

    record: IngestedDay
    faults: Sequence[BarFault] = ()
    skipped: bool = False


class Ingestion(Struct, frozen=True):
    """Stores the daily bars of a provider.

    The record of a day is written after all valid bars of the day. After an interruption the day has no record, so the
    next run repeats the day and writes only the missing bars. `max_jump_percent` is the largest accepted change of a
    close since the previous bar, in percent; None accepts every change.
    """

    provider: BarProvider
    active_symbols: Callable[[], Sequence[str]]
    bars: IngestedBars
    enter_split: Callable[[str, Split], Quote]
    clock: Clock
    max_jump_percent: Decimal | None = MAX_JUMP_PERCENT

    def run_night(self) -> NightlyResult:
        """Ingest the last session before today and the incomplete days of the nine sessions before, oldest first.

        A day for which the provider fails does not prevent the ingestion of the other days. If no day failed and today
        is a trading day, the splits of today are entered too.
        """
        today = self.clock().date()
        sessions = sessions_up_to(today - timedelta(days=1))
        symbols = self.active_symbols()
        if not symbols:
            return NightlyResult((), ())
        assets, records = assets_fingerprint(symbols), self.bars.ingested_days(sessions)
        done, failed = [], []
        for day in sessions:
            if day != sessions[-1] and day in records and records[day].is_complete(assets):
                continue
            try:
                done.append(self.ingest(day, symbols).record)
            except ProviderFailed as error:
                failed.append((day, str(error)))
        self._publish_unannounced()  # days that an interrupted backfill stored without an event
        if not failed and trading_days.is_trading_day(today):
            self._enter_splits(
                today, symbols
            )  # before the session opens, so that trades of today find adjusted quantities
        return NightlyResult(done, failed)

    def backfill(self, first: date, last: date) -> Generator[IngestionResult]:
        """Ingest every session between two days, oldest first; complete days are skipped.

        A backfill raises no alerts. When the generator ends or is closed, one event `bars.ingested` with the first day
        that has new bars is published for all days; after a crash the next run publishes the event. Raises
        `ProviderFailed` if the provider fails; the backfill can then be repeated.
        """
        symbols = self.active_symbols()
        assets = assets_fingerprint(symbols)
        days = sessions_between(first, last)
        records = self.bars.ingested_days(days)
        try:
            for day in days:
                before = records.get(day)
                if before and before.is_complete(assets):
                    yield IngestionResult(before, skipped=True)
                else:
                    yield self.ingest(day, symbols, publish=False)
        finally:
            self._publish_unannounced()

    def _publish_unannounced(self) -> None:
        """Publish one event for all days whose new bars no event has announced yet."""

        def attempt() -> None:
            unannounced = self.bars.unannounced_days()
            if unannounced is None or unannounced.since is None:
                return
            since = unannounced.since
            event = bars_ingested(since, self.bars.ingested_days([since]).get(since))
            version = unannounced.version + 1
            self.bars.put(UnannouncedDays(since=None, version=version, updated_at=self.clock(), events=(event,)))

        retry_on_conflict(attempt)

    def _record_unannounced(self, day: date) -> None:
        unannounced = self.bars.unannounced_days()
        if unannounced is None or unannounced.since is None or day < unannounced.since:
            version = unannounced.version + 1 if unannounced else 1
            self.bars.put(UnannouncedDays(since=day, version=version, updated_at=self.clock()))

    def ingest(self, day: date, symbols: Sequence[str], *, publish: bool = True) -> IngestionResult:
        """Store the splits, the bars and the record of a day; raises `ProviderFailed` if the day has no bars."""
        split_faults = self._enter_splits(day, symbols)
        rows = self._provided_rows(day, symbols)
        if symbols and not rows:
            raise ProviderFailed(f"{self.provider.name} has no bars for {day.isoformat()}.")

        def attempt() -> IngestionResult:
            results = [
                result
                for start in range(0, len(symbols), SYMBOLS_PER_READ)
                for result in self._store_valid(day, symbols[start : start + SYMBOLS_PER_READ], rows)
            ]
            faults = [*split_faults, *(result.fault for result in results if result.fault)]
            faults.sort(key=lambda fault: fault.kind is FaultKind.MISSING)  # alerts list the severe faults first
            bars = [result.bar for result in results if result.bar]
            before = self.bars.ingested_days([day]).get(day)
            after = record_day(before, day, symbols, bars=bars, faults=faults, now=self.clock(), publish=publish)
            if after is not before:
                if not publish and has_new_bars(before, after):
                    self._record_unannounced(day)
                self.bars.put(after)
            return IngestionResult(after, faults)

        return retry_on_conflict(attempt)

    def _provided_rows(self, day: date, symbols: Sequence[str]) -> Rows:
        known = set(symbols)
        rows: defaultdict[str, list[ProvidedBar]] = defaultdict(list)
        for row in self.provider.daily_bars(day):
            if row.symbol in known and len(rows[row.symbol]) < 2:  # two rows are enough to detect contradicting rows
                rows[row.symbol].append(row)
        return dict(rows)

    def _store_valid(self, day: date, symbols: Sequence[str], rows: Rows) -> list[ValidationResult]:
        """Validate the rows of the symbols, write the new bars, and return the results."""
        earlier = sessions_up_to(day - timedelta(days=1), SESSIONS_BACK)
        found = self.bars.bars_of(symbols, [earlier[-1], day])
        provided = [symbol for symbol in symbols if symbol in rows]
        previous = self._previous_bars(provided, earlier, found)
        jumping = [symbol for symbol in provided if self._jumps(rows[symbol][0], previous.get(symbol))]
        splits = self.bars.splits_of(jumping) if jumping else {}
        rejected = self._rejected_closes(jumping, earlier, previous)
        results = []
        for symbol in symbols:
            stored, of_symbol = found.get((symbol, day)), splits.get(symbol, ())
            reference = ReferenceData(stored, previous.get(symbol), rejected.get(symbol), of_symbol)
            results.append(
                validate(
                    symbol,
                    day,
                    rows.get(symbol, ()),
                    reference,
                    source=self.provider.name,
                    max_jump_percent=self.max_jump_percent,
                )
            )
        bars = (result.bar for result in results if result.bar)
        new = [bar for bar in bars if bar is not found.get((bar.symbol, day))]
        if new:
            self.bars.put_bars(new)
        return results

    def _previous_bars(
        self, symbols: Sequence[str], earlier: Sequence[date], found: Mapping[tuple[str, date], Bar]
    ) -> dict[str, Bar]:
        """Return the last bar of each symbol in the earlier sessions; older sessions are read only where needed."""
        if self.max_jump_percent is None:
            return {}
        without = [symbol for symbol in symbols if (symbol, earlier[-1]) not in found]
        older = self.bars.bars_of(without, earlier[:-1]) if without else {}
        bars = [bar for bar in (*older.values(), *found.values()) if bar.day <= earlier[-1]]
        return {bar.symbol: bar for bar in sorted(bars, key=lambda bar: bar.day)}

    def _rejected_closes(
        self, symbols: Sequence[str], earlier: Sequence[date], previous: Mapping[str, Bar]
    ) -> dict[str, DailyClose]:
        """Return by symbol the newest close that was rejected as a jump after the symbol's last stored bar."""
        records = self.bars.ingested_days(earlier) if symbols else {}
        return {
            symbol: DailyClose(day, records[day].jumps[symbol])
            for symbol in symbols
            for day in earlier
            if day > previous[symbol].day and day in records and symbol in records[day].jumps
        }

    def _jumps(self, row: ProvidedBar, previous: Bar | None) -> bool:
        return needs_splits(row, previous, self.max_jump_percent)

    def _enter_splits(self, day: date, symbols: Sequence[str]) -> list[BarFault]:
        """Enter the splits of a day, and return the faults; a split that is stored already is not a fault."""
        known = set(symbols)
        splits = [split for split in self.provider.splits(day) if split.symbol in known and split.day == day]
        return [fault for split in splits if (fault := self._enter_provided_split(split))]

    def _enter_provided_split(self, provided: ProvidedSplit) -> BarFault | None:
        if not provided.new or not provided.old:
            return BarFault(provided.symbol, FaultKind.SPLIT, "the ratio of the split is not a number above zero")
        split = Split(datetime.combine(provided.day, time(), UTC), provided.new, provided.old)
        try:
            self.enter_split(provided.symbol, split)
        except (Conflict, Unprocessable) as refusal:
            return BarFault(provided.symbol, FaultKind.SPLIT, refusal.detail)
        return None
