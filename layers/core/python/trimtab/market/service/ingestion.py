"""The nightly ingestion of daily bars: judged, stored, marked, told; a repeat of any part of it changes nothing."""

from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Split
from trimtab.kernel import trading_days
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.market.domain.bars import (
    MAX_JUMP_PERCENT,
    Close,
    Fault,
    Judged,
    Known,
    ProvidedBar,
    ProvidedSplit,
    Wrong,
    judge,
    needs_splits,
)
from trimtab.market.domain.ingested import (
    SESSIONS_BACK,
    IngestedDay,
    Untold,
    bars_ingested,
    has_new_bars,
    mark,
    sessions_between,
    sessions_up_to,
    wanted_of,
)
from trimtab.market.service.ports import ActiveAssets, BarProvider, BarStore, ProviderFailed, SplitDesk

SYMBOLS_AT_ONCE = 50
"""Two bars a symbol are read together, a hundred items a call."""

Rows = dict[str, list[ProvidedBar]]


class Night(Struct, frozen=True):
    """What a night did: the marks of its days, and the days that could not be had, with the reason."""

    days: Sequence[IngestedDay]
    failed: Sequence[tuple[date, str]]


class Outcome(Struct, frozen=True):
    """What became of a day: its mark, what was wrong, whether it was skipped because nothing was left to do."""

    mark: IngestedDay
    faults: Sequence[Fault] = ()
    skipped: bool = False


