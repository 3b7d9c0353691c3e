"""The store of daily bars and ingested days, in the table `market`.

The bars of one symbol are one item collection, sorted by day: a range of days is read by a query.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord, asset_key
from trimtab.contracts.bars import Bar, bar_key
from trimtab.contracts.quotes import Quote, quote_key
from trimtab.kernel.pages import Page
from trimtab.market.domain.ingested_days import IngestedDay, UnannouncedDays, ingested_day_key, unannounced_days_key
from trimtab.runtime.dynamodb.batches import batch_get_many, batch_put
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.dynamodb.paging import query_range
from trimtab.runtime.dynamodb.writes import put_records

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_PAGE = 1000
_MAX_PAGES = 20
"""Limit of pages for one range: 20,000 bars, about eighty years of one symbol."""


class BarStore(Struct, frozen=True):
    """Reads and writes daily bars and the records of their ingestion."""

    client: "DynamoDBClient"
    table: str

    # Reads of other contexts --------------------------------------------------------------------------------------

    def bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        """Return the bars of a symbol from the first to the last day, inclusive, oldest first.

        Reads consistently, and at most 20,000 bars.
        """
        bars: list[Bar] = []
        after: Any = None
        for _ in range(_MAX_PAGES):
            page = self._range(symbol, first, last, limit=_PAGE, after=after, newest_first=False)
            bars += page.items
            after = page.next_position
            if after is None:
                break
        return bars

    def last_bar(self, symbol: str, on_or_before: date) -> Bar | None:
        """Return the newest bar of a symbol on or before a day, None if there is no such bar."""
        page = self._range(symbol, date.min, on_or_before, limit=1, after=None, newest_first=True)
        return page.items[0] if page.items else None

    def assets(self, symbols: Sequence[str]) -> dict[str, AssetRecord]:
        """Return the known assets by symbol; one call for every hundred symbols."""
        keys = [asset_key(symbol) for symbol in sorted(set(symbols))]
        items = batch_get_many(self.client, self.table, keys, consistent=False)
        return {asset.symbol: asset for asset in map(AssetRecord.from_item, items)}

    def page_of_bars(self, symbol: str, first: date, last: date, *, limit: int, after: Any) -> Page[Bar]:
        """Return a page of a symbol's bars, newest first; raises `Invalid` for a forged position."""
        return self._range(symbol, first, last, limit=limit, after=after, newest_first=True)

    # Ingestion ----------------------------------------------------------------------------------------------------

    def bars_of(self, symbols: Sequence[str], days: Sequence[date]) -> dict[tuple[str, date], Bar]:
        """Return the stored bars of the symbols on the days, by symbol and day, read consistently."""
        keys = [bar_key(symbol, day) for symbol in symbols for day in days]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        return {(bar.symbol, bar.day): bar for bar in map(Bar.from_item, items)}

    def put_bars(self, bars: Sequence[Bar]) -> None:
        """Write the bars without conditions; a failure may leave some bars unwritten."""
        batch_put(self.client, self.table, [bar.to_item() for bar in bars])

    def quotes_of(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return the quotes by symbol, read consistently; a symbol with neither a quote nor a split is left out."""
        keys = [quote_key(symbol) for symbol in symbols]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        return {quote.symbol: quote for quote in map(Quote.from_item, items)}

    def ingested_days(self, days: Sequence[date]) -> Mapping[date, IngestedDay]:
        """Return the records of the days that were ingested, read consistently."""
        keys = [ingested_day_key(day) for day in days]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        return {record.day: record for record in map(IngestedDay.from_item, items)}

    def unannounced_days(self) -> UnannouncedDays | None:
        """Return the record of unannounced days, read consistently, None if no such record was ever written."""
        item = get_item(self.client, self.table, unannounced_days_key())
        return UnannouncedDays.from_item(item) if item else None

    def put(self, record: IngestedDay | UnannouncedDays) -> None:
        """Write the record and its events (optimistic locking); raises `ConditionFailed` for a concurrent write."""
        put_records(self.client, self.table, record)

    def _range(self, symbol: str, first: date, last: date, *, limit: int, after: Any, newest_first: bool) -> Page[Bar]:
        ends = [bar_key(symbol, day) for day in (first, last)]
        page = query_range(
            self.client,
            self.table,
            ends[0]["pk"],
            (ends[0]["sk"], ends[1]["sk"]),
            limit=limit,
            after=after,
            newest_first=newest_first,
        )
        return page.map(Bar.from_item)
