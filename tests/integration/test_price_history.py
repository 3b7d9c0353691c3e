"""Years of a real market, day after day: the closes of twenty stocks of the S&P 500 through the real functions.

`make proof` installs the closes, from the data sets of the package skfolio.
"""

import csv
import gzip
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.crowd import POLICIES, Crowd, Wave, crowd, invested
from tests.support.invariants import stands_after
from tests.support.world import World

CLOSES = Path(__file__).parents[2] / ".local/proof/skfolio/datasets/data/sp500_dataset.csv.gz"
STOCKS_EACH = 12
Day = tuple[datetime, dict[str, Decimal]]


def days(first: int, last: int) -> Iterator[Day]:
    """The closes of each trading day in these years: when the exchange closed, in winter, and the price by symbol."""
    assert CLOSES.exists(), "the price history is not there: `make proof` installs it"
    with gzip.open(CLOSES, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            at = datetime.fromisoformat(row.pop("Date")).replace(hour=21, tzinfo=UTC)
            if first <= at.year <= last:
                yield at, {symbol: Decimal(price) for symbol, price in row.items()}


def replayed(market: Crowd, closes: list[Day]) -> Iterator[tuple[Wave, dict[str, int]]]:
    """What each day came to; after each one every portfolio is looked at."""
    for at, prices in closes:
        before = [market.portfolio(number) for number in range(len(market.portfolios))]
        market.now = at
        wave = market.wave(prices)
        assert wave.evaluated <= wave.crossed <= wave.one_a_holder, at
        yield wave, stands_after(market, before, wave.orders)


@pytest.mark.proof
@pytest.mark.parametrize(("first", "last"), [(2008, 2008), (2018, 2022)])
def test_the_closes_of_years_keep_every_portfolio_in_its_band_or_say_why(
    system: World, capsys: pytest.CaptureFixture[str], first: int, last: int
) -> None:
    (start, prices), *rest = days(first, last)
    waves, stands = [], Counter[str]()
    with crowd(system, prices, start) as market:
        invested(market, len(POLICIES), STOCKS_EACH, random.Random(first))  # noqa: S311 - a choice, no secret
        for wave, stood in replayed(market, rest):
            waves.append(wave)
            stands.update(stood)
        costs = {name: sum(getattr(wave, name) for wave in waves) for name in FIGURES}
    with capsys.disabled():
        print(f"\n{first} to {last}: {len(waves)} days, {costs}, {dict(stands)}")  # noqa: T201
    assert costs["rebalanced"] > len(POLICIES)
    assert costs["evaluated"] < costs["one_a_holder"] < costs["one_a_change"]


FIGURES = ("changes", "one_a_change", "one_a_holder", "crossed", "evaluated", "rewatched", "rebalanced", "orders")