class Ingestion(Struct, frozen=True):
    """Takes days of bars from the provider into the store.

    A day is marked when all its good bars are stored, and not before; so whatever ends half-way is done again, and what
    is stored already is not written again. `max_jump_percent` None lets every close pass.
    """

    provider: BarProvider
    assets: ActiveAssets
    bars: BarStore
    splits: SplitDesk
    clock: Clock
    max_jump_percent: Decimal | None = MAX_JUMP_PERCENT

    def run_night(self) -> Night:
        """The session before today, and what is missing of the ten last ones, oldest first.

        A day that the provider does not give does not keep the others from being stored.
        """
        today = self.clock().date()
        sessions = sessions_up_to(today - timedelta(days=1))
        symbols = self.assets.active_symbols()
        if not symbols:
            return Night((), ())
        wanted, marked = wanted_of(symbols), self.bars.marked(sessions)
        done, failed = [], []
        for day in sessions:
            if day != sessions[-1] and day in marked and marked[day].is_complete(wanted):
                continue
            try:
                done.append(self.ingest(day, symbols).mark)
            except ProviderFailed as error:
                failed.append((day, str(error)))
        self._tell()  # of a backfill that was ended before it could
        if not failed and trading_days.is_trading_day(today):
            self._enter_splits(today, symbols)  # before its session, so that no trade of it sees the old number
        return Night(done, failed)

    def backfill(self, first: date, last: date) -> Generator[Outcome]:
        """Every session of these days, oldest first, those that are complete for these very assets skipped.

        Nobody is alerted. However many days have new bars, one `bars.ingested` tells of them, of the first one, when
        all is done or whoever takes the days closes it; after an end without that the next run tells. Raises
        `ProviderFailed` where the provider has no more: run it again then.
        """
        symbols = self.assets.active_symbols()
        wanted = wanted_of(symbols)
        days = sessions_between(first, last)
        marked = self.bars.marked(days)
        try:
            for day in days:
                before = marked.get(day)
                if before and before.is_complete(wanted):
                    yield Outcome(before, skipped=True)
                else:
                    yield self.ingest(day, symbols, tells=False)
        finally:
            self._tell()

    def _tell(self) -> None:
        """Tells of the days since the first one that nobody was told of."""

        def attempt() -> None:
            untold = self.bars.untold()
            if untold is None or untold.since is None:
                return
            event = bars_ingested(untold.since, self.bars.marked([untold.since]).get(untold.since))
            self.bars.put_untold(Untold(since=None, version=untold.version + 1, at=self.clock(), events=(event,)))

        retrying_on_conflict(attempt)

    def _note_untold(self, day: date) -> None:
        untold = self.bars.untold()
        if untold is None or untold.since is None or day < untold.since:
            version = untold.version + 1 if untold else 1
            self.bars.put_untold(Untold(since=day, version=version, at=self.clock()))

    def ingest(self, day: date, symbols: Sequence[str], *, tells: bool = True) -> Outcome:
        """The day's splits, bars and mark; raises `ProviderFailed` where the provider has not one of its bars."""
        faults = self._enter_splits(day, symbols)
        rows = self._rows(day, symbols)
        if symbols and not rows:
            raise ProviderFailed(f"{self.provider.name} has no bars of {day.isoformat()}.")

        def attempt() -> Outcome:
            judged = [it for n in range(0, len(symbols), SYMBOLS_AT_ONCE) for it in self._stored(day, symbols, n, rows)]
            wrong = [*faults, *(it.fault for it in judged if it.fault)]
            wrong.sort(key=lambda fault: fault.wrong is Wrong.MISSING)  # who reads a few of them reads the worst
            bars = [it.bar for it in judged if it.bar]
            before = self.bars.marked([day]).get(day)
            after = mark(before, day, symbols, bars=bars, faults=wrong, at=self.clock(), tells=tells)
            if after is not before:
                if not tells and has_new_bars(before, after):
                    self._note_untold(day)
                self.bars.put_mark(after)
            return Outcome(after, wrong)

        return retrying_on_conflict(attempt)

    def _rows(self, day: date, symbols: Sequence[str]) -> Rows:
        wanted = set(symbols)
        rows: defaultdict[str, list[ProvidedBar]] = defaultdict(list)
        for row in self.provider.grouped_daily(day):
            if row.symbol in wanted and len(rows[row.symbol]) < 2:  # two tell whether they differ
                rows[row.symbol].append(row)
        return dict(rows)

    def _stored(self, day: date, symbols: Sequence[str], start: int, rows: Rows) -> list[Judged]:
        """What is to be known of these symbols' day, once what is new of it is stored."""
        some = symbols[start : start + SYMBOLS_AT_ONCE]
        earlier = sessions_up_to(day - timedelta(days=1), SESSIONS_BACK)
        found = self.bars.bars_of(some, [earlier[-1], day])
        previous = self._previous([it for it in some if it in rows], earlier, found)
        jumping = [it for it in some if it in rows and self._jumps(rows[it][0], previous.get(it))]
        splits = self.bars.splits_of(jumping) if jumping else {}
        refused = self._refused(jumping, earlier, previous)
        name, most, judged = self.provider.name, self.max_jump_percent, []
        for symbol in some:
            stored, of_symbol = found.get((symbol, day)), splits.get(symbol, ())
            known = Known(stored, previous.get(symbol), refused.get(symbol), of_symbol)
            judged.append(judge(symbol, day, rows.get(symbol, ()), known, source=name, max_jump_percent=most))
        new = [it.bar for it in judged if it.bar and it.bar is not found.get((it.bar.symbol, day))]
        if new:
            self.bars.put_bars(new)
        return judged

    def _previous(
        self, symbols: Sequence[str], earlier: Sequence[date], found: Mapping[tuple[str, date], Bar]
    ) -> dict[str, Bar]:
        """The last bar of each symbol in these sessions: mostly that of the last one, which was found already."""
        if self.max_jump_percent is None:
            return {}
        without = [it for it in symbols if (it, earlier[-1]) not in found]
        older = self.bars.bars_of(without, earlier[:-1]) if without else {}
        bars = [bar for bar in (*older.values(), *found.values()) if bar.day <= earlier[-1]]
        return {bar.symbol: bar for bar in sorted(bars, key=lambda bar: bar.day)}

    def _refused(
        self, symbols: Sequence[str], earlier: Sequence[date], previous: Mapping[str, Bar]
    ) -> dict[str, Close]:
        """The last close of each symbol that was refused, because it jumped, since its last bar."""
        marks = self.bars.marked(earlier) if symbols else {}
        return {
            symbol: Close(day, marks[day].jumps[symbol])
            for symbol in symbols
            for day in earlier
            if day > previous[symbol].day and day in marks and symbol in marks[day].jumps
        }

    def _jumps(self, row: ProvidedBar, previous: Bar | None) -> bool:
        return needs_splits(row, previous, self.max_jump_percent)

    def _enter_splits(self, day: date, symbols: Sequence[str]) -> list[Fault]:
        """What was wrong with the day's splits; the others are entered, or were before."""
        wanted = set(symbols)
        faults = [self._enter_split(it) for it in self.provider.splits(day) if it.symbol in wanted and it.day == day]
        return [fault for fault in faults if fault]

    def _enter_split(self, it: ProvidedSplit) -> Fault | None:
        if not it.new or not it.old:
            return Fault(it.symbol, Wrong.SPLIT, "a split whose ratio cannot be read")
        try:
            self.splits.enter_split(it.symbol, Split(datetime.combine(it.day, time(), UTC), it.new, it.old))
        except (Conflict, Unprocessable) as refusal:
            return Fault(it.symbol, Wrong.SPLIT, refusal.detail)
        return None
