"""The nightly ingestion of daily bars. Every step is idempotent."""

from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import AcceptedPrice, Quote
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
from trimtab.market.domain.plausibility import PriceLimits, PricePoint, close_point, is_at_level
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

    def last_bar(self, symbol: str, on_or_before: date) -> Bar | None:
        """Return the newest bar of a symbol on or before a day, None if there is no such bar."""

    def quotes_of(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Return the quotes by symbol, with the splits, read consistently."""

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
    next run repeats the day and writes only the missing bars. `submit` sends a held price to be judged again, where a
    stored close is at the level of the price. With `accept_jumps`, every change of a close is plausible.
    """

    provider: BarProvider
    active_assets: Callable[[], Sequence[AssetRecord]]
    bars: IngestedBars
    enter_split: Callable[[str, date, Decimal, Decimal], Quote]
    submit: Callable[[str, AcceptedPrice], None]
    clock: Clock
    accept_jumps: bool = False

    def run_night(self) -> NightlyResult:
        """Ingest the last session before today and the incomplete days of the nine sessions before, oldest first.

        A day for which the provider fails does not prevent the ingestion of the other days. If no day failed and today
        is a trading day, the splits of today are entered too.
        """
        today = self.clock().date()
        sessions = sessions_up_to(today - timedelta(days=1))
        assets = self.active_assets()
        if not assets:
            return NightlyResult((), ())
        known, records = assets_fingerprint(_symbols(assets)), self.bars.ingested_days(sessions)
        done, failed = [], []
        for day in sessions:
            if day != sessions[-1] and day in records and records[day].is_complete(known):
                continue
            try:
                done.append(self.ingest(day, assets).record)
            except ProviderFailed as error:
                failed.append((day, str(error)))
        self._publish_unannounced()  # days that an interrupted backfill stored without an event
        if not failed and trading_days.is_trading_day(today):
            self._enter_splits(today, _symbols(assets))  # before the session opens
        return NightlyResult(done, failed)

    def backfill(self, first: date, last: date, *, replace: bool = False) -> Generator[IngestionResult]:
        """Ingest every session between two days, oldest first; complete days are skipped, unless with `replace`.

        With `replace` the source corrects stored bars: a bar with different numbers is the next revision. A bar that
        the source does not have stays.
        A backfill raises no alerts. When the generator ends or is closed, one event `bars.ingested` with the first day
        that has new bars is published for all days; after a crash the next run publishes the event. Raises
        `ProviderFailed` if the provider fails; the backfill can then be repeated.
        """
        assets = self.active_assets()
        known = assets_fingerprint(_symbols(assets))
        days = sessions_between(first, last)
        records = self.bars.ingested_days(days)
        try:
            for day in days:
                before = records.get(day)
                if before and before.is_complete(known) and not replace:
                    yield IngestionResult(before, skipped=True)
                else:
                    yield self.ingest(day, assets, publish=False)
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

    def ingest(self, day: date, assets: Sequence[AssetRecord], *, publish: bool = True) -> IngestionResult:
        """Store the splits, the bars and the record of a day; raises `ProviderFailed` if the day has no bars."""
        symbols = _symbols(assets)
        split_faults = self._enter_splits(day, symbols)
        rows = self._provided_rows(day, symbols)
        if symbols and not rows:
            raise ProviderFailed(f"{self.provider.name} has no bars for {day.isoformat()}.")

        earlier = sessions_up_to(day - timedelta(days=1), SESSIONS_BACK)

        def attempt() -> IngestionResult:
            records, quotes = self.bars.ingested_days(earlier), self.bars.quotes_of(symbols)
            results = [
                result
                for start in range(0, len(assets), SYMBOLS_PER_READ)
                for result in self._store_valid(day, assets[start : start + SYMBOLS_PER_READ], rows, records, quotes)
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

    def _store_valid(
        self,
        day: date,
        assets: Sequence[AssetRecord],
        rows: Rows,
        earlier: Mapping[date, IngestedDay],
        quotes: Mapping[str, Quote],
    ) -> list[ValidationResult]:
        """Validate the rows of the assets, write the new bars, and return the results."""
        symbols, before = _symbols(assets), trading_days.on_or_before(day - timedelta(days=1))
        found = self.bars.bars_of(symbols, [before, day])
        results = []
        for asset in assets:
            symbol, limits = asset.symbol, self._limits(asset)
            previous = found.get((symbol, before))
            if previous is None and symbol in rows:
                previous = self.bars.last_bar(symbol, before)
            rejected = _rejected_close(symbol, previous, earlier)
            stored, quote, unit = found.get((symbol, day)), quotes.get(symbol), asset.quote_unit
            reference = ReferenceData(stored, previous, rejected, quote, limits, unit)
            result = validate(symbol, day, rows.get(symbol, ()), reference, source=self.provider.name)
            results.append(result)
        new = [result.bar for result in results if result.bar and result.bar is not found.get((result.bar.symbol, day))]
        if new:
            self.bars.put_bars(new)
        self._submit_confirmed(assets, results, quotes)
        return results

    def _limits(self, asset: AssetRecord) -> PriceLimits:
        return PriceLimits(asset.exchange, None) if self.accept_jumps else PriceLimits.of(asset)

    def _submit_confirmed(
        self, assets: Sequence[AssetRecord], results: Sequence[ValidationResult], quotes: Mapping[str, Quote]
    ) -> None:
        """Send the held prices at the level of the stored close to be judged again."""
        for asset, result in zip(assets, results, strict=True):
            quote, close = quotes.get(asset.symbol), close_point(result.bar, asset.exchange)
            if quote is None or quote.held is None or close is None:
                continue
            held = PricePoint(quote.held.price, quote.held.as_of)
            if is_at_level(held, close, quote.splits, self._limits(asset).max_jump_percent):
                self.submit(asset.symbol, quote.held.as_accepted())

    def _enter_splits(self, day: date, symbols: Sequence[str]) -> list[BarFault]:
        """Enter the splits of a day, and return the faults; a split that is stored already is not a fault."""
        known = set(symbols)
        splits = [split for split in self.provider.splits(day) if split.symbol in known and split.day == day]
        return [fault for split in splits if (fault := self._enter_provided_split(split))]

    def _enter_provided_split(self, provided: ProvidedSplit) -> BarFault | None:
        if not provided.new or not provided.old:
            return BarFault(provided.symbol, FaultKind.SPLIT, "the ratio of the split is not a number above zero")
        try:
            self.enter_split(provided.symbol, provided.day, provided.new, provided.old)
        except (Conflict, Unprocessable) as refusal:
            return BarFault(provided.symbol, FaultKind.SPLIT, refusal.detail)
        return None


def _symbols(assets: Sequence[AssetRecord]) -> list[str]:
    return [asset.symbol for asset in assets]


def _rejected_close(symbol: str, previous: Bar | None, records: Mapping[date, IngestedDay]) -> DailyClose | None:
    """Return the newest close of the last sessions that was rejected as a jump after the symbol's last stored bar."""
    days = [
        day for day, record in records.items() if symbol in record.jumps and (previous is None or day > previous.day)
    ]
    return DailyClose(max(days), records[max(days)].jumps[symbol]) if days else None
