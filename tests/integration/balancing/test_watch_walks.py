"""No drift out of a band is missed on random walks of prices, whoever is at work at once."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.support.many_portfolios import crowd
from tests.support.races import Act, Races, racing
from tests.support.seeded_watch_bugs import SEEDED_BUGS
from tests.support.system import in_process_system
from trimtab.portfolios.portfolio.policy import Band, BandType, Policy

SYMBOLS = ("A", "B", "C")
Anew = Callable[[], Races]


@pytest.fixture(scope="module")
def three() -> Iterator[Anew]:
    """A race anew over three portfolios with other policies, which share symbols."""
    with in_process_system() as system, crowd(system, {symbol: Decimal(100) for symbol in SYMBOLS}) as market:
        market.join({"A": 50, "B": 50}, Policy(), Decimal(20_000), Decimal(100))
        market.join(
            {"A": 20, "B": 30, "C": 50}, Policy(Band(BandType.RELATIVE, Decimal(25))), Decimal(9_000), Decimal(40)
        )
        market.join({"B": 60, "C": 40}, Policy(total_drift=Decimal(3)), Decimal(70_000), Decimal(300))
        market.settle()
        with racing(market) as anew:
            yield anew


def somebody(it: Races, chance: random.Random) -> tuple[str, Act]:
    """Somebody who is at work in a walk: the kind, and what it does."""
    kind = chance.choices(["quotes", "message", "stream", "cash", "trade"], [3, 4, 2, 1, 1])[0]
    number = chance.randrange(len(it.market.portfolios))
    if kind == "message" and it.waiting:
        position = chance.randrange(len(it.waiting))
        kind = it.waiting[position][0]
        return kind, it.taken(position, repeated=kind == "checks" and chance.random() < 0.2)
    if kind == "cash":
        return kind, it.move_cash(number, Decimal(chance.choice([-30, 40, 300])))
    if kind == "trade":
        symbol = chance.choice(sorted(it.market.portfolios[number].holdings))
        return kind, it.trade(number, symbol, Decimal(chance.choice(["-0.05", "0.002", "-0.15"])))
    if kind == "stream":
        return kind, it.stream
    steps = {symbol: Decimal(str(round(chance.lognormvariate(0, 0.07), 4))) for symbol in chance.sample(SYMBOLS, 1)}
    it.give(
        {name: (it.quoted[name][1] * by).quantize(Decimal("0.0001")) for name, by in steps.items()}, chance.random()
    )
    return "quotes", it.taken(-1)


def walk(it: Races, chance: random.Random, rounds: int) -> Iterator[str]:
    """What is missed where in each round a few are at work, anybody may go on at any call, and some end in between."""
    for number in range(rounds):
        actors = {f"{place} {kind}": act for place, (kind, act) in enumerate(_drawn(it, chance))}
        for name in actors:
            if chance.random() < 0.08 and "rebalance" not in name:
                it.stage.crashes[name] = chance.randrange(9)
        it.stage.play(actors, chance.choice)
        it.market.now += timedelta(seconds=1)
        if chance.random() < 0.4 or number == rounds - 1:
            it.settle()
            yield from (f"round {number}: {each}" for each in it.missed())
            it.leave_the_band(chance.choice(SYMBOLS), Decimal(chance.choice(["1.01", "0.99"])))
            it.settle()
            yield from (f"round {number}, out: {each}" for each in it.missed())


def _drawn(it: Races, chance: random.Random) -> list[tuple[str, Act]]:
    drawn = [somebody(it, chance) for _ in range(chance.randint(2, 4))]
    streams = [each for each in drawn if each[0] == "stream"]
    return [each for each in drawn if each[0] != "stream"] + streams[:1]  # a shard has one reader


def missed_on_walks(anew: Anew, seeds: range, rounds: int) -> Iterator[str]:
    """What is missed on the walks of these seeds."""
    for seed in seeds:
        found = walk(anew(), random.Random(seed), rounds)  # noqa: S311 - a walk, no secret
        yield from (f"walk {seed}, {each}" for each in found)


@pytest.mark.volume
def test_on_random_walks_with_several_at_work_no_drift_is_missed(three: Anew) -> None:
    assert list(missed_on_walks(three, range(8), 12)) == []


@pytest.mark.proof
@pytest.mark.parametrize("start", range(0, 400, 100))
def test_on_hundreds_of_random_walks_no_drift_is_missed(three: Anew, start: int) -> None:
    assert list(missed_on_walks(three, range(start, start + 100), 20)) == []


@pytest.mark.proof
@pytest.mark.parametrize("mistake", SEEDED_BUGS)
def test_each_known_mistake_is_found_on_walks_too(
    three: Anew, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mistake(monkeypatch)
    assert next(missed_on_walks(three, range(300), 12), None) is not None
