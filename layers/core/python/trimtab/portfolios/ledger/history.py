"""Ledger history: the trades, cash entries and splits from which the value of a portfolio on any day follows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from trimtab.contracts.quotes import Split
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.pages import Page
from trimtab.portfolios.ledger.store import LedgerStore, TradeFilter
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.holdings import TradeStatus

T = TypeVar("T")

PAGE_SIZE = 100
MAX_PAGES = 500


class LedgerHistory(Struct, frozen=True):
    """The successful trades and the cash entries of portfolios, oldest first.

    Each list raises `Unprocessable` (`too_many_entries`) for more than 50,000 entries.
    """

    ledger: LedgerStore

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[Trade]:
        """Return the successful trades executed at or after `since`; all where `since` is None."""
        successful = TradeFilter(status=TradeStatus.SUCCESS, from_time=since)
        return _read_all(
            lambda after: self.ledger.trades(tenant_id, portfolio_id, successful, limit=PAGE_SIZE, after=after)
        )

    def cash_entries(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[CashEntry]:
        """Return the cash entries executed at or after `since`; all where `since` is None."""
        return _read_all(
            lambda after: self.ledger.cash_entries(tenant_id, portfolio_id, since, limit=PAGE_SIZE, after=after)
        )

    def splits(self, symbols: Iterable[str]) -> dict[str, Sequence[Split]]:
        """Return the splits by symbol; symbols without a split are left out."""
        quotes = self.ledger.quotes(sorted(symbols))
        return {symbol: quote.splits for symbol, quote in quotes.items() if quote.splits}


def _read_all(read_page: Callable[[Any], Page[T]]) -> list[T]:
    return [*reversed(list(_newest_first(read_page)))]


def _newest_first(read_page: Callable[[Any], Page[T]]) -> Iterator[T]:
    position: Any = None
    for _ in range(MAX_PAGES):
        page = read_page(position)
        yield from page.items
        position = page.next_position
        if position is None:
            return
    raise Unprocessable(
        "too_many_entries", f"The portfolio has more than {MAX_PAGES * PAGE_SIZE} entries in the period. Shorten it."
    )
