"""Waves of price changes over many portfolios: which portfolios are checked, and the invariants afterwards."""

import random
from decimal import Decimal
from typing import Any

import pytest

from tests.support.invariants import count_by_reason
from tests.support.many_portfolios import (
    POLICIES,
    ManyPortfolios,
    WaveCounts,
    invested,
    many_portfolios,
    market_of,
    moved,
)
from tests.support.system import System


def run(
    market: ManyPortfolios, sizes: list[int], chance: random.Random, spread: float = 0.15
) -> list[tuple[WaveCounts, Any]]:
    """Run waves of these sizes; verify every portfolio after each wave."""
    found = []
    for size in sizes:
        before = [market.portfolio(number) for number in range(len(market.portfolios))]
        wave = market.wave(moved(market.prices, size, chance, spread))
        assert wave.evaluated <= wave.crossed <= wave.checks_per_holder
        found.append((wave, count_by_reason(market, before, wave.orders)))
    return found


def printed(title: str, waves: list[tuple[WaveCounts, Any]]) -> str:
    """Return the counts as a table."""
    head = "changes  every holder: once a change / once  crossed  evaluated  rebalanced  orders  watched again  stand"
    rows = [
        f"{counts.changes:7}  {counts.checks_per_change:28} / {counts.checks_per_holder:4}  "
        f"{counts.crossed:7}  {counts.evaluated:9}  "
        f"{counts.rebalanced:10}  {counts.orders:6}  {counts.rewatched:13}  "
        + ", ".join(f"{amount} {rule}" for rule, amount in sorted(stands.items()))
        for counts, stands in waves
    ]
    return "\n".join(["", title, head, *rows, ""])


def show(capsys: pytest.CaptureFixture[str], title: str, waves: list[tuple[WaveCounts, Any]]) -> None:
    """Print the counts without pytest's capture."""
    with capsys.disabled():
        print(printed(title, waves))  # noqa: T201


@pytest.mark.volume
def test_waves_over_a_hundred_portfolios_check_only_the_crossed_portfolios(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(11)  # noqa: S311 - a walk, no secret
    with many_portfolios(system, market_of(200, chance)) as market:
        invested(market, 100, 50, chance)
        waves = run(market, [10, 20, 100], chance, spread=0.08)
    show(capsys, "100 portfolios x 50 of 200 symbols", waves)
    assert sum(wave.rebalanced for wave, _ in waves) > 0


@pytest.mark.assurance("Price watches: waves of quotes over 100 portfolios")
@pytest.mark.proof
def test_many_waves_over_a_hundred_portfolios(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(12)  # noqa: S311
    with many_portfolios(system, market_of(200, chance)) as market:
        invested(market, 100, 50, chance)
        waves = run(market, [10, 20, 100] * 4, chance)
    show(capsys, "100 portfolios x 50 of 200 symbols", waves)


@pytest.mark.parametrize("scale", ["0.01", "100"])
def test_prices_of_any_size_keep_every_invariant(system: System, scale: str) -> None:
    chance = random.Random(13)  # noqa: S311
    with many_portfolios(system, market_of(16, chance, Decimal(scale))) as market:
        invested(market, len(POLICIES), 8, chance)
        run(market, [4, 16], chance)


@pytest.mark.parametrize("factor", ["0.01", "100"])
def test_a_market_whose_prices_all_move_by_one_factor_keeps_every_invariant(system: System, factor: str) -> None:
    chance = random.Random(14)  # noqa: S311
    with many_portfolios(system, market_of(16, chance)) as market:
        invested(market, len(POLICIES), 8, chance)
        before = [market.portfolio(number) for number in range(len(POLICIES))]
        wave = market.wave({symbol: price * Decimal(factor) for symbol, price in market.prices.items()})
        assert wave.evaluated == wave.crossed == len(POLICIES)
        count_by_reason(market, before, wave.orders)
