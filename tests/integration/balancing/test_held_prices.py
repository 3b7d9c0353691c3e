"""Held prices and portfolios: a portfolio that needs the symbol says so, trades the rest, and goes on afterwards."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.balancing import Balancing, balanced
from tests.support.moto_state import fast_transactions, waiting
from tests.support.system import System
from tests.support.trading import FEED


@pytest.fixture
def mine(system: System) -> Iterator[Balancing]:
    """A portfolio of 50 AAPL and 50 MSFT at 100 each, whose prices may change by 40 %."""
    with fast_transactions():
        found = balanced(system)
        for symbol in ("AAPL", "MSFT"):
            body = {"name": symbol, "exchange": "CRYPTO", "max_jump_percent": 40}
            assert system.http("PUT", f"/assets/{symbol}", body, authorizer=FEED).status == 200
        yield found


def limits(mine: Balancing) -> Any:
    """Return the limits of the last check."""
    return mine.last_check()["reason"]["details"].get("limits")


def test_an_implausible_price_is_not_traded_and_the_portfolio_says_so(mine: Balancing) -> None:
    mine.move(AAPL=10_000)
    assert (mine.rebalances(), limits(mine)) == ([], {"AAPL": "price_held"})
    mine.quote(AAPL=10_100)
    assert waiting(mine.system.checks_url) == [], "one check an episode"


def test_a_portfolio_goes_on_with_the_next_plausible_price(mine: Balancing) -> None:
    mine.move(AAPL=10_000)
    mine.move(AAPL=101)
    assert (mine.rebalances(), limits(mine)) == ([], None)


def test_a_released_price_is_traded(mine: Balancing) -> None:
    mine.move(AAPL=150)
    assert (mine.rebalances(), limits(mine)) == ([], {"AAPL": "price_held"})
    answer = mine.system.http("POST", "/quotes/AAPL/release", {"price": 150}, authorizer=FEED)
    assert answer.status in (200, 202), answer.text
    mine.system.process_quotes()
    mine.settle()
    assert [(rebalance["status"], rebalance["trigger"]) for rebalance in mine.rebalances()] == [("COMPLETED", "price")]
