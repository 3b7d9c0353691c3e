"""Insights from providers: the newest of each selection is kept."""

from msgspec import Struct

from trimtab.betting.domain.insights import Insight
from trimtab.betting.service.ports import InsightStore
from trimtab.kernel.clock import Clock


class Insights(Struct, frozen=True):
    """What providers think of selections."""

    store: InsightStore
    clock: Clock

    def keep(self, tenant_id: str, insight: Insight) -> bool:
        """Whether it is the newest now; one that lies more than 5 minutes ahead never is, nor is a repeat."""
        return not insight.is_ahead(self.clock()) and self.store.advance(tenant_id, insight)
