"""What analytics needs from the world outside.

Portfolios and market data are other contexts: what is asked of them here is what they have, by its structure, and the
functions hand it in.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from msgspec import field

from trimtab.analytics.domain.alerts import Episode, Rule
from trimtab.analytics.domain.series import Execution, Snapshot
from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Split
from trimtab.contracts.records import Record


class Portfolio(Protocol):
    """A portfolio, as far as it is looked at here; `cash` is None where it is not tracked."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def portfolio_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def cash(self) -> Decimal | None: ...
    @property
    def status(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...


class PortfolioStore(Protocol):
    """Where portfolios are."""

    def portfolio(self, tenant_id: str, portfolio_id: str) -> Portfolio | None:
        """The portfolio, None if there is none."""


class Trade(Execution, Protocol):
    """A trade that was executed."""

    @property
    def cash_change(self) -> Decimal: ...


class CashEntry(Protocol):
    """Cash that came or went; `is_external` where somebody put it in or took it out."""

    @property
    def executed_at(self) -> datetime: ...
    @property
    def change(self) -> Decimal: ...
    @property
    def is_external(self) -> bool: ...


class Books(Protocol):
    """What the ledger of a portfolio says over time, oldest first; `since` None is ever."""

    def trades(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> Sequence[Trade]:
        """The trades that were executed."""

    def cash_entries(self, tenant_id: str, portfolio_id: str, since: datetime | None) -> Sequence[CashEntry]:
        """The cash entries."""

    def splits(self, symbols: Iterable[str]) -> Mapping[str, Sequence[Split]]:
        """The splits of the symbols that have any."""


class Leg(Protocol):
    """An asset's weight, target and band in percents; `distance` the points to the nearer edge (below 0 outside)."""

    @property
    def asset(self) -> str: ...
    @property
    def weight(self) -> Decimal: ...
    @property
    def target(self) -> Decimal: ...
    @property
    def lower(self) -> Decimal: ...
    @property
    def upper(self) -> Decimal: ...
    @property
    def value(self) -> Decimal: ...
    @property
    def distance(self) -> Decimal: ...


class Price(Protocol):
    """What one unit costs and the time that is true of; `close_day` where it is a close."""

    @property
    def value(self) -> Decimal: ...
    @property
    def at(self) -> datetime: ...
    @property
    def close_day(self) -> date | None: ...


class Standing(Protocol):
    """A portfolio at the newest prices; `reason` says in one word why there is no drift."""

    @property
    def value(self) -> Decimal: ...
    @property
    def cash(self) -> Decimal: ...
    @property
    def as_of(self) -> datetime | None: ...
    @property
    def age_days(self) -> int | None: ...
    @property
    def quantities(self) -> Mapping[str, Decimal]: ...
    @property
    def prices(self) -> Mapping[str, Price]: ...
    @property
    def unpriced(self) -> Sequence[str]: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def values(self) -> Mapping[str, Decimal | None]: ...
    @property
    def weights(self) -> Mapping[str, Decimal]: ...
    @property
    def legs(self) -> Sequence[Leg]: ...
    @property
    def drift(self) -> Decimal | None: ...


class Standings(Protocol):
    """Where portfolios stand now."""

    def of(self, portfolio: Any) -> Standing:
        """The standing of a portfolio that its own store gave."""


class MarketData(Protocol):
    """Stored bars and assets."""

    def bars(self, symbol: str, first: date, last: date) -> Sequence[Bar]:
        """The bars of a symbol from one day to another, both inclusive, by day."""

    def assets(self, symbols: Sequence[str]) -> Mapping[str, AssetRecord]:
        """The assets of those symbols that are known."""

    def marked(self, days: Sequence[date]) -> Mapping[date, Any]:
        """Those of the days whose bars are stored, all that came."""


class Series(Record, frozen=True, kw_only=True):
    """How far a portfolio's daily values are worked out; its alert rules, and the newest episode of each by its id.

    `is_open` while it is valued every night. `version` guards the next write.
    """

    tenant_id: str
    portfolio_id: str
    first_day: date | None
    last_day: date | None
    updated_at: datetime
    is_open: bool = True
    version: int = 0
    rules: tuple[Rule, ...] = ()
    episodes: Mapping[str, Episode] = field(default_factory=dict)


class SeriesStore(Protocol):
    """Keeps the daily values."""

    def series(self, tenant_id: str, portfolio_id: str) -> Series | None:
        """How far they are worked out; None where nothing is."""

    def snapshots(self, tenant_id: str, portfolio_id: str, first: date, last: date) -> list[Snapshot]:
        """Those of the days from one to another, both inclusive, by day."""

    def last_before(self, tenant_id: str, portfolio_id: str, day: date) -> Snapshot | None:
        """The newest one of a day before this one."""

    def put_snapshots(self, tenant_id: str, portfolio_id: str, snapshots: Sequence[Snapshot]) -> None:
        """Stores them, each at its day."""

    def remove_snapshots(self, tenant_id: str, portfolio_id: str, days: Sequence[date]) -> None:
        """Takes away those of the days."""

    def put(self, series: Series) -> None:
        """Stores it on the version before; raises `ConditionFailed` otherwise."""
