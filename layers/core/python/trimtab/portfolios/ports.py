"""What the portfolios need from the world outside; the adapters provide it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote
from trimtab.portfolios.balancing.price_bounds import Edges
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.trades import CashEntry, Trade
from trimtab.portfolios.portfolio.holdings import TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing.model import Rebalance, Why

T = TypeVar("T")


class Listing(Struct, Generic[T], frozen=True):
    """A page of a list, newest first, and the position at which the next one starts (None at the end)."""

    items: list[T]
    next_position: Any = None


class TradeFilter(Struct, frozen=True):
    """Which trades of a portfolio are wanted; None lets everything through. From is inclusive, to is not."""

    symbol: str | None = None
    status: TradeStatus | None = None
    from_time: datetime | None = None
    to_time: datetime | None = None


class Store(Protocol):
    """Keeps portfolios and rebalances. Reads are consistent; each write takes effect only on the version before it.

    `put` raises `ConditionFailed` where that version is not the stored one, and changes nothing then.
    """

    def portfolio(self, tenant_id: str, portfolio_id: str) -> Portfolio | None:
        """The portfolio, None if there is none."""

    def rebalance(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> Rebalance | None:
        """The rebalance, None if there is none."""

    def rebalance_at(self, tenant_id: str, portfolio_id: str, position: Sequence[Any]) -> Rebalance | None:
        """The rebalance at a position of the list; `Invalid` for what is no position."""

    def position_of(self, rebalance: Rebalance) -> list[Any]:
        """The position of a rebalance in the list of its portfolio."""

    def both(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> tuple[Portfolio | None, Rebalance | None]:
        """Both in one call."""

    def insert(self, portfolio: Portfolio) -> Portfolio | None:
        """Stores a first version; gives what stands there already, and stores nothing then."""

    def request(self, report: Rebalance) -> Rebalance | None:
        """Stores a first version; gives what stands there already, and stores nothing then."""

    def put(self, *things: Portfolio | Rebalance | CashEntry) -> None:
        """Stores all of them or none, in one transaction."""

    def portfolios(self, tenant_id: str, user_id: str | None, *, limit: int, after: Any) -> Listing[Portfolio]:
        """The user's portfolios, or the tenant's."""

    def rebalances(self, tenant_id: str, portfolio_id: str, *, limit: int, after: Any) -> Listing[Rebalance]:
        """The portfolio's rebalances."""


class OpenWorkStore(Protocol):
    """Finds what waits for a worker, and stamps it; `put` is that of `Store`."""

    def overdue(self, shard: str, now: datetime, *, limit: int, after: Any) -> Listing[Rebalance | Recalculation]:
        """What of a shard should have been decided by now, the longest waiting first."""

    def put(self, work: Rebalance | Recalculation) -> None:
        """Stores it on the version before."""


class Ledger(Protocol):
    """Keeps trades, cash entries and, with them, the holdings of portfolios. Reads are consistent.

    `put` raises `ConditionFailed` where a version before is not the stored one, and changes nothing then.
    """

    def portfolio_and_quote(
        self, tenant_id: str, portfolio_id: str, symbol: str
    ) -> tuple[Portfolio | None, Quote | None]:
        """Both in one call."""

    def portfolio_and_trade(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, Trade | None]:
        """Both in one call."""

    def portfolio_and_cash_entry(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, CashEntry | None]:
        """Both in one call."""

    def trade(self, tenant_id: str, portfolio_id: str, ref_id: str) -> Trade | None:
        """The trade, None if there is none."""

    def some_trades(self, tenant_id: str, portfolio_id: str, ref_ids: Sequence[str]) -> dict[str, Trade]:
        """Those of the named trades that are there, by name."""

    def trades_of(self, tenant_id: str, portfolio_id: str, symbol: str) -> list[Trade]:
        """All trades of a symbol, whatever their status."""

    def trades(
        self, tenant_id: str, portfolio_id: str, wanted: TradeFilter, *, limit: int, after: Any
    ) -> Listing[Trade]:
        """The trades that the filter lets through, latest execution first; a page may be short and not the last."""

    def cash_entries(
        self, tenant_id: str, portfolio_id: str, since: datetime | None, *, limit: int, after: Any
    ) -> Listing[CashEntry]:
        """The cash entries that were executed from that time on, latest first."""

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """What is known of the symbols, by symbol."""

    def closes(self, symbols: Sequence[str], day: date) -> dict[str, Bar]:
        """The last bar of each symbol on or before the day, where there is one."""

    def portfolio_and_job(
        self, tenant_id: str, portfolio_id: str, job_id: str
    ) -> tuple[Portfolio | None, Recalculation | None]:
        """Both in one call."""

    def put(self, *things: Portfolio | Trade | CashEntry | Recalculation | Rebalance) -> None:
        """Stores all of them or none, in one transaction."""


