"""Replay of real daily closes of twenty S&P 500 stocks, over several years, through the real functions.

`make proof` installs the closes from the data sets of the package skfolio.
"""

import csv
import gzip
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.invariants import count_by_reason
from tests.support.many_portfolios import POLICIES, ManyPortfolios, WaveCounts, invested, many_portfolios
from tests.support.reference_rebalancer import ReferenceRebalancer
from tests.support.system import System
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Band, BandType, Policy

CLOSES = Path(__file__).parents[2] / ".local/proof/skfolio/datasets/data/sp500_dataset.csv.gz"
STOCKS_EACH = 12
Day = tuple[datetime, dict[str, Decimal]]


def days(first: int, last: int) -> Iterator[Day]:
    """Yield the trading days of the years `first` to `last`: 21:00 UTC of the day, and the close by symbol."""
    assert CLOSES.exists(), "the price history is not installed: run `make proof`"
    with gzip.open(CLOSES, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            at = datetime.fromisoformat(row.pop("Date")).replace(hour=21, tzinfo=UTC)
            if first <= at.year <= last:
                yield at, {symbol: Decimal(price) for symbol, price in row.items()}


def replayed(market: ManyPortfolios, closes: list[Day]) -> Iterator[tuple[WaveCounts, dict[str, int]]]:
    """Replay the days; yield for each day its counts and the portfolios by state (`count_by_reason`)."""
    for at, prices in closes:
        before = [market.portfolio(number) for number in range(len(market.portfolios))]
        market.now = at
        wave = market.wave(prices)
        assert wave.evaluated <= wave.crossed <= wave.checks_per_holder, at
        yield wave, count_by_reason(market, before, wave.orders)


@pytest.mark.assurance("Years of real closing prices")
@pytest.mark.proof
@pytest.mark.parametrize(("first", "last"), [(2008, 2008), (2018, 2022)])
def test_the_closes_of_years_keep_every_portfolio_in_its_band_or_say_why(
    system: System, capsys: pytest.CaptureFixture[str], first: int, last: int
) -> None:
    (start, prices), *rest = days(first, last)
    waves, stands = [], Counter[str]()
    with many_portfolios(system, prices, start) as market:
        invested(market, len(POLICIES), STOCKS_EACH, random.Random(first))  # noqa: S311 - a choice, no secret
        for wave, stood in replayed(market, rest):
            waves.append(wave)
            stands.update(stood)
        costs = {name: sum(getattr(wave, name) for wave in waves) for name in FIGURES}
    with capsys.disabled():
        print(f"\n{first} to {last}: {len(waves)} days, {costs}, {dict(stands)}")  # noqa: T201
    assert costs["rebalanced"] > len(POLICIES)
    assert costs["evaluated"] < costs["checks_per_holder"] < costs["checks_per_change"]


FIGURES = (
    *("changes", "checks_per_change", "checks_per_holder", "crossed"),
    *("evaluated", "rewatched", "rebalanced", "orders"),
)


@pytest.mark.assurance("Ten years of closes, compared with an independent planner")
@pytest.mark.proof
@pytest.mark.parametrize("points", ["5", "1"])
def test_ten_years_of_twenty_stocks_are_traded_as_a_daily_simulation_trades_them(
    system: System, capsys: pytest.CaptureFixture[str], points: str
) -> None:
    """Holdings, cash and weights equal those of an independent planner (`ReferenceRebalancer`) after each day."""
    (start, prices), *rest = days(2010, 2019)
    with many_portfolios(system, prices, start) as market:
        policy = Policy(Band(BandType.ABSOLUTE, Decimal(points)))
        portfolio = market.join(dict.fromkeys(prices, 1), policy, Decimal(1_000_000), Decimal(5_000))
        market.settle()
        simulated, rebalanced = reference_of(portfolio, Fraction(points)), 0
        for at, closes in rest:
            market.now = at
            rebalanced += market.wave(closes).rebalanced
            simulated.live({symbol: Fraction(price) for symbol, price in closes.items()})
            held = market.portfolio()
            assert {symbol: each.quantity for symbol, each in held.holdings.items()} == simulated.held, at
            assert held.cash == simulated.cash, at
    with capsys.disabled():
        print(f"\n{len(rest)} days, {points} points: {rebalanced} rebalances, as simulated")  # noqa: T201
    assert len(prices) == 20
    assert rebalanced == simulated.rebalances > 0


def reference_of(portfolio: Portfolio, band: Fraction) -> ReferenceRebalancer:
    """Return a reference rebalancer with the holdings, cash and targets of the portfolio; `band` in points."""
    held = {symbol: Fraction(holding.quantity) for symbol, holding in portfolio.holdings.items()}
    return ReferenceRebalancer(
        {name: Fraction(weight) for name, weight in portfolio.allocation.items()},
        band,
        held,
        Fraction(portfolio.cash or 0),
    )
