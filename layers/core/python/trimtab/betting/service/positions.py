"""The positions and totals of users."""

from typing import Any

from msgspec import Struct

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.totals import OrderTotals
from trimtab.kernel.caller import Caller
from trimtab.kernel.pages import Page


class BettingPositions(Struct, frozen=True):
    """The positions and totals of users. Raises `NotFound` if the token acts for another user."""

    store: BettingStore

    def list(self, caller: Caller, user_id: str, *, limit: int, after: Any) -> Page[BettingPosition]:
        """Return the positions of a user, sorted by market."""
        caller.require_owner(user_id, "user")
        return self.store.list_positions(caller.tenant_id, user_id, limit=limit, after=after)

    def get_totals(self, caller: Caller, user_id: str, market_id: str | None = None) -> OrderTotals:
        """Return the totals over all orders of a user, or over the orders in one market; zeros without orders."""
        caller.require_owner(user_id, "user")
        if market_id is None:
            return self.store.get_user_totals(caller.tenant_id, user_id).totals
        position = self.store.get_position(caller.tenant_id, user_id, market_id)
        return position.totals if position else OrderTotals()
