"""The bands computed by the simulation from holdings and prices."""

from decimal import Decimal
from typing import cast

import pytest

from infra.local.client import Client
from infra.local.portfolio_client import HoldingsView, PortfolioClient
from infra.local.simulate import SimulatedPortfolio
from tests.unit.samples import percents

TARGET = percents(a=50, b=50)


def two_symbols(a: str, b: str) -> tuple[SimulatedPortfolio, HoldingsView]:
    """Return a portfolio of two symbols at a price of 10, each with a tolerance of 2 points; the rest is cash."""
    client = PortfolioClient(cast(Client, None), "p", TARGET)
    view = HoldingsView(percents(a=a, b=b), TARGET, percents(a=10, b=10), ())
    return SimulatedPortfolio(client, percents(a=2, b=2)), view


@pytest.mark.parametrize(
    ("held", "prices", "leaves"),
    [
        (("50", "50"), {"a": "10.80"}, False),  # 51.92 %
        (("50", "50"), {"a": "10.90"}, True),  # 52.15 %
        (("50", "50"), {"a": "20", "b": "20"}, False),
        (("48", "48"), {"a": "9.99"}, True),  # the other 4 % are cash
        (("53", "47"), {"a": "11"}, False),  # out of the band before
        (("53", "47"), {"a": "9"}, False),
        (("50", "50"), {"c": "99"}, False),
    ],
)
def test_prices_move_a_portfolio_out_of_its_band_only_from_inside(
    held: tuple[str, str], prices: dict[str, str], leaves: bool
) -> None:
    portfolio, view = two_symbols(*held)
    assert portfolio.leaves_band(view, {symbol: Decimal(price) for symbol, price in prices.items()}) is leaves


def test_holdings_at_other_prices_keep_quantities_and_cash() -> None:
    _, view = two_symbols("40", "40")
    after = view.at({"a": Decimal(20)})
    weights = {symbol: round(weight, 4) for symbol, weight in after.weights.items()}
    assert weights == percents(a="57.1429", b="28.5714")
    assert after.prices == percents(a=20, b=10)
