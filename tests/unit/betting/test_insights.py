"""Insights: orders below the minimum expected value are refused."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from trimtab.betting.domain.insights import Insight, require_expected_value
from trimtab.betting.domain.results import BetSide
from trimtab.kernel.errors import Unprocessable

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("side", "value", "is_accepted"),
    [("BACK", "0.05", True), ("BACK", "0.04", False), ("LAY", "0.05", False), ("LAY", "-0.05", True)],
)
def test_an_order_needs_the_minimum_expected_value_of_the_policy(side: str, value: str, is_accepted: bool) -> None:
    insight = Insight("m", "s", Decimal("0.5"), Decimal(value), Decimal(0), NOW)
    require_expected_value(insight, BetSide(side), None)
    require_expected_value(None, BetSide(side), Decimal("0.05"))
    if is_accepted:
        require_expected_value(insight, BetSide(side), Decimal("0.05"))
    else:
        with pytest.raises(Unprocessable):
            require_expected_value(insight, BetSide(side), Decimal("0.05"))
