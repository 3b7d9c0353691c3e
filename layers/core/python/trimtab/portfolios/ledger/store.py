"""The ledger in DynamoDB: trades, cash entries and recalculations, in the partition of their portfolio."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from trimtab.contracts import assets, bars, quotes
from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.pages import Page
from trimtab.portfolios.ledger.import_rows import ImportRow, count_items, rows_key, unpack_rows
from trimtab.portfolios.ledger.imports import IMPORT_PREFIX, Import
from trimtab.portfolios.ledger.recalculation import JOB_PREFIX, Recalculation
from trimtab.portfolios.ledger.trades import FILL_PREFIX, TRADE_PREFIX, TRADES_BY_TIME, Trade
from trimtab.portfolios.portfolio.cash import CASH_PREFIX, CashEntry
from trimtab.portfolios.portfolio.holdings import Side, TradeStatus
from trimtab.portfolios.portfolio.keys import item_key
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.names import portfolio_in
from trimtab.portfolios.portfolio.store import BY_TIME, PortfolioStore
from trimtab.runtime.dynamodb.batches import batch_get, batch_get_many, batch_get_tables
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.paging import Index, query_range

BY_SYMBOL = Index("by_symbol", "pk", "by_symbol")
PAGE_SIZE = 100


class TradeFilter(Struct, frozen=True):
    """Filter of a list of trades; None accepts everything. `from_time` is inclusive, `to_time` exclusive."""

    symbol: str | None = None
    status: TradeStatus | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None
    side: Side | None = None

    def accepts(self, trade: Trade) -> bool:
        """Return True if the trade has the status and the side of the filter; the index selects the rest."""
        return self.status in {None, trade.status} and self.side in {None, trade.side}


class LedgerStore(PortfolioStore, frozen=True):
    """Reads the ledger from the table `portfolios`, and quotes and bars from the table `market`.

    Every read is strongly consistent. Records are written by `PortfolioStore.put`.
    """

    market_table: str

    def portfolio_quote_and_asset(
        self, tenant_id: str, portfolio_id: str, symbol: str
    ) -> tuple[Portfolio | None, Quote | None, AssetRecord | None]:
        """Return a portfolio, and quote and asset of a symbol, in a single call; None for each that does not exist."""
        quote_key, asset_key = quotes.quote_key(symbol), assets.asset_key(symbol)
        keys = {self.table: [item_key(tenant_id, portfolio_id)], self.market_table: [quote_key, asset_key]}
        found = batch_get_tables(self.client, keys)
        portfolio, of_market = found[self.table], {item["sk"]: item for item in found[self.market_table]}
        quote, asset = of_market.get(quote_key["sk"]), of_market.get(asset_key["sk"])
        return (
            portfolio_in(portfolio[0]) if portfolio else None,
            Quote.from_item(quote) if quote else None,
            AssetRecord.from_item(asset) if asset else None,
        )

    def portfolio_and_trade(
        self, tenant_id: str, portfolio_id: str, ref_id: str, *, is_fill: bool = False
    ) -> tuple[Portfolio | None, Trade | None]:
        """Return a portfolio and a client's trade, or a fill, in a single call; None for each that does not exist."""
        sort_key = (FILL_PREFIX if is_fill else TRADE_PREFIX) + ref_id
        portfolio, trade = self.portfolio_and_item(tenant_id, portfolio_id, sort_key)
        return portfolio, Trade.from_item(trade) if trade else None

    def portfolio_and_cash_entry(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, CashEntry | None]:
        """Return a portfolio and a cash entry in a single call; None for each that does not exist."""
        portfolio, entry = self.portfolio_and_item(tenant_id, portfolio_id, CASH_PREFIX + ref_id)
        return portfolio, CashEntry.from_item(entry) if entry else None

    def portfolio_and_job(
        self, tenant_id: str, portfolio_id: str, job_id: str
    ) -> tuple[Portfolio | None, Recalculation | None]:
        """Return a portfolio and a recalculation in a single call; None for each that does not exist."""
        portfolio, job = self.portfolio_and_item(tenant_id, portfolio_id, JOB_PREFIX + job_id)
        return portfolio, Recalculation.from_item(job) if job else None

    def portfolio_and_import(
        self, tenant_id: str, portfolio_id: str, import_id: str
    ) -> tuple[Portfolio | None, Import | None]:
        """Return a portfolio and an import in a single call; None for each that does not exist."""
        portfolio, job = self.portfolio_and_item(tenant_id, portfolio_id, IMPORT_PREFIX + import_id)
        return portfolio, Import.from_item(job) if job else None

    def imports(self, tenant_id: str, portfolio_id: str, *, limit: int, after: Any) -> Page[Import]:
        """Return a page of the imports into a portfolio, newest first."""
        prefix = ("begins_with(#s, :prefix)", {":prefix": IMPORT_PREFIX})
        page = self.query_items(BY_TIME, tenant_id, portfolio_id, prefix, limit=limit, after=after, consistent=True)
        return page.map(Import.from_item)

    def import_rows(self, job: Import) -> list[ImportRow[Any]]:
        """Return the rows of an import, in the order of the file."""
        keys = [rows_key(job.import_id, number) for number in range(count_items(job.rows))]
        items = [self.item(job.tenant_id, job.portfolio_id, key) for key in keys]
        return unpack_rows(job.kind, [item for item in items if item is not None])

    def trade(self, tenant_id: str, portfolio_id: str, ref_id: str) -> Trade | None:
        """Return a client's trade, None if there is none."""
        item = self.item(tenant_id, portfolio_id, TRADE_PREFIX + ref_id)
        return Trade.from_item(item) if item else None

    def trade_or_fill(self, tenant_id: str, portfolio_id: str, ref_id: str) -> Trade | None:
        """Return a client's trade, else the fill of a rebalance with this `ref_id`; None if there is neither."""
        keys = [item_key(tenant_id, portfolio_id, prefix + ref_id) for prefix in (TRADE_PREFIX, FILL_PREFIX)]
        found = {item["sk"]: item for item in batch_get(self.client, self.table, keys, consistent=True)}
        item = next((found[key["sk"]] for key in keys if key["sk"] in found), None)
        return Trade.from_item(item) if item else None

    def some_trades(self, tenant_id: str, portfolio_id: str, ref_ids: Sequence[str]) -> dict[str, Trade]:
        """Return clients' trades by `ref_id`, without those that do not exist; a call for each 100 ids."""
        keys = [item_key(tenant_id, portfolio_id, TRADE_PREFIX + ref_id) for ref_id in ref_ids]
        trades = map(Trade.from_item, batch_get_many(self.client, self.table, keys, consistent=True))
        return {trade.ref_id: trade for trade in trades}

    def some_fills(self, tenant_id: str, portfolio_id: str, ref_ids: Sequence[str]) -> dict[str, Trade]:
        """Return fills of rebalances by `ref_id`, without those that do not exist; a call for each 100 ids."""
        keys = [item_key(tenant_id, portfolio_id, FILL_PREFIX + ref_id) for ref_id in ref_ids]
        fills = map(Trade.from_item, batch_get_many(self.client, self.table, keys, consistent=True))
        return {fill.ref_id: fill for fill in fills}

    def some_cash_entries(self, tenant_id: str, portfolio_id: str, ref_ids: Sequence[str]) -> dict[str, CashEntry]:
        """Return cash entries by `ref_id`, without those that do not exist; a call for each 100 ids."""
        keys = [item_key(tenant_id, portfolio_id, CASH_PREFIX + ref_id) for ref_id in ref_ids]
        entries = map(CashEntry.from_item, batch_get_many(self.client, self.table, keys, consistent=True))
        return {entry.ref_id: entry for entry in entries}

    def trades_of(self, tenant_id: str, portfolio_id: str, symbol: str) -> list[Trade]:
        """Return all trades of a symbol, whatever their status, latest execution first."""
        of_symbol = ("begins_with(#s, :symbol)", {":symbol": f"{symbol}#"})
        trades: list[Trade] = []
        position: Any = None
        while True:
            page = self.query_items(
                BY_SYMBOL, tenant_id, portfolio_id, of_symbol, limit=PAGE_SIZE, after=position, consistent=True
            )
            trades += map(Trade.from_item, page.items)
            position = page.next_position
            if position is None:
                return trades

    def trades(
        self,
        tenant_id: str,
        portfolio_id: str,
        wanted: TradeFilter,
        *,
        limit: int,
        after: Any,
        newest_first: bool = True,
    ) -> Page[Trade]:
        """Return a page of the trades that pass the filter, by time of execution."""
        index = BY_SYMBOL if wanted.symbol else BY_TIME
        prefix = f"{wanted.symbol}#" if wanted.symbol else TRADES_BY_TIME
        period = (prefix, wanted.from_time, wanted.to_time)
        page = self._query_period(
            index, tenant_id, portfolio_id, period, limit=limit, after=after, newest_first=newest_first
        )
        trades = map(Trade.from_item, page.items)
        return Page(list(filter(wanted.accepts, trades)), page.next_position)

    def cash_entries(
        self,
        tenant_id: str,
        portfolio_id: str,
        from_time: datetime | None,
        to_time: datetime | None = None,
        *,
        limit: int,
        after: Any,
        newest_first: bool = True,
    ) -> Page[CashEntry]:
        """Return a page of the cash entries executed in a period, by time of execution; None leaves an end open."""
        period = (CASH_PREFIX, from_time, to_time)
        page = self._query_period(
            BY_TIME, tenant_id, portfolio_id, period, limit=limit, after=after, newest_first=newest_first
        )
        return page.map(CashEntry.from_item)

    def _query_period(
        self,
        index: Index,
        tenant_id: str,
        portfolio_id: str,
        period: tuple[str, datetime | None, datetime | None],
        *,
        limit: int,
        after: Any,
        newest_first: bool,
    ) -> Page[Item]:
        """Return a page of the items whose index keys have the prefix and a time of the period, read consistently.

        Keys are `<prefix><time>#<id>`. A time alone sorts before them: the start is inclusive, the end exclusive.
        """
        prefix, from_time, to_time = period
        first = prefix + (format_time(from_time) if from_time else "")
        last = prefix + (format_time(to_time) if to_time else "~")
        if first > last:
            return Page([])
        between = ("#s BETWEEN :first AND :last", {":first": first, ":last": last})
        return self.query_items(
            index,
            tenant_id,
            portfolio_id,
            between,
            limit=limit,
            after=after,
            consistent=True,
            newest_first=newest_first,
        )

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Return the newest quotes by symbol, with the splits of the symbols; unknown symbols are left out."""
        keys = [quotes.quote_key(symbol) for symbol in symbols]
        found = map(Quote.from_item, batch_get_many(self.client, self.market_table, keys, consistent=True))
        return {quote.symbol: quote for quote in found}

    def assets(self, symbols: Sequence[str]) -> dict[str, AssetRecord]:
        """Return the reference data of assets by symbol; unknown symbols are left out."""
        keys = [assets.asset_key(symbol) for symbol in symbols]
        found = map(AssetRecord.from_item, batch_get_many(self.client, self.market_table, keys, consistent=True))
        return {asset.symbol: asset for asset in found}

    def closes(self, symbols: Sequence[str], day: date) -> dict[str, Bar]:
        """Return the last bar on or before a day by symbol; symbols without a bar are left out.

        Takes a call for each 100 symbols, and a query for each symbol without a bar on the day itself.
        """
        keys = [bars.bar_key(symbol, day) for symbol in symbols]
        on_the_day = map(Bar.from_item, batch_get_many(self.client, self.market_table, keys, consistent=True))
        found = {bar.symbol: bar for bar in on_the_day}
        for symbol in [symbol for symbol in symbols if symbol not in found]:
            first, last = bars.bar_key(symbol, date.min), bars.bar_key(symbol, day)
            page = query_range(self.client, self.market_table, last["pk"], (first["sk"], last["sk"]), limit=1)
            if page.items:
                found[symbol] = Bar.from_item(page.items[0])
        return found
