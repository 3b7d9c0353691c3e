"""What the ledger says over time: everything that a portfolio's value of any day follows from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from trimtab.contracts.quotes import Split
from trimtab.kernel.errors import Unprocessable
from trimtab.portfolios.ledger.trades import CashEntry, Trade
from trimtab.portfolios.portfolio.holdings import TradeStatus
from trimtab.portfolios.ports import Ledger, Listing, TradeFilter

T = TypeVar("T")

PAGE = 100
MAX_PAGES = 500


class Books(Struct, frozen=True):
    """The trades and cash entries of portfolios, oldest first."""

    ledger: Ledger

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[Trade]:
        """Every trade that was executed from that time on (None: ever).

        `Unprocessable` where there are more than can be looked at.
        """
        wanted = TradeFilter(status=TradeStatus.SUCCESS, from_time=since)
        return _all(lambda after: self.ledger.trades(tenant_id, portfolio_id, wanted, limit=PAGE, after=after))

    def cash_entries(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[CashEntry]:
        """Every cash entry that was executed from that time on (None: ever)."""
        return _all(lambda after: self.ledger.cash_entries(tenant_id, portfolio_id, since, limit=PAGE, after=after))

    def splits(self, symbols: Iterable[str]) -> dict[str, Sequence[Split]]:
        """The splits of the symbols that have any, by symbol."""
        known = self.ledger.quotes(sorted(symbols))
        return {symbol: quote.splits for symbol, quote in known.items() if quote.splits}


def _all(page_after: Callable[[Any], Listing[T]]) -> list[T]:
    return [*reversed(list(_newest_first(page_after)))]


def _newest_first(page_after: Callable[[Any], Listing[T]]) -> Iterator[T]:
    position: Any = None
    for _ in range(MAX_PAGES):
        page = page_after(position)
        yield from page.items
        position = page.next_position
        if position is None:
            return
    raise Unprocessable("too_many_trades", f"More than {MAX_PAGES * PAGE} entries cannot be looked at in one go.")
