"""Insights: what a provider thinks of a selection. The newest one counts."""

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.betting.domain.results import Side
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import plain

MAX_CLOCK_LEAD = timedelta(minutes=5)


class Insight(Struct, frozen=True):
    """What was thought of a selection at a time.

    `expected_value` is that of a BACK, per unit of stake; a LAY's is the opposite.
    """

    market_id: str
    selection_id: str
    implied_probability: Decimal
    expected_value: Decimal
    momentum: Decimal
    as_of: datetime

    def is_ahead(self, now: datetime) -> bool:
        """Whether its time lies more than 5 minutes ahead: no clock is that wrong."""
        return self.as_of > now + MAX_CLOCK_LEAD


def require_value(insight: Insight | None, side: Side, minimum: Decimal | None) -> None:
    """`Unprocessable` where an insight says that the order is worth less than the policy's minimum.

    Without a policy, or without an insight, nothing is known against the order.
    """
    if minimum is None or insight is None:
        return
    value = side.sign * insight.expected_value
    if value < minimum:
        detail = f"The expected value of this {side.value} is {plain(value)}; at least {plain(minimum)} is asked for."
        raise Unprocessable("expected_value_too_low", detail)
