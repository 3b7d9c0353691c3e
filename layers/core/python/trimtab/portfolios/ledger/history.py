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
        names = (self.portfolio.tenant_id, self.portfolio.portfolio_id)
        return counted(self.portfolio, _stored_trades(self.ledger, *names, since, self.most))

    def cash_entries(self, since: datetime | None) -> list[CashEntry]:
        """Return the cash entries executed at or after `since` that are not void; all where `since` is None."""
        names = (self.portfolio.tenant_id, self.portfolio.portfolio_id)
        return counted(self.portfolio, _stored_cash_entries(self.ledger, *names, since, self.most))


class LedgerHistory(Struct, frozen=True):
    """The successful trades and the cash entries of portfolios, oldest first.

    Each list raises `Unprocessable` (`too_many_entries`) for more than 50,000 entries.
    """

    ledger: LedgerStore

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[LedgerTrade]:
        """Return the successful trades executed at or after `since`; all where `since` is None."""
        trades = _stored_trades(self.ledger, tenant_id, portfolio_id, since)
        portfolio = self.ledger.portfolio(tenant_id, portfolio_id) if trades else None
        rule = portfolio.cash_rule if portfolio else CashRule()
        return [to_ledger_trade(trade, rule) for trade in reversed(counted(portfolio, trades))]

    def cash_movements(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> list[CashMovement]:
        """Return the cash entries executed at or after `since`; all where `since` is None."""
        entries = _stored_cash_entries(self.ledger, tenant_id, portfolio_id, since)
        if any(entry.import_id for entry in entries):
            entries = counted(self.ledger.portfolio(tenant_id, portfolio_id), entries)
        return [
            CashMovement(entry.executed_at, entry.change, entry.is_external, entry.type.value)
            for entry in reversed(entries)
        ]

    def splits(self, symbols: Iterable[str]) -> dict[str, Sequence[Split]]:
        """Return the splits by symbol; symbols without a split are left out."""
        quotes = self.ledger.quotes(sorted(symbols))
        return {symbol: quote.splits for symbol, quote in quotes.items() if quote.splits}


def settled(ledger: LedgerStore, portfolio: Portfolio, entries: Sequence[Any]) -> list[Any]:
    """Return trades or cash entries, read after the portfolio, without those of an import unfinished meanwhile.

    Where an import begins or ends between the two reads, some of its entries may be among these. So the portfolio is
    read again if there are imported entries, and those of the import that holds the lock before or after are left out.
    """
    found = counted(portfolio, entries)
    if not any(entry.import_id for entry in found):
        return found
    return counted(ledger.portfolio(portfolio.tenant_id, portfolio.portfolio_id), found)


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
        fees=trade.fees,
    )


def _stored_trades(
    ledger: LedgerStore, tenant_id: str, portfolio_id: str, since: datetime | None, most: int | None = None
) -> list[Trade]:
    wanted = TradeFilter(status=TradeStatus.SUCCESS, from_time=since)
    names = (tenant_id, portfolio_id, wanted)
    return _read_all(lambda after: ledger.trades(*names, limit=PAGE_SIZE, after=after), most)


def _stored_cash_entries(
    ledger: LedgerStore, tenant_id: str, portfolio_id: str, since: datetime | None, most: int | None = None
) -> list[CashEntry]:
    names = (tenant_id, portfolio_id, since)
    entries = _read_all(lambda after: ledger.cash_entries(*names, limit=PAGE_SIZE, after=after), most)
    return [entry for entry in entries if not entry.is_void]


def _read_all(read_page: Callable[[Any], Page[T]], most: int | None) -> list[T]:
    """Return the items of all pages; raises `TooManyEntries` above `most` and `Unprocessable` above `MAX_ENTRIES`."""
    page = read_page(None)
    found = list(page.items)
    while page.next_position is not None:
        if most is not None and len(found) >= most:
            raise TooManyEntries
        if len(found) >= MAX_ENTRIES:
            raise Unprocessable(
                "too_many_entries", f"The portfolio has more than {MAX_ENTRIES} entries in the period to be read."
            )
        page = read_page(page.next_position)
        found += page.items
    return found
