"""The settlement of whole markets: the market is closed first, then a queue settles every open order exactly once."""

import random
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.adapters.settlement_queue import SettlementQueue, UserCheck, UserPass
from trimtab.betting.adapters.store import BettingStore, SettlementProgress
from trimtab.betting.domain.market_results import StatedResults
from trimtab.betting.domain.market_states import MarketWithoutResults
from trimtab.betting.domain.markets import MarketWithResults, enter_results, require_same_settlement
from trimtab.betting.domain.orders import BetOrder
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Unavailable, not_found
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict

T = TypeVar("T")

BATCH_SIZE = 90
"""Orders in one transaction: with the position, the totals and some room the transaction has at most 100 actions."""
MAX_ORDERS_PER_MESSAGE = 20 * BATCH_SIZE
MAX_ENTRIES_PER_MESSAGE = 20_000
MAX_TRIES = 20
"""Tries of a message before the dead-letter queue: about two hours, waits included."""
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 5, 900
CHECKS_PER_RESEND = 5
"""Every fifth check of a page requests the settlement of its unsettled users again; the checks between only read."""
CLOSING_TRIES = 6
"""Tries to close a market: about 1.5 s, pauses included. An order being placed in the market delays the closing."""


class MarketSettlement(Struct, frozen=True):
    """A market with results and the progress of the settlement."""

    market: MarketWithResults
    progress: SettlementProgress

    @property
    def is_done(self) -> bool:
        """True if a check of all users of the market has found no open order."""
        return self.market.settled_at is not None


