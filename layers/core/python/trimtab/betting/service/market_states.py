"""The states of markets: suspended, reopened and closed by the platform."""

from msgspec import Struct

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.market_states import Market, MarketAction, MarketWithoutResults
from trimtab.betting.domain.markets import MarketWithResults
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict
from trimtab.kernel.retry import retry_on_conflict

TRIES = 6
"""Tries to change a market: about 1.5 s, pauses included. An order being placed in the market delays the change."""


class MarketStates(Struct, frozen=True):
    """Reads and changes the states of markets."""

    store: BettingStore
    clock: Clock

    def get(self, caller: Caller, market_id: str) -> Market:
        """Return a market in any state; a market that nobody has changed is open."""
        market = self.store.read_market(caller.tenant_id, market_id)
        return market or MarketWithoutResults(tenant_id=caller.tenant_id, market_id=market_id)

    def change(self, caller: Caller, market_id: str, action: MarketAction) -> Market:
        """Suspend, reopen or close a market; a repeat changes nothing.

        Raises `Forbidden` for the token of an end user, and `Conflict` if the market is settled or closed for good.
        """
        caller.require_platform()

        def attempt() -> Market:
            market = self.get(caller, market_id)
            if isinstance(market, MarketWithResults):
                raise Conflict("market_settled", "The market has results: its state does not change any more.")
            changed = market.change(action, by=caller.subject, now=self.clock())
            if changed is not market:
                self.store.put_market(changed)
            return changed

        return retry_on_conflict(attempt, TRIES)
