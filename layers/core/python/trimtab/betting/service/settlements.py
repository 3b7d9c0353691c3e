"""Markets, settled as a whole: closed first, then every open order through a queue, each exactly once."""

import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain import markets as rules
from trimtab.betting.domain.markets import Market
from trimtab.betting.domain.orders import Order
from trimtab.betting.service.orders import require_platform
from trimtab.betting.service.ports import Book, Check, Progress, SettlementQueue
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Unavailable, not_found
from trimtab.kernel.retry import ConditionFailed, retrying_on_conflict

T = TypeVar("T")

BATCH = 90
"""Orders of one transaction: with position, sums and room to spare it takes 100 actions."""
MOST_A_MESSAGE = 20 * BATCH
MOST_TRIES = 20
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 5, 900
"""What is left is looked at again for about two hours; then the message goes to the dead letters, which alarm."""
TRIES_AN_ASKING = 5
"""Between them a check only looks: who was asked for is asked for again by what settles it."""
CLOSING_TRIES = 6
"""With the pauses between them a second and a half: every order that is being placed in a market is in the way."""
MOST_ENTRIES_A_MESSAGE = 20_000


class Settling(Struct, frozen=True):
    """A market that is being settled, or is."""

    market: Market
    progress: Progress

    @property
    def is_done(self) -> bool:
        """Whether no order is open any more: a check has found so by what is kept of every user."""
        return self.market.settled_at is not None


class Settlements(Struct, frozen=True):
    """The settlement of whole markets."""

    book: Book
    queue: SettlementQueue
    clock: Clock
    recheck_seconds: int = 30
    """How long after the last user was asked for a check begins."""

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
            return self._settling(asked)
        rules.require_same(stored, asked)
        settling = self._settling(stored)
        if not settling.is_done:
            self.queue.of_market(caller.tenant_id, market_id)
        return settling

    def _close(self, asked: Market) -> Market | None:
        """Closes the market, or gives it as it was closed before; `ConditionFailed` where an order is just being
        placed in it."""
        try:
            self.book.put_market(asked)
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
            raise not_found("market")
        return self._settling(market)

    def _settling(self, market: Market) -> Settling:
        if market.settled_at is not None:
            return Settling(market, Progress(market.orders, 0))
        return Settling(market, self.book.progress(market.tenant_id, market.market_id))

    def find_users(self, tenant_id: str, market_id: str, after: str | None) -> int:
        """Asks for the open orders of every user in the market, and gives how many users there were.

        It looks at 20,000 orders at most and leaves the others to a message of their own. They are those that the
        index shows: what it is late with, a check meets, which is asked for after the last of them.
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
        else:
            self.queue.check(tenant_id, market_id, Check(), self.recheck_seconds)
        return len(users)

    def check(self, tenant_id: str, market_id: str, check: Check) -> int:
        """Looks at what is kept of the market's users, a page a message, and gives how many have something left.

        Those are asked for, now and then once more, and the page is looked at until nobody has; after the last page the
        market is marked as settled. Raises `Unavailable` where there is somebody after the last try.

        Nothing is read from an index, and the first look is so long after the closing that every order's transaction
        that came before it is seen whole. So an order that is still open is found here, whatever an index shows.
        """
        market = self.book.market(tenant_id, market_id)
        if market is None or market.settled_at is not None:
            return 0
        users, last = self.book.users(tenant_id, market_id, check.after)
        positions = self.book.some_positions(tenant_id, market_id, users)
        done = {it.user_id: it.tally.orders_placed for it in positions if not it.is_due(market)}
        due = [user_id for user_id in users if user_id not in done]
        if due:
            if check.tries % TRIES_AN_ASKING == 0:
                self.queue.of_users(tenant_id, market_id, due)
            wait = _seconds_before(check.tries, f"{len(due)} users of {market_id} are not settled.")
            self.queue.check(tenant_id, market_id, replace(check, tries=check.tries + 1), wait)
            return len(due)
        orders = check.orders + sum(done.values())
        if last is not None:
            self.queue.check(tenant_id, market_id, Check(last, orders), 0)
            return 0
        self._mark(market.settled(orders, self.clock()))
        return 0

    def _mark(self, settled: Market) -> None:
        def attempt() -> None:
            try:
                self.book.put_market(settled)
            except ConditionFailed as refused:
                if not refused.failed:
                    raise  # an order that is refused holds the item just now; otherwise another check was quicker

        retrying_on_conflict(attempt, CLOSING_TRIES)

    def settle_user(self, tenant_id: str, market_id: str, user_id: str, tries: int = 0) -> list[Order]:
        """Settles the user's open orders in the closed market, 90 a transaction, and gives those it settled.

        Each transaction is whole, so it can end anywhere and be repeated: what is settled is not open any more. The
        one that settles the last order takes the commission on what the user won in the market in all.

        Whatever is left, as the position tells and no index, is asked for again: at once where something was settled,
        else a while later, as the index is behind or others are at the same sums. Raises `Unavailable` after the last
        try.
        """
        market = self.book.market(tenant_id, market_id)
        if market is None:
            return []
        settled: list[Order] = []
        entries = (order_id for _, order_id, _ in self.book.open_orders(tenant_id, market_id, user_id, None))
        try:
            for order_ids in _batches(islice(entries, MOST_A_MESSAGE), BATCH):
                settled += self._settle_batch(market, user_id, order_ids)
            is_left = self._charge(market, user_id)
            is_contended = False
        except Conflict:
            is_left = is_contended = True
        if is_left:
            before = 0 if settled else tries
            is_slow = is_contended or not settled
            wait = _seconds_before(before, f"Orders of {user_id} in {market_id} are open.") if is_slow else 0
            self.queue.of_user_again(tenant_id, market_id, user_id, before + is_slow, wait)
        return settled

    def _charge(self, market: Market, user_id: str) -> bool:
        """Takes the commission of a user whose orders were all settled before the market was; whether one is open."""

        def attempt() -> bool:
            position = self.book.position(market.tenant_id, user_id, market.market_id)
            if position is None or not position.is_due(market):
                return False
            if position.tally.orders_open:
                return True
            after = position.changed([], self.clock(), market)
            self.book.change([], after, after.tally.minus(position.tally), open_market=False)
            return False

        return retrying_on_conflict(attempt)

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


def _seconds_before(tries: int, problem: str) -> int:
    """How long to wait before the next try, some seconds and twice as long each time; `Unavailable` after the last."""
    if tries >= MOST_TRIES:
        raise Unavailable("unsettled", problem)
    longest = min(FIRST_WAIT_SECONDS * 2**tries, MOST_WAIT_SECONDS)
    return random.randint(longest - longest // 2, longest)  # noqa: S311 - jitter needs no secrecy


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