class MarketSettlements(Struct, frozen=True):
    """The settlement of whole markets."""

    store: BettingStore
    queue: SettlementQueue
    clock: Clock
    recheck_seconds: int = 30
    """The delay of the first check after the settlement of the last user was requested."""

    def settle(
        self, caller: Caller, market_id: str, stated: StatedResults, commission_rate: Decimal
    ) -> MarketSettlement:
        """Enter the results of a market; the stream of the table then requests the settlement of its open orders.

        A market with results rejects new orders, and cancelling or settling a single order. A repeated request
        requests the settlement of the remaining orders again. Raises `Conflict` if the market was settled differently,
        and `Unprocessable` if the stated results contradict each other.
        """
        caller.require_platform()
        requested = enter_results(
            caller.tenant_id, market_id, stated, commission_rate, by=caller.subject, now=self.clock()
        )
        stored = retry_on_conflict(lambda: self._close(requested), CLOSING_TRIES)
        if stored is None:
            return self._with_progress(requested)
        require_same_settlement(stored, requested)
        settlement = self._with_progress(stored)
        if not settlement.is_done:
            self.queue.request_market(caller.tenant_id, market_id)
        return settlement

    def resettle(
        self, caller: Caller, market_id: str, stated: StatedResults, commission_rate: Decimal | None, reason: str
    ) -> MarketSettlement:
        """Correct the results of a settled market; its orders are then settled again, at least once.

        A repeated request requests the settlement of the remaining users again. Raises `Conflict` if the market is not
        settled, and `Unprocessable` if the stated results contradict each other.
        """
        caller.require_platform()

        def attempt() -> tuple[MarketWithResults, bool]:
            stored = self.store.get_market(caller.tenant_id, market_id)
            if stored is None:
                raise Conflict("not_settled", "The market has no results to correct: settle the market first.")
            market = stored.resettle(stated, commission_rate, reason, by=caller.subject, now=self.clock())
            if market is not stored:
                self.store.put_market(market)
            return market, market is stored

        market, is_repeat = retry_on_conflict(attempt, CLOSING_TRIES)
        settlement = self._with_progress(market)
        if is_repeat and not settlement.is_done:
            self.request_corrected(market.tenant_id, market.market_id)
        return settlement

    def request_corrected(self, tenant_id: str, market_id: str) -> None:
        """Request a check of the users of a market whose results were corrected; all of them have to be settled."""
        self.queue.request_check(tenant_id, market_id, UserCheck(), 0)

    def _close(self, requested: MarketWithResults) -> MarketWithResults | None:
        """Store the market with results, or return the market that has results already.

        Raises `ConditionFailed` while an order is being placed in the market.
        """
        try:
            self.store.put_market(requested)
        except ConditionFailed:
            match self.store.read_market(requested.tenant_id, requested.market_id):
                case MarketWithResults() as stored:
                    return stored
                case MarketWithoutResults() as stored:
                    self.store.put_market(replace(requested, version=stored.version + 1))
                case None:
                    raise
        return None

    def get(self, caller: Caller, market_id: str) -> MarketSettlement:
        """Return the settlement of a market; raises `NotFound` while the market is open."""
        caller.require_platform()
        market = self.store.get_market(caller.tenant_id, market_id)
        if market is None:
            raise not_found("market")
        return self._with_progress(market)

    def _with_progress(self, market: MarketWithResults) -> MarketSettlement:
        if market.settled_at is not None:
            return MarketSettlement(market, SettlementProgress(market.orders, 0))
        return MarketSettlement(market, self.store.get_progress(market.tenant_id, market.market_id))

    def request_users(self, tenant_id: str, market_id: str, after: str | None) -> int:
        """Request the settlement of every user with open orders in the market, and return the number of users.

        Reads at most 20,000 entries of the index and leaves the rest to a message of its own. After the last entry a
        check is requested, which finds the orders that the eventually consistent index does not show yet.
        """
        entries = self.store.find_open_orders(tenant_id, market_id, None, after)
        users: dict[str, None] = {}
        last, count = after, 0
        for entry in islice(entries, MAX_ENTRIES_PER_MESSAGE):
            users[entry.user_id] = None
            last, count = entry.place, count + 1
        self.queue.request_users(tenant_id, market_id, list(users))
        if count == MAX_ENTRIES_PER_MESSAGE:
            self.queue.request_market(tenant_id, market_id, last)
        else:
            self.queue.request_check(tenant_id, market_id, UserCheck(), self.recheck_seconds)
        return len(users)

    def check_users(self, tenant_id: str, market_id: str, check: UserCheck) -> int:
        """Check one page of the users of the market, and return how many are not settled yet.

        The page is checked again until all its users are settled, and every fifth check requests their settlement
        again. After the last page the market is marked as settled. Raises `Unavailable` after the last try.

        The check reads no index, and starts so long after the closing that the transaction of every earlier order is
        visible as a whole. So it finds every open order, even one that the index does not show.
        """
        market = self.store.get_market(tenant_id, market_id)
        if market is None or market.settled_at is not None:
            return 0
        users, last = self.store.list_market_users(tenant_id, market_id, check.after)
        positions = self.store.get_positions_in_market(tenant_id, market_id, users)
        settled = {each.user_id: each.totals.orders_placed for each in positions if not each.is_due(market)}
        due = [user_id for user_id in users if user_id not in settled]
        if due:
            if check.tries % CHECKS_PER_RESEND == 0:
                self.queue.request_users(tenant_id, market_id, due)
            wait = _seconds_before_retry(check.tries, f"{len(due)} users of market {market_id} are not settled.")
            self.queue.request_check(tenant_id, market_id, replace(check, tries=check.tries + 1), wait)
            return len(due)
        orders = check.orders + sum(settled.values())
        if last is not None:
            self.queue.request_check(tenant_id, market_id, UserCheck(last, orders), 0)
            return 0
        self._store_settled(market.mark_settled(orders, self.clock()))
        return 0

    def _store_settled(self, market: MarketWithResults) -> None:
        def attempt() -> None:
            try:
                self.store.put_market(market)
            except ConditionFailed as refused:
                if not refused.failed:
                    raise  # the transaction of an order that will be refused holds the item; else another check won

        retry_on_conflict(attempt, CLOSING_TRIES)

    def settle_user(
        self, tenant_id: str, market_id: str, user_id: str, tries: int = 0, progress: UserPass | None = None
    ) -> list[BetOrder]:
        """Settle the open orders of a user in a market with results, 90 in a transaction; return those settled here.

        The work can stop after any transaction and be repeated, as a settled order is not open any more. The
        transaction that settles the last order charges the commission on the net winnings in the market.

        If the position still counts open orders, the user is requested again: at once if this call settled any, else
        after a delay, as the index is behind or the totals are contended. Raises `Unavailable` after the last try.

        If the results were corrected, all orders of the user that were settled with the market are settled again.
        """
        market = self.store.get_market(tenant_id, market_id)
        if market is None:
            return []
        if market.number > 1:
            return self._resettle_user(market, user_id, tries, progress or UserPass(market.number))
        settled: list[BetOrder] = []
        entries = self.store.find_open_orders(tenant_id, market_id, user_id, None)
        order_ids = (entry.order_id for entry in islice(entries, MAX_ORDERS_PER_MESSAGE))
        try:
            for batch in _batches(order_ids, BATCH_SIZE):
                settled += self._settle_batch(market, user_id, batch)
            has_open_orders = self._charge(market, user_id)
            is_contended = False
        except Conflict:
            has_open_orders = is_contended = True
        if has_open_orders:
            tries_before = 0 if settled else tries
            is_delayed = is_contended or not settled
            problem = f"Orders of user {user_id} in market {market_id} are still open."
            wait = _seconds_before_retry(tries_before, problem) if is_delayed else 0
            self.queue.retry_user(tenant_id, market_id, user_id, tries_before + is_delayed, wait)
        return settled

    def _charge(self, market: MarketWithResults, user_id: str) -> bool:
        """Charge the commission of a user without open orders, and return whether the user has open orders."""

        def attempt() -> bool:
            position = self.store.get_position(market.tenant_id, user_id, market.market_id)
            if position is None or not position.is_due(market):
                return False
            if position.totals.orders_open:
                return True
            after = position.apply([], self.clock(), market)
            self.store.change_orders([], after, after.totals.minus(position.totals), open_market=False)
            return False

        return retry_on_conflict(attempt)

    def _settle_batch(self, market: MarketWithResults, user_id: str, order_ids: Sequence[str]) -> list[BetOrder]:
        def attempt() -> list[BetOrder]:
            now = self.clock()
            orders, position = self.store.get_orders_and_position(
                market.tenant_id, user_id, market.market_id, order_ids
            )
            changes = [(order, market.update_order(order, now)) for order in orders if order.is_open]
            if not changes or position is None:
                return []
            after = position.apply(changes, now, market)
            settled = [order for _, order in changes]
            self.store.change_orders(settled, after, after.totals.minus(position.totals), open_market=False)
            return settled

        return retry_on_conflict(attempt)

    def _resettle_user(self, market: MarketWithResults, user_id: str, tries: int, progress: UserPass) -> list[BetOrder]:
        """Settle the orders of a user by corrected results, a page of 1,800 index entries for each message.

        Each transaction requires the version of the market that was read, so that a late message cannot restore older
        results. The last page compares the number of orders with the position, and starts again after a delay if the
        index is behind.
        """
        tenant_id, market_id = market.tenant_id, market.market_id
        position = self.store.get_position(tenant_id, user_id, market_id)
        if position is None or not position.is_due(market) or progress.number != market.number:
            return []
        settled: list[BetOrder] = []
        entries = islice(self.store.find_user_orders(market, user_id, progress.after), MAX_ORDERS_PER_MESSAGE)
        after, count, orders = progress.after, 0, progress.orders
        try:
            for batch in _batches(entries, BATCH_SIZE):
                found, changed = self._resettle_batch(market, user_id, [order_id for _, order_id in batch])
                after, count, orders = batch[-1][0], count + len(batch), orders + found
                settled += changed
            if count == MAX_ORDERS_PER_MESSAGE:
                self.queue.continue_user(tenant_id, market_id, user_id, UserPass(market.number, after, orders))
                return settled
            is_complete = self._complete_user(market, user_id, orders)
        except Conflict:
            is_complete = False
        if not is_complete:
            wait = _seconds_before_retry(tries, f"Orders of user {user_id} in market {market_id} are not corrected.")
            self.queue.retry_user(tenant_id, market_id, user_id, tries + 1, wait)
        return settled

    def _resettle_batch(
        self, market: MarketWithResults, user_id: str, order_ids: Sequence[str]
    ) -> tuple[int, list[BetOrder]]:
        """Settle orders by corrected results; return how many of them are in the market, and those changed here."""

        def attempt() -> tuple[int, list[BetOrder]]:
            now = self.clock()
            orders, position = self.store.get_orders_and_position(
                market.tenant_id, user_id, market.market_id, order_ids
            )
            updated = ((order, market.update_order(order, now)) for order in orders)
            changes = [(order, changed) for order, changed in updated if changed is not order]
            if changes and position is not None:
                after = position.apply(changes, now)
                settled = [order for _, order in changes]
                change = after.totals.minus(position.totals)
                self.store.change_orders(settled, after, change, open_market=True, market=market)
            return len(orders), [order for _, order in changes]

        return retry_on_conflict(attempt)

    def _complete_user(self, market: MarketWithResults, user_id: str, orders: int) -> bool:
        """Charge or return the difference of the commission; return False if the position counts more orders."""

        def attempt() -> bool:
            position = self.store.get_position(market.tenant_id, user_id, market.market_id)
            if position is None or position.totals.orders_placed > orders:
                return False
            if position.is_due(market):
                after = position.apply([], self.clock(), market)
                change = after.totals.minus(position.totals)
                self.store.change_orders([], after, change, open_market=True, market=market)
            return True

        return retry_on_conflict(attempt)

    def request_after_commits(self, orders: Iterable[tuple[str, str, str]], markets: Iterable[tuple[str, str]]) -> int:
        """Request what the committed orders (tenant, market, user) and markets with results (tenant, market) need.

        Each market is requested, and the user of each order whose market has results: an order that was placed just
        before the results, and that the index may not have shown. Returns the number of such users.
        """
        for tenant_id, market_id in sorted(set(markets)):
            self.queue.request_market(tenant_id, market_id)
        placed = sorted(set(orders))
        wanted = sorted({(tenant_id, market_id) for tenant_id, market_id, _ in placed})
        closed = {
            (market.tenant_id, market.market_id)
            for batch in _batches(iter(wanted), BATCH_SIZE)
            for market in self.store.get_markets_with_results(batch)
        }
        raced = [order for order in placed if order[:2] in closed]
        for tenant_id, market_id, user_id in raced:
            self.queue.request_users(tenant_id, market_id, [user_id])
        return len(raced)


def _seconds_before_retry(tries: int, problem: str) -> int:
    """Return the wait before the next try: doubling from 5 to 900 seconds, with jitter.

    Raises `Unavailable` with the problem after the last try.
    """
    if tries >= MAX_TRIES:
        raise Unavailable("unsettled", problem)
    longest = min(FIRST_WAIT_SECONDS * 2**tries, MAX_WAIT_SECONDS)
    return random.randint(longest - longest // 2, longest)  # noqa: S311 - jitter needs no secrecy


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch
