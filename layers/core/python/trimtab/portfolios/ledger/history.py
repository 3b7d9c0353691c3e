"""Ledger history: the trades, cash entries and splits from which value and cash of a portfolio at any time follow."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from trimtab.contracts.portfolios import CashMovement, LedgerTrade
from trimtab.contracts.quotes import Split
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import ZERO
from trimtab.kernel.pages import Page
from trimtab.portfolios.ledger.imports import counted
from trimtab.portfolios.ledger.store import PAGE_SIZE, LedgerStore, TradeFilter
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.cash import CashEntry
from trimtab.portfolios.portfolio.cash_rule import CashRule
from trimtab.portfolios.portfolio.holdings import Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio

T = TypeVar("T")

MAX_ENTRIES = 50_000


class TooManyEntries(Exception):
    """Raised where more entries have to be read or folded than the caller allows."""


class RecordedEntries(Struct, frozen=True):
    """The successful trades and the cash entries of one portfolio, newest first, without those of an unfinished import.

    Each list raises `TooManyEntries` for more than `most` entries (None: any number), and `Unprocessable`
    (`too_many_entries`) for more than 50,000.
    """

    ledger: LedgerStore
    portfolio: Portfolio
    most: int | None = None

    def trades(self, since: datetime | None) -> list[Trade]:
        """Return the successful trades and fills executed at or after `since`; all where `since` is None."""
        wanted = TradeFilter(status=TradeStatus.SUCCESS, from_time=since)
        names = (self.portfolio.tenant_id, self.portfolio.portfolio_id, wanted)
        trades = self._read_all(lambda after: self.ledger.trades(*names, limit=PAGE_SIZE, after=after))
        return counted(self.portfolio, trades)

    def cash_entries(self, since: datetime | None) -> list[CashEntry]:
        """Return the cash entries executed at or after `since` that are not void; all where `since` is None."""
        names = (self.portfolio.tenant_id, self.portfolio.portfolio_id, since)
        entries = self._read_all(lambda after: self.ledger.cash_entries(*names, limit=PAGE_SIZE, after=after))
        return [entry for entry in counted(self.portfolio, entries) if not entry.is_void]

    def _read_all(self, read_page: Callable[[Any], Page[T]]) -> list[T]:
        page = read_page(None)
        found = list(page.items)
        while page.next_position is not None:
            if self.most is not None and len(found) >= self.most:
                raise TooManyEntries
            if len(found) >= MAX_ENTRIES:
                raise Unprocessable(
                    "too_many_entries", f"The portfolio has more than {MAX_ENTRIES} entries in the period to be read."
                )
            page = read_page(page.next_position)
            found += page.items
        return found


class LedgerHistory(Struct, frozen=True):
    """The successful trades and the cash entries of portfolios, oldest first.

    Each list raises `Unprocessable` (`too_many_entries`) for more than 50,000 entries.
    """

    ledger: LedgerStore

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[LedgerTrade]:
        """Return the successful trades executed at or after `since`; all where `since` is None."""
        portfolio = self.ledger.portfolio(tenant_id, portfolio_id)
        trades = RecordedEntries(self.ledger, portfolio).trades(since) if portfolio else []
        rule = portfolio.cash_rule if portfolio else CashRule()
        return [to_ledger_trade(trade, rule) for trade in reversed(trades)]

    def cash_movements(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[CashMovement]:
        """Return the cash entries executed at or after `since`; all where `since` is None."""
        portfolio = self.ledger.portfolio(tenant_id, portfolio_id)
        entries = RecordedEntries(self.ledger, portfolio).cash_entries(since) if portfolio else []
        return [CashMovement(entry.executed_at, entry.change, entry.is_external) for entry in reversed(entries)]

    def splits(self, symbols: Iterable[str]) -> dict[str, Sequence[Split]]:
        """Return the splits by symbol; symbols without a split are left out."""
        quotes = self.ledger.quotes(sorted(symbols))
        return {symbol: quote.splits for symbol, quote in quotes.items() if quote.splits}


def to_ledger_trade(trade: Trade, rule: CashRule) -> LedgerTrade:
    """Return a successful trade as other contexts read it: units that come in above zero, paid money below zero.

    `rule` is the portfolio's rule of cash.
    """
    is_buy, effect = trade.side is Side.BUY, trade.effect
    return LedgerTrade(
        ref_id=trade.ref_id,
        symbol=trade.symbol,
        quantity=trade.quantity if is_buy else -trade.quantity,
        amount=trade.amount,
        proceeds=effect.cash_change if effect else ZERO,
        executed_at=trade.executed_at,
        moves_cash=trade.is_counted(rule),
        is_transfer=trade.kind.is_transfer,
    )
