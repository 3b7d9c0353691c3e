"""Insights: a provider's estimates about a selection. The newest insight of each selection is kept."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from msgspec import Struct

from trimtab.betting.domain.keys import INSIGHT, insight_key
from trimtab.betting.domain.results import BetSide
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import plain

MAX_CLOCK_LEAD = timedelta(minutes=5)


class Insight(Struct, frozen=True):
    """A provider's estimates about one selection at `as_of`.

    `implied_probability` lies between 0 and 1. `expected_value` is the expected profit of a BACK per unit of stake; a
    LAY has the opposite expected value.
    """

    market_id: str
    selection_id: str
    implied_probability: Decimal
    expected_value: Decimal
    momentum: Decimal
    as_of: datetime

    def is_ahead(self, now: datetime) -> bool:
        """Return whether `as_of` is more than 5 minutes in the future, beyond any tolerable clock difference."""
        return self.as_of > now + MAX_CLOCK_LEAD

    def to_attributes(self) -> dict[str, Any]:
        """Return the stored attributes, without market and selection: both are in the key of the item."""
        attributes = to_attributes(self)
        return {name: value for name, value in attributes.items() if name not in {"market_id", "selection_id"}}

    def to_item(self, tenant_id: str) -> dict[str, Any]:
        """Return the item of the newest insight on the selection."""
        return {**insight_key(tenant_id, self.market_id, self.selection_id), **self.to_attributes(), FORM: 1}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the insight in an item."""
        match form_version(item):
            case 1:
                market_id, selection_id = item["pk"].rpartition("#")[2], item["sk"].removeprefix(INSIGHT)
                return from_attributes({**item, "market_id": market_id, "selection_id": selection_id}, cls)
            case other:
                raise UnknownForm("insight", other)


def require_expected_value(insight: Insight | None, side: BetSide, minimum: Decimal | None) -> None:
    """Raise `Unprocessable` if the insight gives the order an expected value below the minimum of the policy.

    Without an insight or without a minimum every order is accepted.
    """
    if minimum is None or insight is None:
        return
    value = side.sign * insight.expected_value
    if value < minimum:
        raise Unprocessable(
            "expected_value_too_low",
            f"The expected value of this {side.value} is {plain(value)} per unit of stake; "
            f"at least {plain(minimum)} is required.",
        )
