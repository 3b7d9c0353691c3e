"""The simulation's own reckoning: which portfolios the prices of a wave lead out of their band."""

from decimal import Decimal
from typing import cast

import pytest

from infra.local.account import Account, View
from infra.local.client import Client
from infra.local.simulate import Simulated
from tests.unit.samples import percents

TARGET = percents(a=50, b=50)


def of_two(a: str, b: str) -> tuple[Simulated, View]:
    """A portfolio of two symbols at a price of 10, each allowed 2 points off its half; the rest is cash."""
    account = Account(cast(Client, None), "p", TARGET)
    return Simulated(account, percents(a=2, b=2)), View(percents(a=a, b=b), TARGET, percents(a=10, b=10), ())


@pytest.mark.parametrize(
    ("held", "prices", "leaves"),
    [
        (("50", "50"), {"a": "10.80"}, False),  # 51.92 %
        (("50", "50"), {"a": "10.90"}, True),  # 52.15 %
        (("50", "50"), {"a": "20", "b": "20"}, False),
        (("48", "48"), {"a": "9.99"}, True),  # cash has the other 4
        (("53", "47"), {"a": "11"}, False),  # it was outside before
        (("53", "47"), {"a": "9"}, False),
        (("50", "50"), {"c": "99"}, False),
    ],
)
def test_a_band_is_left_by_prices_and_only_from_inside(
    held: tuple[str, str], prices: dict[str, str], leaves: bool
) -> None:
    it, view = of_two(*held)
    assert it.leaves_band(view, {symbol: Decimal(price) for symbol, price in prices.items()}) is leaves


def test_a_view_at_other_prices_keeps_what_is_held_and_the_cash() -> None:
    _, view = of_two("40", "40")
    after = view.at({"a": Decimal(20)})
    weights = {symbol: round(weight, 4) for symbol, weight in after.weights.items()}
    assert weights == percents(a="57.1429", b="28.5714")
    assert after.prices == percents(a=20, b=10)
