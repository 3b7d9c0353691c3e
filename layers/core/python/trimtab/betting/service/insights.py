"""Insights from providers: the newest insight of each selection is stored."""

from msgspec import Struct

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.insights import Insight
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Unprocessable


class Insights(Struct, frozen=True):
    """The insights of providers."""

    store: BettingStore
    clock: Clock

    def store_newest(self, tenant_id: str, insight: Insight) -> bool:
        """Store the insight if newer than the stored one, and return whether it was stored.

        A repeated insight and an insight from more than 5 minutes in the future are not stored.
        """
        return not insight.is_ahead(self.clock()) and self.store.put_insight(tenant_id, insight)

    def receive(self, caller: Caller, insight: Insight) -> bool:
        """Store the insight of a platform's request if newer than the stored one, and return whether it was stored.

        Raises `Forbidden` for the token of an end user, and `Unprocessable` (`as_of_in_future`).
        """
        caller.require_platform()
        if insight.is_ahead(self.clock()):
            raise Unprocessable("as_of_in_future", "as_of is more than 5 minutes in the future.")
        return self.store_newest(caller.tenant_id, insight)
