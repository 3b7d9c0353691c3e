"""Trades, cash entries and holdings in DynamoDB, beside the portfolio that they belong to."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from trimtab.contracts import bars, quotes
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.pages import Page
from trimtab.portfolios.ledger.recalculation import JOB_PREFIX, Recalculation
from trimtab.portfolios.ledger.trades import TRADE_PREFIX, TRADES_BY_TIME, Trade
from trimtab.portfolios.portfolio.cash import CASH_PREFIX, CashEntry
from trimtab.portfolios.portfolio.holdings import TradeStatus
from trimtab.portfolios.portfolio.keys import item_key
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.store import BY_TIME, PortfolioStore
from trimtab.runtime.dynamodb.batches import batch_get, batch_get_many, batch_get_tables
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.paging import Index, query_range

BY_SYMBOL = Index("by_symbol", "pk", "by_symbol")
PAGE = 100


class TradeFilter(Struct, frozen=True):
    """Which trades of a portfolio are wanted; None lets everything through. From is inclusive, to is not."""

    symbol: str | None = None
    status: TradeStatus | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None


class LedgerStore(PortfolioStore, frozen=True):
    """The ledger in the table `portfolios`; quotes are read from the table `market`, by their contract."""

    market_table: str

    def portfolio_and_quote(
        self, tenant_id: str, portfolio_id: str, symbol: str
    ) -> tuple[Portfolio | None, Quote | None]:
        """Both in one call."""
        found = batch_get_tables(
            self.client,
            {self.table: [item_key(tenant_id, portfolio_id)], self.market_table: [quotes.quote_key(symbol)]},
        )
        portfolio, quote = found[self.table], found[self.market_table]
        return Portfolio.from_item(portfolio[0]) if portfolio else None, quotes.from_item(quote[0]) if quote else None

    def portfolio_and_trade(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, Trade | None]:
        """Both in one call."""
        portfolio, trade = self.portfolio_and_item(tenant_id, portfolio_id, TRADE_PREFIX + ref_id)
        return portfolio, Trade.from_item(trade) if trade else None

    def portfolio_and_cash_entry(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, CashEntry | None]:
        """Both in one call."""
        portfolio, entry = self.portfolio_and_item(tenant_id, portfolio_id, CASH_PREFIX + ref_id)
        return portfolio, CashEntry.from_item(entry) if entry else None

    def portfolio_and_job(
        self, tenant_id: str, portfolio_id: str, job_id: str
    ) -> tuple[Portfolio | None, Recalculation | None]:
        """Both in one call."""
        portfolio, job = self.portfolio_and_item(tenant_id, portfolio_id, JOB_PREFIX + job_id)
        return portfolio, Recalculation.from_item(job) if job else None

    def trade(self, tenant_id: str, portfolio_id: str, ref_id: str) -> Trade | None:
        """The trade, None if there is none."""
        item = self.item(tenant_id, portfolio_id, TRADE_PREFIX + ref_id)
        return Trade.from_item(item) if item else None

    def some_trades(self, tenant_id: str, portfolio_id: str, ref_ids: Sequence[str]) -> dict[str, Trade]:
        """Those of the named trades that are there, by name."""
        keys = [item_key(tenant_id, portfolio_id, TRADE_PREFIX + ref_id) for ref_id in ref_ids]
        found: dict[str, Trade] = {}
        for start in range(0, len(keys), PAGE):
            for item in batch_get(self.client, self.table, keys[start : start + PAGE], consistent=True):
                trade = Trade.from_item(item)
                found[trade.ref_id] = trade
        return found

    def trades_of(self, tenant_id: str, portfolio_id: str, symbol: str) -> list[Trade]:
        """All trades of a symbol, whatever their status."""
        return [Trade.from_item(item) for item in self._items_of(tenant_id, portfolio_id, symbol)]

    def _items_of(self, tenant_id: str, portfolio_id: str, symbol: str) -> Iterator[Item]:
        position = None
        of_symbol = ("begins_with(#s, :symbol)", {":symbol": f"{symbol}#"})
        while True:
            page = self.query_items(
                BY_SYMBOL, tenant_id, portfolio_id, of_symbol, limit=PAGE, after=position, consistent=True
            )
            yield from page.items
            position = page.next_position
            if position is None:
                return

    def trades(self, tenant_id: str, portfolio_id: str, wanted: TradeFilter, *, limit: int, after: Any) -> Page[Trade]:
        """The trades that the filter lets through, latest execution first; a page may be short and not the last."""
        index = BY_SYMBOL if wanted.symbol else BY_TIME
        prefix = f"{wanted.symbol}#" if wanted.symbol else TRADES_BY_TIME
        # Both ends are texts: an instant alone sorts before the same instant with an id behind it.
        first = prefix + (format_time(wanted.from_time) if wanted.from_time else "")
        last = prefix + (format_time(wanted.to_time) if wanted.to_time else "~")
        if first > last:
            return Page([])
        between = ("#s BETWEEN :first AND :last", {":first": first, ":last": last})
        page = self.query_items(index, tenant_id, portfolio_id, between, limit=limit, after=after, consistent=True)
        trades = [Trade.from_item(item) for item in page.items]
        return Page([it for it in trades if wanted.status is None or it.status is wanted.status], page.next_position)

    def cash_entries(
        self, tenant_id: str, portfolio_id: str, since: datetime | None, *, limit: int, after: Any
    ) -> Page[CashEntry]:
        """The cash entries that were executed from that time on, latest first."""
        between = (
            "#s BETWEEN :first AND :last",
            {":first": CASH_PREFIX + (format_time(since) if since else ""), ":last": CASH_PREFIX + "~"},
        )
        page = self.query_items(BY_TIME, tenant_id, portfolio_id, between, limit=limit, after=after, consistent=True)
        return page.map(CashEntry.from_item)

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """What is known of the symbols, by symbol."""
        keys = [quotes.quote_key(symbol) for symbol in symbols]
        found: dict[str, Quote] = {}
        for start in range(0, len(keys), PAGE):
            page = keys[start : start + PAGE]
            for item in batch_get(self.client, self.market_table, page, consistent=True):
                quote = quotes.from_item(item)
                found[quote.symbol] = quote
        return found

    def closes(self, symbols: Sequence[str], day: date) -> dict[str, Bar]:
        """The last bar of each symbol on or before the day, where there is one.

        One read for a hundred symbols, and one more for each symbol without a bar on that very day.
        """
        keys = [bars.bar_key(symbol, day) for symbol in symbols]
        items = batch_get_many(self.client, self.market_table, keys, consistent=True)
        found = {it.symbol: it for it in map(bars.from_item, items)}
        for symbol in (it for it in symbols if it not in found):
            first, last = bars.bar_key(symbol, date.min), bars.bar_key(symbol, day)
            page = query_range(self.client, self.market_table, last["pk"], (first["sk"], last["sk"]), limit=1)
            if page.items:
                found[symbol] = bars.from_item(page.items[0])
        return found
