"""Orders: placed, settled or cancelled in one write together with the position and the sums that they change."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.betting.domain import orders as rules
from trimtab.betting.domain.insights import require_value
from trimtab.betting.domain.markets import market_closed
from trimtab.betting.domain.orders import Asked, NewOrder, Order
from trimtab.betting.domain.positions import Position
from trimtab.betting.domain.tally import tally
from trimtab.betting.service.ports import Book, OrderFilter
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Forbidden, Invalid, Unprocessable, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retrying_on_conflict


class Limits(Struct, frozen=True):
    """What is asked of orders: the stake of one, the gross exposure of all open ones of a user, and the expected
    value that an insight must give it (None: any)."""

    max_stake: Decimal
    max_exposure: Decimal
    minimum_expected_value: Decimal | None = None


class Placed(Struct, frozen=True):
    """An order, and its user's position in the market with it; whether it was there before."""

    order: Order
    position: Position
    is_repeat: bool = False


class Changed(Struct, frozen=True):
    """An order that was settled or cancelled; whether it was so before."""

    order: Order
    is_repeat: bool


class Orders(Struct, frozen=True):
    """The orders of users. Each attempt reads, decides and writes on the versions it read."""

    book: Book
    limits: Limits
    clock: Clock

    def place(self, caller: Caller, new: NewOrder, key: str) -> Placed:
        """The open order; with the same key again, the order as it is now. Two calls: one read, one transaction."""
        caller.require_acting_for(new.user_id)
        order_id = rules.order_id_of(caller.tenant_id, new.user_id, key)

        def attempt() -> Placed:
            now = self.clock()
            tenant_id, user_id, market_id = caller.tenant_id, new.user_id, new.market_id
            met = self.book.situation(tenant_id, order_id, user_id, market_id, new.selection_id)
            position = met.position or Position(
                tenant_id=tenant_id, user_id=user_id, market_id=market_id, updated_at=now
            )
            if met.order is not None:
                rules.require_same(met.order, new)
                return Placed(met.order, position, is_repeat=True)
            if met.market is not None:
                raise market_closed()
            self._check_size(new)
            position.require_room_for(new.selection_id)
            require_value(met.insight, new.side, self.limits.minimum_expected_value)
            order = new.placed(tenant_id, order_id, met.insight, now)
            position = position.changed([(None, order)], now)
            self.book.place(order, position, tally(order), self.limits.max_exposure)
            return Placed(order, position)

        return retrying_on_conflict(attempt)

    def _check_size(self, new: NewOrder) -> None:
        if new.stake > self.limits.max_stake:
            raise Unprocessable("stake_too_large", f"The stake of an order is at most {self.limits.max_stake}.")
        if not new.exposure:
            raise Unprocessable("stake_too_small", "The order exposes less than half a cent: it could only win.")
        if new.exposure > self.limits.max_exposure:
            raise rules.limit_exceeded(self.limits.max_exposure)

    def get(self, caller: Caller, order_id: str) -> Order:
        """The caller's order; `NotFound` otherwise."""
        order = self.book.order(caller.tenant_id, order_id)
        if order is None:
            raise not_found("order")
        caller.require_owner(order.user_id, "order")
        return order

    def list(self, caller: Caller, wanted: OrderFilter, *, limit: int, after: Any) -> Page[Order]:
        """The orders of a user or of a market, newest first; an end user's token sees those of its user alone."""
        wanted = OrderFilter(wanted.user_id or caller.user_id, wanted.market_id, wanted.status)
        if wanted.user_id is not None:
            caller.require_owner(wanted.user_id, "user")
        elif wanted.market_id is None:
            raise Invalid("which_orders", "Name the user or the market whose orders you want, or both.")
        return self.book.orders(caller.tenant_id, wanted, limit=limit, after=after)

    def cancel(self, caller: Caller, order_id: str) -> Order:
        """The order, taken back; the same again answers as the first did."""
        return self._change(caller, order_id, lambda order: order.cancelled(self.clock())).order

    def settle(self, caller: Caller, order_id: str, asked: Asked) -> Changed:
        """The settled order; the same again answers as the first did. For the platform: no end user settles."""

        def settled(order: Order) -> Order:
            require_platform(caller)
            return order.settled(asked, by=caller.subject, now=self.clock())

        return self._change(caller, order_id, settled)

    def _change(self, caller: Caller, order_id: str, decide: Callable[[Order], Order]) -> Changed:
        def attempt() -> Changed:
            order = self.get(caller, order_id)
            changed = decide(order)
            if changed is order:
                return Changed(order, is_repeat=True)
            met = self.book.situation(
                order.tenant_id, order.order_id, order.user_id, order.market_id, order.selection_id
            )
            if met.market is not None and met.order == order:
                raise market_closed()
            if met.position is None:
                raise not_found("position")
            position = met.position.changed([(order, changed)], changed.updated_at)
            self.book.change([changed], position, tally(changed).minus(tally(order)), open_market=True)
            return Changed(changed, is_repeat=False)

        return retrying_on_conflict(attempt)


def require_platform(caller: Caller) -> None:
    """`Forbidden` for an end user's token: nobody decides how their own bets end."""
    if caller.user_id is not None:
        raise Forbidden("not_for_end_users", "The platform settles: this token acts for an end user.")
