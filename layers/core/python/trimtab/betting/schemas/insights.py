"""The answer to an insight."""

from trimtab.betting.domain.insights import Insight
from trimtab.betting.schemas.views import Answer, InsightView, insight_view
from trimtab.contracts.fields import Model


class StoredInsightView(Model):
    """An insight that was received."""

    market_id: str
    selection_id: str
    insight: InsightView
    """The estimates as received, with the time that counts."""
    is_newest: bool
    """True where the insight was stored; false where one of the same time or a later one is stored. Example: `true`"""


def stored_insight_view(insight: Insight, *, is_newest: bool) -> Answer:
    """Return a `StoredInsightView`."""
    ids = {"market_id": insight.market_id, "selection_id": insight.selection_id}
    return {**ids, "insight": insight_view(insight), "is_newest": is_newest}
