"""The market of two symbols and the balanced portfolio, which several files of tests share."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.balancing import Balancing, balanced
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import fast_transactions, snapshot
from tests.support.system import System, forget_cached, in_process_system
from tests.support.two_symbols import START


@pytest.fixture(scope="module")
def start_market() -> Iterator[Callable[[], ManyPortfolios]]:
    """Yield a function that restores the same market without portfolios."""
    with in_process_system() as system, many_portfolios(system, START) as market:
        now, restore = market.now, snapshot()

        def begin() -> ManyPortfolios:
            restore()
            forget_cached()
            market.now, market.prices, market.portfolios = now, dict(START), []
            return market

        yield begin


@pytest.fixture
def market(start_market: Callable[[], ManyPortfolios]) -> ManyPortfolios:
    """A market of two symbols at 100, without portfolios."""
    return start_market()


@pytest.fixture
def mine(system: System) -> Iterator[Balancing]:
    """A balanced portfolio."""
    with fast_transactions():
        yield balanced(system)
