"""Insights from providers: the newest insight of each selection is stored."""

from msgspec import Struct

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.insights import Insight
from trimtab.kernel.clock import Clock


class Insights(Struct, frozen=True):
    """The insights of providers."""

    store: BettingStore
    clock: Clock

    def store_newest(self, tenant_id: str, insight: Insight) -> bool:
        """Store the insight if newer than the stored one, and return whether it was stored.

        A repeated insight and an insight from more than 5 minutes in the future are not stored.
        """
        return not insight.is_ahead(self.clock()) and self.store.put_insight(tenant_id, insight)
