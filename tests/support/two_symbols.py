"""Portfolios of half A and half B in a market of these two symbols."""

from decimal import Decimal
from typing import Any

from tests.support.many_portfolios import ManyPortfolios
from trimtab.portfolios.portfolio.policy import Policy

START = {"A": Decimal(100), "B": Decimal(100)}
"""Price of each symbol at the start of a test."""


def joined(market: ManyPortfolios, policy: Policy | None = None) -> ManyPortfolios:
    """Add a watched portfolio of half A and half B."""
    market.join({"A": 50, "B": 50}, policy or Policy(), Decimal(10_000), Decimal(50))
    market.settle()
    return market


def moved(market: ManyPortfolios, **prices: Any) -> None:
    """Feed a quote of each symbol and settle."""
    market.wave({symbol: Decimal(price) for symbol, price in prices.items()})
