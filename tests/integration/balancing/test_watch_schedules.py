"""No price move is missed in any order of trades, quotes, evaluations after changes, and checks of crossed watches.

A schedule runs whole messages one after the other, in every order in which AWS may deliver them and with seconds
between them. When everything has settled, brute force decides: a portfolio out of its band, with a quote newer than
its newest change, must have been rebalanced, or the reason against a rebalance must be recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.races import Actor, Race, races
from tests.support.seeded_watch_bugs import takes_every_quote_for_seen
from tests.support.system import in_process_system
from trimtab.portfolios.portfolio.policy import Policy

StartRace = Callable[[], Race]
Plan = Callable[[Race], list[list[Actor]]]
"""Actions by kind: those of one kind take place in their order, and the kinds mix in every order."""
SECONDS_BETWEEN_STEPS = 3
Step = tuple[str, int]
"""`action` of a kind, `stream` for its records, `message` or `repeat` for the waiting message at a position.

A repeated message stays on the queue and is delivered again.
"""


@contextmanager
def market_of_two_assets() -> Iterator[ManyPortfolios]:
    """Yield a market of two assets at a price of 100 each, without portfolios."""
    prices = {"A": Decimal(100), "B": Decimal(100)}
    with in_process_system() as system, many_portfolios(system, prices) as market:
        yield market


@pytest.fixture
def watched() -> Iterator[StartRace]:
    """Races over one portfolio within its band and watched."""
    with market_of_two_assets() as market:
        join(market)
        market.settle()
        with races(market) as start_race:
            yield start_race


@pytest.fixture
def new() -> Iterator[StartRace]:
    """Races over one portfolio created just now and not evaluated yet."""
    with market_of_two_assets() as market, races(market) as start_race:
        yield lambda: with_new_portfolio(start_race())


def join(market: ManyPortfolios) -> None:
    """Add a portfolio at its target."""
    market.join({"A": 50, "B": 50}, Policy(), Decimal(20_000), Decimal(200))


def with_new_portfolio(race: Race) -> Race:
    """Return the race with a portfolio whose creation has not left the stream."""
    race.market.portfolios.clear()
    join(race.market)
    return race


def quote(race: Race, **prices: str) -> Actor:
    """Return an action that puts a quote on the queue."""
    return lambda: race.feed({symbol: Decimal(price) for symbol, price in prices.items()}, 0)


def trade(race: Race, symbol: str, share: str) -> Actor:
    """Return an action that trades a share of a holding."""
    return lambda: race.trade(0, symbol, Decimal(share))()  # noqa: PLW0108 - the holding is read when the step comes


def deposit(race: Race, amount: str) -> Actor:
    """Return an action that records a deposit."""
    return race.move_cash(0, Decimal(amount))


PLANS: dict[str, Plan] = {
    "a price": lambda race: [[quote(race, A="140")]],
    "a trade in the band, a price": lambda race: [[trade(race, "A", "-0.05")], [quote(race, A="140")]],
    "a trade out of the band, an equal price": lambda race: [[trade(race, "A", "-0.4")], [quote(race, A="100")]],
    "a deposit, a price within the old bounds": lambda race: [[deposit(race, "1500")], [quote(race, B="112")]],
}


def two_trades_and_a_price(race: Race) -> list[list[Actor]]:
    """Return the actions of a plan with thousands of schedules."""
    return [[trade(race, "A", "-0.2"), trade(race, "B", "-0.1")], [quote(race, A="125")]]


def next_steps(race: Race, actions: Sequence[Sequence[Actor]], *, may_repeat: bool) -> list[Step]:
    """Return the steps that may come next; `may_repeat`: a check may be delivered twice."""
    steps = [("action", kind) for kind, rest in enumerate(actions) if rest]
    if race.has_marked_records():
        steps.append(("stream", 0))
    positions = {message: race.waiting.index(message) for message in race.waiting}
    repeats = [("repeat", at) for (queue, _), at in positions.items() if may_repeat and queue == "checks"]
    return [*steps, *(("message", at) for at in positions.values()), *repeats]


def run_schedule(race: Race, plan: Plan, choices: Sequence[int], repeats: int) -> tuple[list[int], list[Step]]:
    """Run the schedule that begins with these choices and then always takes the first step.

    `repeats` is the largest number of checks that are delivered twice. Return the number of possible steps at each
    choice, and the steps.
    """
    actions, widths, taken = plan(race), list[int](), list[Step]()
    while steps := next_steps(race, actions, may_repeat=sum(kind == "repeat" for kind, _ in taken) < repeats):
        step = steps[choices[len(taken)] if len(taken) < len(choices) else 0]
        widths.append(len(steps))
        taken.append(step)
        match step:
            case ("action", kind):
                actions[kind].pop(0)()
            case ("message" | "repeat" as kind, position):
                race.delivery(position, repeated=kind == "repeat")()
            case _:
                race.stream()
        race.market.now += timedelta(seconds=SECONDS_BETWEEN_STEPS)
    return widths, taken


def missed_in_every_order(start_race: StartRace, plan: Plan, *, repeats: int = 0) -> Iterator[str]:
    """Yield the drifts missed in the schedules of a plan, and after a later quote."""
    choices: list[int] = []
    while True:
        race = start_race()
        widths, steps = run_schedule(race, plan, choices, repeats)
        race.settle()
        yield from (f"{steps}: {each}" for each in race.missed())
        race.leave_the_band("B", Decimal("1.01"))
        race.settle()
        yield from (f"{steps}, later: {each}" for each in race.missed())
        choices += [0] * (len(widths) - len(choices))
        while choices and choices[-1] + 1 == widths[len(choices) - 1]:
            choices.pop()
        if not choices:
            return
        choices[-1] += 1


@pytest.mark.volume
@pytest.mark.parametrize("plan", PLANS)
def test_no_order_and_no_delay_of_messages_misses_a_price_move(watched: StartRace, plan: str) -> None:
    assert list(missed_in_every_order(watched, PLANS[plan])) == []


@pytest.mark.assurance("Price watches: a check delivered twice, in any order of the steps")
@pytest.mark.proof
@pytest.mark.parametrize("plan", PLANS)
def test_no_order_with_a_check_delivered_twice_misses_a_price_move(watched: StartRace, plan: str) -> None:
    assert list(missed_in_every_order(watched, PLANS[plan], repeats=1)) == []


@pytest.mark.assurance("Price watches: creation, changes and quotes in any order")
@pytest.mark.proof
@pytest.mark.parametrize("plan", PLANS)
def test_no_order_of_creation_changes_and_quotes_misses_a_price_move(new: StartRace, plan: str) -> None:
    assert list(missed_in_every_order(new, PLANS[plan])) == []


@pytest.mark.assurance("Price watches: two trades and a quote in any order")
@pytest.mark.proof
def test_no_order_of_two_trades_and_a_quote_misses_a_price_move(watched: StartRace) -> None:
    assert list(missed_in_every_order(watched, two_trades_and_a_price)) == []


@pytest.mark.volume
def test_an_evaluator_that_takes_every_quote_for_seen_is_found(
    watched: StartRace, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_every_quote_for_seen(monkeypatch)
    found = (missed for plan in PLANS.values() for missed in missed_in_every_order(watched, plan))
    assert next(found, None) is not None
