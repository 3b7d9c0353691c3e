"""Ledger history: the trades, cash entries and splits from which the value of a portfolio on any day follows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from trimtab.contracts.portfolios import CashMovement, LedgerTrade
from trimtab.contracts.quotes import Split
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.pages import Page
from trimtab.portfolios.ledger.store import LedgerStore, TradeFilter
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Side, TradeStatus, net_proceeds

T = TypeVar("T")

PAGE_SIZE = 100
MAX_PAGES = 500


class LedgerHistory(Struct, frozen=True):
    """The successful trades and the cash entries of portfolios, oldest first.

    Each list raises `Unprocessable` (`too_many_entries`) for more than 50,000 entries.
    """

    ledger: LedgerStore

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[LedgerTrade]:
        """Return the successful trades executed at or after `since`; all where `since` is None."""
        successful = TradeFilter(status=TradeStatus.SUCCESS, from_time=since)
        trades = _read_all(
            lambda after: self.ledger.trades(tenant_id, portfolio_id, successful, limit=PAGE_SIZE, after=after)
        )
        return [to_ledger_trade(trade) for trade in trades]

    def cash_movements(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[CashMovement]:
        """Return the cash entries executed at or after `since`; all where `since` is None."""
        entries = _read_all(
            lambda after: self.ledger.cash_entries(tenant_id, portfolio_id, since, limit=PAGE_SIZE, after=after)
        )
        return [CashMovement(entry.executed_at, entry.change, entry.is_external) for entry in entries]

    def splits(self, symbols: Iterable[str]) -> dict[str, Sequence[Split]]:
        """Return the splits by symbol; symbols without a split are left out."""
        quotes = self.ledger.quotes(sorted(symbols))
        return {symbol: quote.splits for symbol, quote in quotes.items() if quote.splits}


def to_ledger_trade(trade: Trade) -> LedgerTrade:
    """Return a successful trade as other contexts read it: bought shares above zero, paid money below zero."""
    is_buy = trade.side is Side.BUY
    return LedgerTrade(
        ref_id=trade.ref_id,
        symbol=trade.symbol,
        quantity=trade.quantity if is_buy else -trade.quantity,
        amount=trade.amount,
        proceeds=net_proceeds(trade.side, trade.amount, trade.fees),
        executed_at=trade.executed_at,
        moves_cash=trade.moves_cash,
    )


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
