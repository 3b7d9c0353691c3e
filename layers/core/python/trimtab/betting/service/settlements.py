"""Markets, settled as a whole: closed first, then every open order through a queue, each exactly once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from trimtab.betting.domain import markets as rules
from trimtab.betting.domain.markets import Market
from trimtab.betting.domain.orders import Order
from trimtab.betting.service.orders import require_platform
from trimtab.betting.service.ports import Book, Progress, SettlementQueue
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import no_such_thing
from trimtab.kernel.retry import ConditionFailed, retrying_on_conflict

T = TypeVar("T")

BATCH = 90
"""Orders of one transaction: with position, sums and room to spare it takes 100 actions."""
MOST_A_MESSAGE = 20 * BATCH
CLOSING_TRIES = 6
"""With the pauses between them a second and a half: every order that is being placed in a market is in the way."""
MOST_ENTRIES_A_MESSAGE = 20_000


@dataclass(frozen=True, slots=True)
class Settling:
    """A market that is being settled, or is."""

    market: Market
    progress: Progress

    @property
    def is_done(self) -> bool:
        """Whether no order is open any more, as the index knows."""
        return not self.progress.open


@dataclass(frozen=True, slots=True)
class Settlements:
    """The settlement of whole markets."""

    book: Book
    queue: SettlementQueue
    clock: Clock

    def settle(
        self, caller: Caller, market_id: str, winners: Sequence[str], voids: Sequence[str], commission_rate: Decimal
    ) -> Settling:
        """Closes the market; the table's stream then asks for its open orders, as surely as it is closed.

        From the closing on no order is placed, cancelled or settled by itself in it. The same request again asks once
        more for what is left.
        """
        require_platform(caller)
        asked = rules.closed(
            caller.tenant_id, market_id, winners, voids, commission_rate, by=caller.subject, now=self.clock()
        )
        stored = retrying_on_conflict(lambda: self._close(asked), CLOSING_TRIES)
        if stored is None:
            return Settling(asked, self.book.progress(caller.tenant_id, market_id))
        rules.require_same(stored, asked)
        settling = Settling(stored, self.book.progress(caller.tenant_id, market_id))
        if not settling.is_done:
            self.queue.of_market(caller.tenant_id, market_id)
        return settling

    def _close(self, asked: Market) -> Market | None:
        """Closes the market, or gives it as it was closed before; `ConditionFailed` where an order is just being
        placed in it."""
        try:
            self.book.close(asked)
        except ConditionFailed:
            stored = self.book.market(asked.tenant_id, asked.market_id)
            if stored is None:
                raise
            return stored
        return None

    def status(self, caller: Caller, market_id: str) -> Settling:
        """How far it is; `NotFound` while the market is open."""
        require_platform(caller)
        market = self.book.market(caller.tenant_id, market_id)
        if market is None:
            raise no_such_thing()
        return Settling(market, self.book.progress(caller.tenant_id, market_id))

    def find_users(self, tenant_id: str, market_id: str, after: str | None) -> int:
        """Asks for the open orders of every user in the market, and gives how many users there were.

        It looks at 20,000 orders at most and leaves the others to a message of their own.
        """
        entries = self.book.open_orders(tenant_id, market_id, None, after)
        users: dict[str, None] = {}
        last, looked_at = after, 0
        for user_id, _, place in islice(entries, MOST_ENTRIES_A_MESSAGE):
            users[user_id] = None
            last, looked_at = place, looked_at + 1
        self.queue.of_users(tenant_id, market_id, list(users))
        if looked_at == MOST_ENTRIES_A_MESSAGE:
            self.queue.of_market(tenant_id, market_id, last)
        return len(users)

    def settle_user(self, tenant_id: str, market_id: str, user_id: str) -> list[Order]:
        """Settles the user's open orders in the closed market, 90 a transaction, and gives those it settled.

        Each transaction is whole, so it can end anywhere and be repeated: what is settled is not open any more. The
        one that settles the last order takes the commission on what the user won in the market in all.
        """
        market = self.book.market(tenant_id, market_id)
        if market is None:
            return []
        settled: list[Order] = []
        entries = (order_id for _, order_id, _ in self.book.open_orders(tenant_id, market_id, user_id, None))
        for order_ids in _batches(islice(entries, MOST_A_MESSAGE), BATCH):
            settled += self._settle_batch(market, user_id, order_ids)
        self._charge(market, user_id)
        if len(settled) == MOST_A_MESSAGE:
            self.queue.of_users(tenant_id, market_id, [user_id])
        return settled

    def _charge(self, market: Market, user_id: str) -> None:
        """Takes the commission of a user whose orders were all settled before the market was."""

        def attempt() -> None:
            position = self.book.position(market.tenant_id, user_id, market.market_id)
            if position is None or position.tally.orders_open or not position.is_due(market):
                return
            after = position.changed([], self.clock(), market)
            self.book.change([], after, after.tally.minus(position.tally), open_market=False)

        retrying_on_conflict(attempt)

    def _settle_batch(self, market: Market, user_id: str, order_ids: Sequence[str]) -> list[Order]:
        def attempt() -> list[Order]:
            now = self.clock()
            orders, position = self.book.some_orders(market.tenant_id, user_id, market.market_id, order_ids)
            changes = [
                (it, it.settled(market.asked(it.selection_id), by=market.by, now=now, with_market=True))
                for it in orders
                if it.is_open
            ]
            if not changes or position is None:
                return []
            after = position.changed(changes, now, market)
            settled = [order for _, order in changes]
            self.book.change(settled, after, after.tally.minus(position.tally), open_market=False)
            return settled

        return retrying_on_conflict(attempt)

    def look_after(self, orders: Iterable[tuple[str, str, str]], markets: Iterable[tuple[str, str]]) -> int:
        """Asks for the orders (tenant, market, user) whose market is closed, and for all of the closed markets
        themselves; gives how many orders' users were asked for.

        This is what finds an order that was placed just before its market was closed and that the index, which is a
        moment late, did not show.
        """
        for tenant_id, market_id in sorted(set(markets)):
            self.queue.of_market(tenant_id, market_id)
        placed = sorted(set(orders))
        wanted = sorted({(tenant_id, market_id) for tenant_id, market_id, _ in placed})
        closed = {
            (it.tenant_id, it.market_id) for each in _batches(iter(wanted), BATCH) for it in self.book.markets(each)
        }
        raced = [it for it in placed if it[:2] in closed]
        for tenant_id, market_id, user_id in raced:
            self.queue.of_users(tenant_id, market_id, [user_id])
        return len(raced)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
