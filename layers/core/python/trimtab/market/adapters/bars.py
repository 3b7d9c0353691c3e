"""Daily bars in the table `market`, and the marks of the days whose bars are stored.

Whoever reads prices reads them here: a range of one symbol's bars is one query.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts import assets, bars, quotes
from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.events import PLATFORM, pack_events
from trimtab.contracts.quotes import Split
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.kernel.pages import Page
from trimtab.market.domain.ingested import IngestedDay, Untold
from trimtab.runtime.dynamodb.batches import batch_get_many, batch_put
from trimtab.runtime.dynamodb.client import Item, Key, get_item
from trimtab.runtime.dynamodb.paging import query_range
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_PAGE = 1000
_MAX_PAGES = 20
"""Twenty thousand bars: eighty years of a symbol."""


class DynamoBars(Struct, frozen=True):
    """The store of bars."""

    client: "DynamoDBClient"
    table: str

    # For readers --------------------------------------------------------------------------------------------------

    def bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        """The symbol's bars from the first day to the last, both included, oldest first, read consistently."""
        found: list[Bar] = []
        after: Any = None
        for _ in range(_MAX_PAGES):
            page = self._range(symbol, first, last, limit=_PAGE, after=after, newest_first=False)
            found += page.items
            after = page.next_position
            if after is None:
                break
        return found

    def last_bar(self, symbol: str, on_or_before: date) -> Bar | None:
        """The symbol's newest bar that is not after the day, None where there is none; one read."""
        page = self._range(symbol, date.min, on_or_before, limit=1, after=None, newest_first=True)
        return page.items[0] if page.items else None

    def assets(self, symbols: Sequence[str]) -> dict[str, AssetRecord]:
        """Those of the assets that are known, by symbol: a read for every hundred."""
        keys = [assets.asset_key(symbol) for symbol in sorted(set(symbols))]
        items = batch_get_many(self.client, self.table, keys, consistent=False)
        return {it.symbol: it for it in map(assets.from_item, items)}

    # For the ingestion --------------------------------------------------------------------------------------------

    def bars_of(self, symbols: Sequence[str], days: Sequence[date]) -> dict[tuple[str, date], Bar]:
        """See `BarStore.bars_of`."""
        keys = [bars.bar_key(symbol, day) for symbol in symbols for day in days]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        return {(it.symbol, it.day): it for it in map(bars.from_item, items)}

    def put_bars(self, new: Sequence[Bar]) -> None:
        """See `BarStore.put_bars`."""
        batch_put(self.client, self.table, [bars.to_item(bar) for bar in new])

    def splits_of(self, symbols: Sequence[str]) -> dict[str, Sequence[Split]]:
        """See `BarStore.splits_of`."""
        keys = [quotes.quote_key(symbol) for symbol in symbols]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        return {it.symbol: it.splits for it in map(quotes.from_item, items)}

    def marked(self, days: Sequence[date]) -> Mapping[date, IngestedDay]:
        """See `BarStore.marked`."""
        keys = [mark_key(day) for day in days]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        return {it.day: it for it in map(to_mark, items)}

    def put_mark(self, mark: IngestedDay) -> None:
        """See `BarStore.put_mark`."""
        put_item(self.client, self.table, from_mark(mark))

    def untold(self) -> Untold | None:
        """See `BarStore.untold`."""
        item = get_item(self.client, self.table, UNTOLD_KEY)
        return to_untold(item) if item else None

    def put_untold(self, untold: Untold) -> None:
        """See `BarStore.put_untold`."""
        put_item(self.client, self.table, from_untold(untold))

    def page_of_bars(self, symbol: str, first: date, last: date, *, limit: int, after: Any) -> Page[Bar]:
        """See `BarPages.page_of_bars`."""
        return self._range(symbol, first, last, limit=limit, after=after, newest_first=True)

    def _range(self, symbol: str, first: date, last: date, *, limit: int, after: Any, newest_first: bool) -> Page[Bar]:
        ends = [bars.bar_key(symbol, day) for day in (first, last)]
        page = query_range(
            self.client,
            self.table,
            ends[0]["pk"],
            (ends[0]["sk"], ends[1]["sk"]),
            limit=limit,
            after=after,
            newest_first=newest_first,
        )
        return Page([bars.from_item(item) for item in page.items], page.next_position)


UNTOLD_KEY = {"pk": "INGEST", "sk": "UNTOLD"}
"""Where it stands since which day nobody was told of bars."""


def mark_key(day: date) -> Key:
    """Where the mark of a day stands."""
    return {"pk": "INGEST", "sk": f"DAY#{day.isoformat()}"}


def from_mark(it: IngestedDay) -> Item:
    """The mark as plain values; the stream takes its events from here to the bus."""
    return {
        **mark_key(it.day),
        "tenant_id": PLATFORM,
        "version": it.version,
        "updated_at": format_time(it.at),
        "wanted": it.wanted,
        "bars": it.bars,
        "faults": it.faults,
        "stored": it.stored,
        "changed": it.changed,
        "wrong": it.wrong,
        "jumps": ",".join(f"{symbol}={plain(close)}" for symbol, close in it.jumps.items()) or None,
        "events": pack_events(it.events),
    }


def to_mark(item: Item) -> IngestedDay:
    """The mark in plain values, without its events: those are told."""
    return IngestedDay(
        day=date.fromisoformat(item["sk"].removeprefix("DAY#")),
        version=item["version"],
        wanted=item["wanted"],
        bars=item["bars"],
        faults=item["faults"],
        stored=item["stored"],
        changed=item["changed"],
        wrong=item["wrong"],
        at=parse_time(item["updated_at"]),
        jumps=_jumps(item.get("jumps", "")),
    )


def _jumps(text: str) -> dict[str, Decimal]:
    rows = (row.split("=") for row in text.split(",") if row)  # neither sign occurs in a symbol
    return {symbol: Decimal(close) for symbol, close in rows}


def from_untold(it: Untold) -> Item:
    """It as plain values; the stream takes its events from here to the bus."""
    return {
        **UNTOLD_KEY,
        "tenant_id": PLATFORM,
        "version": it.version,
        "updated_at": format_time(it.at),
        "since": it.since and it.since.isoformat(),
        "events": pack_events(it.events),
    }


def to_untold(item: Item) -> Untold:
    """It in plain values, without its events: those are told."""
    since = date.fromisoformat(item["since"]) if "since" in item else None
    return Untold(since=since, version=item["version"], at=parse_time(item["updated_at"]))
