"""Orders: each change is stored together with the changed position and totals in a single transaction."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.betting.adapters.store import BettingStore, OrderFilter
from trimtab.betting.domain.exposure_limits import ExposureLimit, LimitedExposure
from trimtab.betting.domain.insights import require_expected_value
from trimtab.betting.domain.market_states import Market, require_changing, require_placing, require_resettling
from trimtab.betting.domain.markets import MAX_RESETTLEMENTS, MarketWithResults, too_many_resettlements
from trimtab.betting.domain.odds import OddsLadder
from trimtab.betting.domain.orders import (
    BetOrder,
    NewOrder,
    SettlementRequest,
    derive_order_id,
    require_same_order,
)
from trimtab.betting.domain.positions import BettingPosition
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Invalid, Unprocessable, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict


class OrderLimits(Struct, frozen=True):
    """The limits of orders, in money.

    `max_stake` limits a single order, `max_exposure` the exposure of all open orders of a user, gross or in the worst
    case (`limited_exposure`). `minimum_expected_value` is per unit of stake; None accepts any. `ladder` has the
    accepted odds. `number_of_winners` of a market decides the worst case; None if any number of selections can win.
    """

    max_stake: Decimal
    max_exposure: Decimal
    minimum_expected_value: Decimal | None = None
    ladder: OddsLadder = OddsLadder.TWO_DECIMALS
    limited_exposure: LimitedExposure = LimitedExposure.WORST_CASE
    number_of_winners: int | None = None

    @property
    def exposure(self) -> ExposureLimit:
        """The limit on the exposure of a user."""
        return ExposureLimit(self.limited_exposure, self.max_exposure)


class PlacedOrder(Struct, frozen=True):
    """A placed order and the position of its user in the market; `is_repeat` if a request before placed the order."""

    order: BetOrder
    position: BettingPosition
    is_repeat: bool = False


class ChangedOrder(Struct, frozen=True):
    """A settled or cancelled order; `is_repeat` if a request before changed the order."""

    order: BetOrder
    is_repeat: bool


class BetOrders(Struct, frozen=True):
    """The orders of users. Each attempt reads, decides, and writes on the versions that were read."""

    store: BettingStore
    limits: OrderLimits
    clock: Clock

    def place(self, caller: Caller, new: NewOrder, key: str) -> PlacedOrder:
        """Place an order, idempotent by `key`: a repeat returns the order as stored. One read, one transaction.

        Raises `Forbidden` for the order of another user, `Conflict` for a suspended or closed market or a key that was
        used for a different order, `Unprocessable` if a limit refuses the order.
        """
        caller.require_acting_for(new.user_id)
        tenant_id, user_id, market_id = caller.tenant_id, new.user_id, new.market_id
        order_id = derive_order_id(tenant_id, user_id, key)

        def attempt() -> PlacedOrder:
            now = self.clock()
            context = self.store.get_order_context(tenant_id, order_id, user_id, market_id, new.selection_id)
            before = context.position or BettingPosition(
                tenant_id=tenant_id,
                user_id=user_id,
                market_id=market_id,
                updated_at=now,
                number_of_winners=self.limits.number_of_winners,
            )
            if context.order is not None:
                require_same_order(context.order, new)
                return PlacedOrder(context.order, before, is_repeat=True)
            market = require_placing(context.market)
            self._check_size(new)
            before.require_room_for(new.selection_id)
            require_expected_value(context.insight, new.side, self.limits.minimum_expected_value)
            order = new.place(tenant_id, order_id, context.insight, now)
            position = before.apply([(None, order)], now)
            change = position.totals.minus(before.totals)
            limit = self.limits.exposure
            self.store.change_orders([order], position, change, open_market=True, market=market, limit=limit)
            return PlacedOrder(order, position)

        return retry_on_conflict(attempt)

    def _check_size(self, new: NewOrder) -> None:
        self.limits.ladder.require(new.odds)
        if new.stake > self.limits.max_stake:
            raise Unprocessable("stake_too_large", f"stake must not exceed {self.limits.max_stake}.")
        if not new.exposure:
            raise Unprocessable("stake_too_small", "The exposure of the order rounds to 0.00. Raise stake or odds.")

    def get(self, caller: Caller, order_id: str) -> BetOrder:
        """Return an order; raises `NotFound` if there is none, or the caller acts for another user."""
        order = self.store.get_order(caller.tenant_id, order_id)
        if order is None:
            raise not_found("order")
        caller.require_owner(order.user_id, "order")
        return order

    def list(self, caller: Caller, wanted: OrderFilter, *, limit: int, after: Any) -> Page[BetOrder]:
        """Return the orders of a user or of a market, newest first; the token of an end user sees its own orders only.

        Raises `Invalid` if the filter names neither a user nor a market.
        """
        wanted = OrderFilter(wanted.user_id or caller.user_id, wanted.market_id, wanted.status)
        if wanted.user_id is not None:
            caller.require_owner(wanted.user_id, "user")
        elif wanted.market_id is None:
            raise Invalid("which_orders", "Give user_id, market_id or both.")
        return self.store.list_orders(caller.tenant_id, wanted, limit=limit, after=after)

    def cancel(self, caller: Caller, order_id: str) -> BetOrder:
        """Cancel an open order; a repeat returns the cancelled order.

        Raises `Conflict` for the token of an end user while the market is suspended, and once the market is closed.
        Raises `Unprocessable` if the order is a hedge, and the worst case of the other orders exceeds the limit.
        """
        return self._change(
            caller, order_id, lambda order: order.cancel(self.clock()), limit=self.limits.exposure
        ).order

    def settle(self, caller: Caller, order_id: str, request: SettlementRequest) -> ChangedOrder:
        """Settle an open order; a repeat returns the settled order. Raises `Forbidden` for the token of an end user.

        A result is a fact: no limit refuses a settlement, even of one order of a hedge.
        """

        def settle_order(order: BetOrder) -> BetOrder:
            caller.require_platform()
            return order.settle(request, by=caller.subject, now=self.clock())

        return self._change(caller, order_id, settle_order)

    def resettle(self, caller: Caller, order_id: str, request: SettlementRequest, reason: str) -> ChangedOrder:
        """Settle a settled order again; a repeat returns the order. Raises `Forbidden` for the token of an end user.

        Raises `Conflict` if the order is not settled, or while its market is being settled. In a settled market the
        commission on the net winnings of the user follows by the difference.
        """

        def resettle_order(order: BetOrder) -> BetOrder:
            caller.require_platform()
            changed = order.resettle(request, reason, by=caller.subject, now=self.clock())
            if changed is not order and len(order.resettlements) >= 2 * MAX_RESETTLEMENTS:
                raise too_many_resettlements()
            return changed

        return self._change(caller, order_id, resettle_order, require_resettling)

    def _change(
        self,
        caller: Caller,
        order_id: str,
        decide: Callable[[BetOrder], BetOrder],
        require: Callable[[Market | None], Market | None] | None = None,
        limit: ExposureLimit | None = None,
    ) -> ChangedOrder:
        def attempt() -> ChangedOrder:
            order = self.get(caller, order_id)
            changed = decide(order)
            if changed is order:
                return ChangedOrder(order, is_repeat=True)
            context = self.store.get_order_context(
                order.tenant_id, order.order_id, order.user_id, order.market_id, order.selection_id
            )
            if context.order != order:
                raise ConditionFailed({})  # the order has changed since the read
            market = require(context.market) if require else require_changing(context.market, caller)
            if context.position is None:
                raise not_found("position")
            with_results = market if isinstance(market, MarketWithResults) else None
            position = context.position.apply([(order, changed)], changed.updated_at, with_results)
            change = position.totals.minus(context.position.totals)
            self.store.change_orders([changed], position, change, open_market=True, market=market, limit=limit)
            return ChangedOrder(changed, is_repeat=False)

        return retry_on_conflict(attempt)
