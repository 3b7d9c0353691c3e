"""No drift out of a band is missed, whoever is at work at once: held against brute force over every portfolio.

A race sets two or more of quote workers, evaluators, changes of holdings and the stream's consumer against each other,
and switches between them before any call that leaves them. When everything has settled, whoever is out of the band at
the newest prices must have been looked at with those prices.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import pytest

from tests.support.many_portfolios import crowd
from tests.support.races import Act, Races, racing, two_switches
from tests.support.seeded_watch_bugs import SEEDED_BUGS
from tests.support.system import in_process_system
from trimtab.portfolios.portfolio.policy import Policy

SYMBOLS = ("A", "B", "C")
START = {symbol: Decimal(100) for symbol in SYMBOLS}
Anew = Callable[[], Races]


@pytest.fixture(scope="module")
def one() -> Iterator[Anew]:
    """A race anew over one portfolio."""
    with in_process_system() as system, crowd(system, START) as market:
        market.join({"A": 40, "B": 30, "C": 30}, Policy(), Decimal(30_000), Decimal(100))
        market.settle()
        with racing(market) as anew:
            yield anew


# Two at once, switched between at each call ------------------------------------------------------------------------


def crossing(it: Races, **prices: str) -> Act:
    """An evaluator whose message says that a quote has crossed a watch."""
    it.give({symbol: Decimal(price) for symbol, price in prices.items()})
    it.taken()()
    return it.taken()


def changing(it: Races) -> Act:
    """An evaluator whose message says that holdings have changed."""
    it.trade(0, "A", Decimal("-0.1"))()
    it.stream()
    return it.taken()


def quoting(it: Races, seconds: float = 2, **prices: str) -> Act:
    """A worker of quotes."""
    it.give({symbol: Decimal(price) for symbol, price in prices.items()}, seconds)
    return it.taken()


def both_evaluators(it: Races) -> list[Act]:
    """One of a quote and one of a trade."""
    return [crossing(it, A="113"), changing(it)]


def repeated_evaluator(it: Races) -> list[Act]:
    """One message that is delivered twice at once."""
    crossing(it, A="113")
    it.give({"A": Decimal("113")}, 3)
    it.taken()()
    return [it.taken(repeated=True), it.taken()]


OPENINGS: dict[str, Callable[[Races], list[Act]]] = {
    "two evaluators": both_evaluators,
    "one message twice": repeated_evaluator,
    "an evaluator, another symbol's quote": lambda it: [crossing(it, A="113"), quoting(it, B="70")],
    "an evaluator, the same symbol's quote": lambda it: [crossing(it, A="113"), quoting(it, A="150")],
    "an evaluator after a trade, a quote": lambda it: [changing(it), quoting(it, A="111", C="90")],
    "an evaluator, a trade": lambda it: [crossing(it, A="113"), it.trade(0, "B", Decimal("-0.1"))],
    "an evaluator that plans, a quote": lambda it: [crossing(it, A="140"), quoting(it, A="99")],
    "two quotes": lambda it: [quoting(it, A="118"), quoting(it, 1, A="80", B="90")],
    "a quote, a deposit": lambda it: [quoting(it, A="118"), it.move_cash(0, Decimal(400))],
}
MOST_CALLS = 12


def race(it: Races, opening: str, first: str, calls: int, other_calls: int, way_out: tuple[str, str]) -> list[str]:
    """What was missed in a race and by the quote that takes the portfolio out of its band after it."""
    acts = OPENINGS[opening](it)
    steps = it.stage.play(dict(zip("ab", acts, strict=True)), two_switches(first, calls, other_calls))
    it.settle()
    missed = [f"{opening}, {''.join(steps)}: {each}" for each in it.missed()]
    it.leave_the_band(way_out[0], Decimal(way_out[1]))
    it.settle()
    return missed + [f"{opening}, {''.join(steps)}, {way_out}: {each}" for each in it.missed()]


WAYS_OUT = [(symbol, factor) for symbol in SYMBOLS for factor in ("1.01", "0.99")]


def missed_by(anew: Anew, opening: str, pauses: Sequence[tuple[int, int]]) -> Iterator[str]:
    """What was missed in the races of an opening that pause each of the two after so many calls."""
    for number, (calls, other_calls) in enumerate(pauses):
        for first in "ab":
            yield from race(anew(), opening, first, calls, other_calls, WAYS_OUT[(number + ord(first)) % len(WAYS_OUT)])


@pytest.mark.volume
@pytest.mark.parametrize("opening", OPENINGS)
def test_of_two_at_once_one_sees_what_the_other_did(one: Anew, opening: str) -> None:
    assert list(missed_by(one, opening, [(calls, 99) for calls in range(MOST_CALLS)])) == []


@pytest.mark.proof
@pytest.mark.parametrize("opening", OPENINGS)
def test_of_two_at_once_one_sees_what_the_other_did_wherever_both_are_held(one: Anew, opening: str) -> None:
    pauses = [(calls, other_calls) for calls in range(MOST_CALLS) for other_calls in range(MOST_CALLS)]
    assert list(missed_by(one, opening, pauses)) == []


@pytest.mark.volume
@pytest.mark.parametrize("mistake", SEEDED_BUGS)
def test_each_known_mistake_is_found(
    one: Anew, monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mistake(monkeypatch)
    pauses = [(calls, 99) for calls in range(MOST_CALLS)]
    found = (each for opening in OPENINGS for each in missed_by(one, opening, pauses))
    assert next(found, None) is not None
