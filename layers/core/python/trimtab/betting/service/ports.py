"""What the services of betting need from outside."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.markets import Market
from trimtab.betting.domain.orders import Order, OrderStatus
from trimtab.betting.domain.positions import Position
from trimtab.betting.domain.tally import Tally
from trimtab.kernel.pages import Page

T = TypeVar("T")


class OrderFilter(Struct, frozen=True):
    """Which orders are wanted: a user's, a market's or both; of one status, or of all."""

    user_id: str | None
    market_id: str | None
    status: OrderStatus | None


class Situation(Struct, frozen=True):
    """What an order meets: the one that stands under its id, its market (None: open), the user's position there, and
    the insight of its selection."""

    order: Order | None
    market: Market | None
    position: Position | None
    insight: Insight | None


class Progress(Struct, frozen=True):
    """How many orders a market has, and how many of them are open.

    While it is being settled that is what its indexes know: a moment late, and of very many orders a lower bound.
    """

    orders: int
    open: int


class Check(Struct, frozen=True):
    """A look at the market's users: after which of them, how many orders those before it had, how often it was
    tried."""

    after: str | None = None
    orders: int = 0
    tries: int = 0


class Account(Struct, frozen=True):
    """A user's sums over all markets as they are kept, with their version (0: none yet)."""

    tally: Tally
    version: int


class Book(Protocol):
    """Keeps orders, positions, sums and markets."""

    def situation(self, tenant_id: str, order_id: str, user_id: str, market_id: str, selection_id: str) -> Situation:
        """What an order meets, in one consistent read."""

    def order(self, tenant_id: str, order_id: str) -> Order | None:
        """An order, read consistently."""

    def place(self, order: Order, position: Position, change: Tally, limit: Decimal) -> None:
        """Stores order, position and the change of the user's sums in one transaction.

        Raises `ConditionFailed` where the order is there or the position is not the one before, `Conflict` where the
        market is closed, `Unprocessable` where the user's open exposure would be above the limit.
        """

    def change(self, orders: Sequence[Order], position: Position, change: Tally, *, open_market: bool) -> None:
        """Stores changed orders of one user and market likewise, each on its version before, 90 at most.

        With `open_market` it raises `Conflict` where the market is closed.
        """

    def orders(self, tenant_id: str, wanted: OrderFilter, *, limit: int, after: Any) -> Page[Order]:
        """The orders that the filter lets through, newest first; a page may be short and not the last."""

    def positions(self, tenant_id: str, user_id: str, *, limit: int, after: Any) -> Page[Position]:
        """The user's positions, by market, read consistently."""

    def position(self, tenant_id: str, user_id: str, market_id: str) -> Position | None:
        """The user's position in a market, read consistently."""

    def account(self, tenant_id: str, user_id: str) -> Account:
        """The user's sums, read consistently."""

    def put_account(self, tenant_id: str, user_id: str, account: Account) -> None:
        """Replaces the user's sums on the version before; raises `ConditionFailed` otherwise."""

    def put_position(self, position: Position) -> None:
        """Replaces a position on the version before; raises `ConditionFailed` otherwise."""

    def market(self, tenant_id: str, market_id: str) -> Market | None:
        """A closed market, read consistently; None while it is open."""

    def markets(self, keys: Sequence[tuple[str, str]]) -> list[Market]:
        """Those markets of these (tenant, market) that are closed, read consistently; 100 at most."""

    def put_market(self, market: Market) -> None:
        """Stores a market as closed, or as settled after that; raises `ConditionFailed` where it is so already."""

    def progress(self, tenant_id: str, market_id: str) -> Progress:
        """How far the settlement of a market is, by its indexes."""

    def users(self, tenant_id: str, market_id: str, after: str | None) -> tuple[list[str], str | None]:
        """A page of everybody who has ever had an order in the market, read consistently, and the user after whom the
        next page starts (None at the end)."""

    def some_positions(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> list[Position]:
        """The positions of these users in the market, read consistently."""

    def open_orders(
        self, tenant_id: str, market_id: str, user_id: str | None, after: str | None
    ) -> Iterator[tuple[str, str, str]]:
        """Open orders of a market, or of a user in it, as the index knows them: user, order id, place; by user.

        Goes on after a place; each can be one that is settled already.
        """

    def some_orders(
        self, tenant_id: str, user_id: str, market_id: str, order_ids: Sequence[str]
    ) -> tuple[list[Order], Position | None]:
        """Orders of a user in a market and the position there, in one consistent read; 90 orders at most."""


class SettlementQueue(Protocol):
    """The internal queue `settlements`."""

    def of_market(self, tenant_id: str, market_id: str, after: str | None = None) -> None:
        """Asks for the users who have open orders in a closed market, from a place in the index on."""

    def of_user_again(self, tenant_id: str, market_id: str, user_id: str, tries: int, delay_seconds: int) -> None:
        """Asks for what is left of a user, after so many tries."""

    def check(self, tenant_id: str, market_id: str, check: Check, delay_seconds: int) -> None:
        """Asks for a look at the market's users."""

    def of_users(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> None:
        """Asks for all open orders of each user in a closed market to be settled."""


class InsightStore(Protocol):
    """Keeps the newest insight of each selection."""

    def advance(self, tenant_id: str, insight: Insight) -> bool:
        """Stores it where it is newer than the stored one; whether it was."""
