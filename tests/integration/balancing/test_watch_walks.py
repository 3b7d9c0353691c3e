"""No drift out of a band is missed on random walks of prices with concurrent actors."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.support.many_portfolios import many_portfolios
from tests.support.races import Actor, Race, races
from tests.support.seeded_watch_bugs import SEEDED_BUGS
from tests.support.system import in_process_system
from trimtab.portfolios.portfolio.policy import Band, BandType, Policy

SYMBOLS = ("A", "B", "C")
StartRace = Callable[[], Race]


@pytest.fixture(scope="module")
def three() -> Iterator[StartRace]:
    """Races over three portfolios with different policies and shared symbols."""
    with in_process_system() as system, many_portfolios(system, {symbol: Decimal(100) for symbol in SYMBOLS}) as market:
        market.join({"A": 50, "B": 50}, Policy(), Decimal(20_000), Decimal(100))
        market.join(
            {"A": 20, "B": 30, "C": 50}, Policy(Band(BandType.RELATIVE, Decimal(25))), Decimal(9_000), Decimal(40)
        )
        market.join({"B": 60, "C": 40}, Policy(total_drift=Decimal(3)), Decimal(70_000), Decimal(300))
        market.settle()
        with races(market) as start_race:
            yield start_race


def random_actor(race: Race, chance: random.Random) -> tuple[str, Actor]:
    """Return a random actor and its kind."""
    kind = chance.choices(["quotes", "message", "stream", "cash", "trade"], [3, 4, 2, 1, 1])[0]
    number = chance.randrange(len(race.market.portfolios))
    if kind == "message" and race.waiting:
        position = chance.randrange(len(race.waiting))
        kind = race.waiting[position][0]
        return kind, race.delivery(position, repeated=kind == "checks" and chance.random() < 0.2)
    if kind == "cash":
        return kind, race.move_cash(number, Decimal(chance.choice([-30, 40, 300])))
    if kind == "trade":
        symbol = chance.choice(sorted(race.market.portfolios[number].holdings))
        return kind, race.trade(number, symbol, Decimal(chance.choice(["-0.05", "0.002", "-0.15"])))
    if kind == "stream":
        return kind, race.stream
    steps = {symbol: Decimal(str(round(chance.lognormvariate(0, 0.07), 4))) for symbol in chance.sample(SYMBOLS, 1)}
    race.feed(
        {name: (race.quoted[name][1] * by).quantize(Decimal("0.0001")) for name, by in steps.items()}, chance.random()
    )
    return "quotes", race.delivery(-1)


def walk(race: Race, chance: random.Random, rounds: int) -> Iterator[str]:
    """Yield the drifts missed in rounds of a few actors that switch at random calls, some of which crash."""
    for number in range(rounds):
        actors = {f"{place} {kind}": act for place, (kind, act) in enumerate(_drawn(race, chance))}
        for name in actors:
            if chance.random() < 0.08 and "rebalance" not in name:
                race.turns.crashes[name] = chance.randrange(9)
        race.turns.play(actors, chance.choice)
        race.market.now += timedelta(seconds=1)
        if chance.random() < 0.4 or number == rounds - 1:
            race.settle()
            yield from (f"round {number}: {each}" for each in race.missed())
            race.leave_the_band(chance.choice(SYMBOLS), Decimal(chance.choice(["1.01", "0.99"])))
            race.settle()
            yield from (f"round {number}, out: {each}" for each in race.missed())


def _drawn(race: Race, chance: random.Random) -> list[tuple[str, Actor]]:
    drawn = [random_actor(race, chance) for _ in range(chance.randint(2, 4))]
    streams = [each for each in drawn if each[0] == "stream"]
    return [each for each in drawn if each[0] != "stream"] + streams[:1]  # a shard has one reader


def missed_on_walks(start_race: StartRace, seeds: range, rounds: int) -> Iterator[str]:
    """Yield the drifts missed on the walks of these seeds."""
    for seed in seeds:
        found = walk(start_race(), random.Random(seed), rounds)  # noqa: S311 - a walk, no secret
        yield from (f"walk {seed}, {each}" for each in found)


@pytest.mark.volume
def test_on_random_walks_with_concurrent_actors_no_drift_is_missed(three: StartRace) -> None:
    assert list(missed_on_walks(three, range(8), 12)) == []


@pytest.mark.assurance("Price watches: random walks with concurrent actors and crashes")
@pytest.mark.proof
@pytest.mark.parametrize("start", range(0, 400, 100))
def test_on_hundreds_of_random_walks_no_drift_is_missed(three: StartRace, start: int) -> None:
    assert list(missed_on_walks(three, range(start, start + 100), 20)) == []


@pytest.mark.assurance("Price watches: seeded bugs are found on random walks")
@pytest.mark.proof
@pytest.mark.parametrize("seed", SEEDED_BUGS)
def test_each_seeded_bug_is_found_on_walks(
    three: StartRace, monkeypatch: pytest.MonkeyPatch, seed: Callable[[pytest.MonkeyPatch], None]
) -> None:
    seed(monkeypatch)
    assert next(missed_on_walks(three, range(300), 12), None) is not None
