"""The states of markets before the settlement: open, suspended, closed. A market without an item is open."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, assert_never

from msgspec.structs import replace

from trimtab.betting.domain.keys import market_key
from trimtab.betting.domain.markets import MarketWithResults, market_closed, market_settling
from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Conflict


class MarketState(StrEnum):
    """The state of a market without results: OPEN takes orders, SUSPENDED none for a while, CLOSED none any more."""

    OPEN = "OPEN"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


class MarketAction(StrEnum):
    """The actions that change the state of a market."""

    SUSPEND = "suspend"
    REOPEN = "reopen"
    CLOSE = "close"


_EFFECTS: Mapping[MarketAction, tuple[MarketState, str]] = {
    MarketAction.SUSPEND: (MarketState.SUSPENDED, "market.suspended"),
    MarketAction.REOPEN: (MarketState.OPEN, "market.reopened"),
    MarketAction.CLOSE: (MarketState.CLOSED, "market.closed"),
}


class MarketWithoutResults(Record, frozen=True, kw_only=True):
    """A market without results; version 0 stands for a market without an item, which is open.

    Each order is placed and changed on the condition that this version is the newest. So an order that races a
    suspension is either stored before the suspension or refused.
    """

    tenant_id: str
    market_id: str
    state: MarketState = MarketState.OPEN
    changed_by: str = ""
    updated_at: datetime | None = None
    version: int = 0

    def change(self, action: MarketAction, *, by: str, now: datetime) -> "MarketWithoutResults":
        """Return the market in the state that the action leads to, with an event; the same market if in that state.

        Raises `Conflict` if a closed market shall be suspended: nothing is left to suspend.
        """
        state, event = _EFFECTS[action]
        if state is self.state:
            return self
        if action is MarketAction.SUSPEND and self.state is MarketState.CLOSED:
            raise market_closed()
        data = {"market_id": self.market_id, "state": state.value}
        return replace(
            self, state=state, changed_by=by, updated_at=now, version=self.version + 1, events=(Event(event, data),)
        )

    def to_item(self) -> dict[str, Any]:
        """Return the item. The form is 2, because releases of form 1 know markets with results only."""
        key = market_key(self.tenant_id, self.market_id)
        return {**key, **to_attributes(self), **self.record_attributes(form=2)}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the market in an item."""
        match form_version(item):
            case 2:
                return from_attributes({**item, "events": ()}, cls)
            case other:
                raise UnknownForm("market without results", other)


Market = MarketWithoutResults | MarketWithResults


def read_market(item: Mapping[str, Any]) -> Market:
    """Return the market in an item, with or without results."""
    return MarketWithoutResults.from_item(item) if "state" in item else MarketWithResults.from_item(item)


def require_placing(market: Market | None) -> MarketWithoutResults | None:
    """Return the open market; raises `Conflict` if the market accepts no orders."""
    if isinstance(market, MarketWithResults):
        raise market_closed()
    if market is not None:
        _require_open(market)
    return market


def require_changing(market: Market | None, caller: Caller) -> MarketWithoutResults | None:
    """Return the market without results; raises `Conflict` if the caller must not cancel or settle single orders.

    The token of an end user changes orders of open markets only.
    """
    if isinstance(market, MarketWithResults):
        raise market_closed()
    if market is not None and caller.user_id is not None:
        _require_open(market)
    return market


def require_resettling(market: Market | None) -> Market | None:
    """Return the market; raises `Conflict` while the orders of the market are being settled."""
    if isinstance(market, MarketWithResults) and market.settled_at is None:
        raise market_settling()
    return market


def _require_open(market: MarketWithoutResults) -> None:
    match market.state:
        case MarketState.OPEN:
            return
        case MarketState.SUSPENDED:
            raise Conflict(
                "market_suspended", "The market is suspended: orders are neither placed nor cancelled until it reopens."
            )
        case MarketState.CLOSED:
            raise market_closed()
    assert_never(market.state)
