"""What the portfolios need from the world outside; the adapters provide it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from trimtab.portfolios.domain.portfolio import Portfolio
from trimtab.portfolios.domain.rebalance import Rebalance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a list, newest first, and the position at which the next one starts (None at the end)."""

    items: list[T]
    next_position: Any = None


class Store(Protocol):
    """Keeps portfolios and rebalances. Reads are consistent; each write takes effect only on the version before it.

    `put` raises `ConditionFailed` where that version is not the stored one, and changes nothing then.
    """

    def portfolio(self, tenant_id: str, portfolio_id: str) -> Portfolio | None:
        """The portfolio, None if there is none."""

    def rebalance(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> Rebalance | None:
        """The rebalance, None if there is none."""

    def both(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> tuple[Portfolio | None, Rebalance | None]:
        """Both in one call."""

    def insert(self, portfolio: Portfolio) -> Portfolio | None:
        """Stores a first version; gives what stands there already, and stores nothing then."""

    def request(self, report: Rebalance) -> Rebalance | None:
        """Stores a first version; gives what stands there already, and stores nothing then."""

    def put(self, *things: Portfolio | Rebalance) -> None:
        """Stores all of them or none, in one transaction."""

    def portfolios(self, tenant_id: str, user_id: str | None, *, limit: int, after: Any) -> Listing[Portfolio]:
        """The user's portfolios, or the tenant's."""

    def rebalances(self, tenant_id: str, portfolio_id: str, *, limit: int, after: Any) -> Listing[Rebalance]:
        """The portfolio's rebalances."""

    def overdue(self, shard: str, now: datetime, *, limit: int, after: Any) -> Listing[Rebalance]:
        """Requests of a shard that should have been decided by now, the longest waiting first."""


class Requests(Protocol):
    """The queue `rebalance-requests`."""

    def send(self, report: Rebalance) -> None:
        """Asks the worker to decide the report."""