class Requests(Protocol):
    """The queues of the workers."""

    def send(self, work: Rebalance | Recalculation, *, delay_seconds: int = 0) -> None:
        """Asks the worker whose turn it is, after a wait of at most 900 seconds (longer ones are cut)."""


class Crossed(Struct, frozen=True):
    """A portfolio that has a watch which a quote crossed, and the newest epoch of those watches."""

    tenant_id: str
    portfolio_id: str
    epoch: int


class Watches(Protocol):
    """The price watches: by symbol, at which prices which portfolios want to be looked at."""

    def write(
        self, portfolio: Portfolio, edges: Mapping[str, Edges], seen: Mapping[str, Quote], dropped: Iterable[str]
    ) -> None:
        """Writes the portfolio's watches of its present epoch, which has seen these quotes, and takes away those of the
        dropped symbols.

        Raises `ConditionFailed` where a newer evaluation has written one of them: then that one's count.
        """

    def crossed(self, symbol: str, price: Decimal, as_of: datetime) -> Iterator[Crossed]:
        """The watches that the price crosses, read consistently, without those whose epoch has seen this quote."""


class CheckQueue(Protocol):
    """The queue `checks`."""

    def crossed(self, portfolios: Iterable[Crossed]) -> None:
        """Asks for a check of each."""

    def ask(self, tenant_id: str, portfolio_id: str, trigger: Literal["due", "changed"]) -> None:
        """Asks for a check because time has come (`due`) or something has changed (`changed`)."""


class Checks(Protocol):
    """What a check reads and writes beside portfolios and rebalances."""

    def save(self, portfolio: Portfolio, note: "CheckNote | None" = None) -> None:
        """The portfolio on the version before and, in the same transaction, what its last check found."""

    def note(self, note: "CheckNote") -> None:
        """What the last check found, where the portfolio is not touched by it."""

    def last(self, tenant_id: str, portfolio_id: str) -> "CheckNote | None":
        """What the last check found that decided nothing."""


class CheckNote(Struct, frozen=True):
    """A check that decided nothing: the newest one of a portfolio is kept, with its reason."""

    tenant_id: str
    portfolio_id: str
    trigger: str
    at: datetime
    why: Why


class DueStore(Protocol):
    """Finds the portfolios of which time asks for a check."""

    def due(self, shard: str, now: datetime, *, limit: int, after: Any) -> Listing[Portfolio]:
        """Those of a shard whose time has come, the longest waiting first."""


class Halt(Struct, frozen=True):
    """No order is sent to a broker while it stands: those of one tenant, or (without one) of all."""

    tenant_id: str | None
    reason: str
    by: str
    at: datetime


class Halts(Protocol):
    """The halt switches."""

    def reason(self, tenant_id: str) -> str | None:
        """Why the tenant's orders are halted, None if they are not. One consistent read of both switches."""

    def standing(self, tenant_id: str) -> list[Halt]:
        """The switches that are on for the tenant."""

    def halt(self, halt: Halt) -> None:
        """Switches it on; a second time only the reason changes."""

    def lift(self, tenant_id: str | None) -> None:
        """Switches it off; nothing happens where it is off."""
