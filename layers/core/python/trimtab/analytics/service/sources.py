"""Data that analytics reads from other contexts, as read models of `trimtab.contracts`.

Contexts do not import each other, so each source is a Protocol here; `trimtab.composition` wires the implementations of
portfolios and market.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.portfolios import CashMovement, LedgerTrade, PortfolioSnapshot, PortfolioSummary
from trimtab.contracts.quotes import Split


class PortfolioSource(Protocol):
    """Reads portfolios."""

    def summary(self, tenant_id: str, portfolio_id: str) -> PortfolioSummary | None:
        """Return a portfolio; None for an unknown portfolio."""

    def snapshot(self, tenant_id: str, portfolio_id: str) -> PortfolioSnapshot | None:
        """Return a portfolio valued at the newest prices; None for an unknown portfolio."""


class LedgerSource(Protocol):
    """Reads the ledger of a portfolio, oldest entry first; without `since`, from the first entry on."""

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> Sequence[LedgerTrade]:
        """Return the executed trades."""

    def cash_movements(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> Sequence[CashMovement]:
        """Return the cash entries."""

    def splits(self, symbols: Iterable[str]) -> Mapping[str, Sequence[Split]]:
        """Return the splits by symbol; symbols without a split may be left out."""


class MarketSource(Protocol):
    """Reads stored bars and assets."""

    def bars(self, symbol: str, first: date, last: date) -> Sequence[Bar]:
        """Return the bars of a symbol from `first` to `last`, both inclusive, oldest first."""

    def assets(self, symbols: Sequence[str]) -> Mapping[str, AssetRecord]:
        """Return the known assets by symbol."""

    def ingested_days(self, days: Sequence[date]) -> Collection[date]:
        """Return the days whose ingestion is complete."""
