"""Years of a real market, day after day: the closes of twenty stocks of the S&P 500 through the real functions.

`make proof` installs the closes, from the data sets of the package skfolio.
"""

import csv
import gzip
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from tests.support.crowd import POLICIES, Crowd, Wave, crowd, invested
from tests.support.invariants import stands_after
from tests.support.world import World
from trimtab.portfolios.domain.planning import plan_orders
from trimtab.portfolios.domain.policy import Band, BandType, Mode, Policy
from trimtab.portfolios.domain.portfolio import Portfolio
from trimtab.portfolios.domain.valuation import value

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


class Simulated:
    """The same portfolio without watches, queues, broker or journal: weighed every day, and traded at once when it is
    out. Only the planner is the system's own."""

    def __init__(self, it: Portfolio) -> None:
        self.of = it
        self.quantities = {symbol: holding.quantity for symbol, holding in it.holdings.items()}
        self.cash = it.cash or Decimal(0)
        self.rebalances = 0

    def live(self, prices: dict[str, Decimal]) -> None:
        """A day."""
        worth = {symbol: held * prices[symbol] for symbol, held in self.quantities.items()}
        total = sum(worth.values()) + self.cash
        farthest = max(abs(100 * each / total - self.of.allocation[symbol]) for symbol, each in worth.items())
        band = self.of.policy.price_band.value
        if farthest <= band and 100 * self.cash / total <= max(band, self.of.policy.cash_buffer + 1):
            return
        plan = plan_orders(value(self.quantities, prices, self.cash), self.of.allocation, self.of.policy, Mode.FULL)
        for order in plan.orders:
            sign = 1 if order.side == "BUY" else -1
            self.quantities[order.symbol] += sign * order.quantity
            self.cash -= sign * (order.quantity * order.price).quantize(Decimal("0.01"), ROUND_HALF_UP)
        self.rebalances += bool(plan.orders)


@pytest.mark.proof
@pytest.mark.parametrize("points", ["5", "1"])
def test_ten_years_of_twenty_stocks_are_traded_as_a_daily_simulation_trades_them(
    system: World, capsys: pytest.CaptureFixture[str], points: str
) -> None:
    (start, prices), *rest = days(2010, 2019)
    with crowd(system, prices, start) as market:
        policy = Policy(Band(BandType.ABSOLUTE, Decimal(points)))
        it = market.join(dict.fromkeys(prices, 1), policy, Decimal(1_000_000), Decimal(5_000))
        market.settle()
        simulated, rebalanced = Simulated(it), 0
        for at, closes in rest:
            market.now = at
            rebalanced += market.wave(closes).rebalanced
            simulated.live(closes)
            held = market.portfolio()
            assert {symbol: each.quantity for symbol, each in held.holdings.items()} == simulated.quantities, at
            assert held.cash == simulated.cash, at
    with capsys.disabled():
        print(f"\n{len(rest)} days, {points} points: {rebalanced} rebalances, as simulated")  # noqa: T201
    assert len(prices) == 20
    assert rebalanced == simulated.rebalances > 0
