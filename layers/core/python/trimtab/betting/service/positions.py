"""Betting positions and order totals of users."""

from typing import Any

from msgspec import Struct

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.totals import OrderTotals
from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import not_found
from trimtab.kernel.pages import Page


class BettingPositions(Struct, frozen=True):
    """Reads positions and totals. Every method raises `NotFound` if the caller's token belongs to another user."""

    store: BettingStore

    def list(self, caller: Caller, user_id: str, *, limit: int, after: Any) -> Page[BettingPosition]:
        """Return a page of a user's positions, sorted by market id."""
        caller.require_owner(user_id, "user")
        return self.store.list_positions(caller.tenant_id, user_id, limit=limit, after=after)

    def get(self, caller: Caller, user_id: str, market_id: str) -> BettingPosition:
        """Return the position of a user in a market; raises `NotFound` where there is none."""
        caller.require_owner(user_id, "position")
        position = self.store.get_position(caller.tenant_id, user_id, market_id)
        if position is None:
            raise not_found("position")
        return position

    def get_totals(self, caller: Caller, user_id: str, market_id: str | None = None) -> OrderTotals:
        """Return the totals of a user's orders, in all markets or in one market; zeros if there are no orders."""
        caller.require_owner(user_id, "user")
        if market_id is None:
            return self.store.get_user_totals(caller.tenant_id, user_id).totals
        position = self.store.get_position(caller.tenant_id, user_id, market_id)
        return position.totals if position else OrderTotals()
