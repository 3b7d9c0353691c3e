"""However often a night is begun, and wherever it ends, the table is the one that a single night would have made."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.domain.bars import MAX_JUMP_PERCENT, ProvidedBar, ProvidedSplit
from trimtab.market.domain.ingested import IngestedDay, Untold, sessions_between, sessions_up_to
from trimtab.market.domain.quotes import with_split
from trimtab.market.service.ingestion import Ingestion, Outcome
from trimtab.market.service.ports import ProviderFailed

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
LAST = date(2026, 11, 20)
DAYS = sessions_up_to(LAST)
SYMBOLS = ["AAPL", "JUMPS", "MISSING", "MSFT", "SPLIT"]


class End(BaseException):
    """The process ends."""


@dataclass
class Table:
    """The market's table in memory; a batch of bars is written one by one, so that it can end half-way."""

    bars: dict[tuple[str, date], Bar] = field(default_factory=dict)
    marks: dict[date, IngestedDay] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    told: list[Untold] = field(default_factory=list)
    looked_back_for: set[str] = field(default_factory=set)
    writes_left: float = float("inf")
    writes: int = 0

    def _write(self) -> None:
        if self.writes_left <= 0:
            raise End
        self.writes_left -= 1
        self.writes += 1

    def active_symbols(self) -> list[str]:
        return SYMBOLS

    def bars_of(self, symbols: Sequence[str], days: Sequence[date]) -> Mapping[tuple[str, date], Bar]:
        if len(days) > 2:
            self.looked_back_for |= set(symbols)
        return {key: bar for key, bar in self.bars.items() if key[0] in symbols and key[1] in days}

    def put_bars(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self._write()
            self.bars[bar.symbol, bar.day] = bar

    def splits_of(self, symbols: Sequence[str]) -> Mapping[str, Sequence[Split]]:
        return {symbol: quote.splits for symbol, quote in self.quotes.items() if symbol in symbols}

    def marked(self, days: Sequence[date]) -> Mapping[date, IngestedDay]:
        return {day: self.marks[day] for day in days if day in self.marks}

    def put_mark(self, mark: IngestedDay) -> None:
        before = self.marks.get(mark.day)
        if mark.version != (before.version + 1 if before else 1):
            raise ConditionFailed({0: None})
        self._write()
        self.marks[mark.day] = mark

    def untold(self) -> Untold | None:
        return self.told[-1] if self.told else None

    def put_untold(self, untold: Untold) -> None:
        if untold.version != len(self.told) + 1:
            raise ConditionFailed({0: None})
        self._write()
        self.told.append(untold)

    def days_told(self) -> list[str]:
        """The days that were told of after backfills."""
        return [event.data["day"] for it in self.told for event in it.events]

    def enter_split(self, symbol: str, split: Split) -> Quote:
        quote = self.quotes.get(symbol, Quote(symbol))
        entered = with_split(quote, split)
        if entered is not quote:
            self._write()
            self.quotes[symbol] = entered
        return entered


@dataclass
class Provider:
    """Ten sessions; on the last one SPLIT splits and JUMPS jumps. `away` are days that it does not give; a price of 0
    is none."""

    prices: Mapping[tuple[str, date], int]
    away: frozenset[date] = frozenset()
    name: str = "test"

    def grouped_daily(self, day: date) -> Iterable[ProvidedBar]:
        if day in self.away:
            raise ProviderFailed("away")
        for symbol in [*SYMBOLS, "STRANGER"]:
            price = Decimal(self.prices.get((symbol, day), 100))
            if symbol != "MISSING" and price:
                yield ProvidedBar(symbol, price, price, price, price, Decimal(1))

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        found = [ProvidedSplit("SPLIT", LAST, Decimal(4), Decimal(1)), ProvidedSplit("MSFT", LAST, None, None)]
        return [it for it in found if it.day == day]


PRICES = {("SPLIT", LAST): 25, ("JUMPS", LAST): 25}


def night(table: Table, provider: Provider) -> Any:
    """One night."""
    return Ingestion(provider, table, table, table, lambda: NOW).run_night()


def in_one_go(*providers: Provider) -> Table:
    """The table after a night with each of them."""
    table = Table()
    for provider in providers:
        night(table, provider)
    return table


def test_a_night_stores_what_is_good_and_names_what_is_not() -> None:
    table = Table()
    result = night(table, Provider(PRICES))
    assert [day.day for day in result.days] == DAYS
    assert len(table.bars) == 10 * 3 + 9, "MISSING is missing, and JUMPS on one day"
    assert ("JUMPS", LAST) not in table.bars
    assert table.bars["SPLIT", LAST].close == 25
    assert table.quotes["SPLIT"].splits[0].new == 4
    events = {event.type: event.data for event in table.marks[LAST].events}
    assert events["alert.raised"]["facts"] == {"day": "2026-11-20", "missing": "1", "jump": "1", "split": "1"}
    writes = table.writes
    night(table, Provider(PRICES))
    assert table.writes == writes, "the same again writes nothing"


@given(st.lists(st.integers(0, 60), max_size=6))
def test_any_sequence_of_interrupted_nights_makes_the_same_table(ends: list[int]) -> None:
    table = Table()
    for writes in ends:
        table.writes_left = writes
        with suppress(End):
            night(table, Provider(PRICES))
    table.writes_left = float("inf")
    night(table, Provider(PRICES))
    whole = in_one_go(Provider(PRICES))
    assert (table.bars, table.marks, table.quotes) == (whole.bars, whole.marks, whole.quotes)


@given(st.lists(st.integers(0, 8), max_size=4), st.dictionaries(st.sampled_from(SYMBOLS), st.integers(90, 110)))
def test_a_correction_that_is_interrupted_makes_the_same_table_too(ends: list[int], new: dict[str, int]) -> None:
    first, corrected = Provider(PRICES), Provider(PRICES | {(symbol, LAST): price for symbol, price in new.items()})
    table = in_one_go(first)
    for writes in ends:
        table.writes_left = writes
        with suppress(End):
            night(table, corrected)
    table.writes_left = float("inf")
    night(table, corrected)
    whole = in_one_go(first, corrected)
    assert (table.bars, table.marks) == (whole.bars, whole.marks)


@given(st.lists(st.frozensets(st.sampled_from(DAYS)), max_size=4))
def test_days_that_could_not_be_had_are_filled_in_another_night(absences: list[frozenset[date]]) -> None:
    table = Table()
    for away in absences:
        result = night(table, Provider(PRICES, away))
        failed = {day for day, _ in result.failed}
        assert failed <= away
        assert LAST not in away or LAST in failed
    assert not night(table, Provider(PRICES)).failed
    assert set(table.marks) == set(DAYS)
    assert {key for key in table.bars if key[1] != LAST} == {
        (symbol, day) for symbol in SYMBOLS for day in DAYS[:-1] if symbol != "MISSING"
    }


def test_a_jump_after_a_session_without_a_bar_is_refused_and_a_second_time_stored_and_told() -> None:
    risen = dict.fromkeys([("AAPL", day) for day in DAYS[5:]], 1000)
    table = Table()
    night(table, Provider({**PRICES, **risen, ("AAPL", DAYS[4]): 0}))
    assert ("AAPL", DAYS[5]) not in table.bars
    assert [table.bars["AAPL", day].close for day in DAYS[6:]] == [1000] * 4
    told = {day: table.marks[day].events[-1].data for day in DAYS[5:8]}
    assert "AAPL: close 1000 is 900 % away from 100" in told[DAYS[5]]["text"]
    assert (
        f"Stored all the same: AAPL: close 1000 is 900 % away from 100, and no split explains it; 1000 of {DAYS[5]}"
        in (told[DAYS[6]]["text"])
    )
    assert "AAPL" not in told[DAYS[7]]["text"]
    assert table.looked_back_for == {"AAPL", "JUMPS", "MSFT", "SPLIT"}, "on the first day; MISSING never came"


def backfill(table: Table, provider: Provider, first: date, most: Decimal | None = MAX_JUMP_PERCENT) -> list[Outcome]:
    """A backfill up to the last day."""
    return list(Ingestion(provider, table, table, table, lambda: NOW, most).backfill(first, LAST))


class Whole(Provider):
    """It gives every symbol."""

    def grouped_daily(self, day: date) -> Iterable[ProvidedBar]:
        price = Decimal(100)
        yield from super().grouped_daily(day)
        yield ProvidedBar("MISSING", price, price, price, price, Decimal(1))

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        return [it for it in super().splits(day) if it.new]


def test_only_symbols_without_a_bar_of_the_session_before_are_looked_for_further_back() -> None:
    gap = Whole({("AAPL", DAYS[-2]): 0})
    table = in_one_go(gap)
    table.looked_back_for.clear()
    night(table, gap)
    assert table.looked_back_for == {"AAPL"}


FAR = date(2026, 10, 1)


def test_a_backfill_skips_what_is_there_alerts_nobody_and_goes_on_where_it_ended() -> None:
    table = in_one_go(Whole({}))
    with pytest.raises(ProviderFailed):
        backfill(table, Whole({}, frozenset({date(2026, 10, 15)})), FAR)
    filled = [it.mark.day for it in backfill(table, Whole({}), FAR) if not it.skipped]
    assert filled == sessions_between(date(2026, 10, 15), DAYS[0] - timedelta(days=1))
    assert not any(table.marks[day].events for day in sessions_between(FAR, DAYS[0] - timedelta(days=1)))
    assert table.days_told() == [str(FAR), "2026-10-15"]
    assert [it for it in backfill(table, Whole({}), FAR) if not it.skipped] == []
    assert len(table.days_told()) == 2, "nothing was new"


def test_a_backfill_takes_days_again_that_have_something_wrong_and_lets_jumps_in_where_it_may() -> None:
    table = in_one_go(Provider(PRICES))
    done = {it.mark.day for it in backfill(table, Provider(PRICES), DAYS[0]) if not it.skipped}
    assert done == set(DAYS), "MISSING is missing"
    assert table.days_told() == []
    backfill(table, Provider(PRICES), LAST, None)
    assert table.bars["JUMPS", LAST].close == 25
    assert table.days_told() == [str(LAST)]


@given(st.integers(0, 60))
def test_whatever_ends_a_backfill_the_days_that_it_filled_are_told_of(writes: int) -> None:
    table = Table(writes_left=writes)
    with suppress(End):
        backfill(table, Whole({}), DAYS[0])
    table.writes_left = float("inf")
    backfill(table, Whole({}), DAYS[0])
    assert min(table.days_told()) == str(DAYS[0])
    assert table.told[-1].since is None
    assert len(table.days_told()) <= 2


def test_the_night_tells_of_a_backfill_that_ended_and_was_not_taken_up_again() -> None:
    table = Table(writes_left=20)
    with suppress(End):
        backfill(table, Whole({}), DAYS[0])
    assert table.days_told() == []
    table.writes_left = float("inf")
    night(table, Whole({}))
    assert table.days_told() == [str(DAYS[0])]


def test_a_night_without_assets_asks_for_nothing() -> None:
    class Empty(Table):
        def active_symbols(self) -> list[str]:
            return []

    table = Empty()
    assert night(table, Provider({}, frozenset(DAYS))).failed == ()
    assert table.writes == 0
