"""The worst case of open orders against brute force, and the limit on the exposure of a user."""

import random
from decimal import Decimal
from itertools import combinations

import pytest
from msgspec.structs import replace

from tests.unit.betting.test_betting_rules import LOST, NOW, WON, no_orders, settle
from trimtab.betting.domain.exposure_limits import ExposureLimit, LimitedExposure
from trimtab.betting.domain.orders import BetOrder, NewOrder
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import BetSide, compute_profit
from trimtab.betting.domain.totals import OrderTotals
from trimtab.kernel.errors import Unprocessable

D = Decimal
RUNNERS = "abcde"


def random_book(seed: int) -> tuple[list[BetOrder], int | None]:
    """Return up to 12 open orders on five selections, and the number of winners of the market."""
    draw = random.Random(seed)  # noqa: S311 - reproducible books
    orders = []
    for number in range(draw.randint(1, 12)):
        stake, odds = D(draw.randint(1, 100_000)) / 100, D(draw.randint(1001, 20_000)) / 1000
        side, runner = draw.choice(list(BetSide)), draw.choice(RUNNERS)
        orders.append(NewOrder("u", "m", runner, side, stake, odds).place("demo", f"o{number}", None, NOW))
    return orders, draw.choice([None, 1, 2, 3])


def largest_loss(orders: list[BetOrder], number_of_winners: int | None) -> Decimal:
    """Return the largest loss over all sets of winners; a winner can be a selection without orders."""
    most = len(RUNNERS) if number_of_winners is None else number_of_winners
    results = [set(winners) for size in range(most + 1) for winners in combinations(RUNNERS, size)]
    return max(
        D(0),
        *(
            -sum(
                (
                    compute_profit(each.side, each.stake, each.odds, WON if each.selection_id in winners else LOST)
                    for each in orders
                ),
                D(0),
            )
            for winners in results
        ),
    )


def check_books(seeds: range) -> None:
    """Compare the stored worst case with brute force, after each order of each book and after a cancellation."""
    for seed in seeds:
        orders, number_of_winners = random_book(seed)
        position = replace(no_orders(), number_of_winners=number_of_winners)
        for count, order in enumerate(orders, 1):
            position = position.apply([(None, order)], NOW)
            assert position.totals.open_worst_case == largest_loss(orders[:count], number_of_winners), seed
        position = position.apply([(orders[0], orders[0].cancel(NOW))], NOW)
        assert position.totals.open_worst_case == largest_loss(orders[1:], number_of_winners), seed


def test_the_worst_case_of_random_books_is_that_of_brute_force() -> None:
    check_books(range(100))


@pytest.mark.proof
@pytest.mark.assurance("Worst case of 10,000 random books, compared with brute force")
@pytest.mark.parametrize("start", range(0, 10_000, 1_000))
def test_the_worst_case_of_10_000_random_books_is_that_of_brute_force(start: int) -> None:
    check_books(range(start, start + 1_000))


def placed(position: BettingPosition, *bets: tuple[BetSide, str, str, str]) -> BettingPosition:
    """Return the position with an open order for each side, stake, odds and selection."""
    for side, stake, odds, selection in bets:
        order = NewOrder("u", "m", selection, side, D(stake), D(odds)).place("demo", f"o{stake}", None, NOW)
        position = position.apply([(None, order)], NOW)
    return position


def test_the_cash_out_of_an_order_leaves_no_worst_case() -> None:
    position = placed(no_orders(), (BetSide.BACK, "600000", "2.00", "home"))
    assert position.totals.open_worst_case == 600_000
    hedge = position.get_exposure("home").compute_hedge(D("2.00"))
    assert hedge is not None
    position = placed(position, (hedge.side, str(hedge.stake), str(hedge.odds), "home"))
    assert (position.totals.open_exposure, position.totals.open_worst_case) == (D(1_200_000), D(0))


def test_lays_of_several_selections_are_netted_where_the_number_of_winners_is_known() -> None:
    """A LAY of 100 at 3.00 loses 200 if the selection wins; the other two LAYs then earn 100 each."""
    lays = [(BetSide.LAY, "100", "3.00", selection) for selection in ("home", "draw", "away")]
    assert placed(replace(no_orders(), number_of_winners=1), *lays).totals.open_worst_case == 0
    assert placed(replace(no_orders(), number_of_winners=2), *lays).totals.open_worst_case == 300
    assert placed(no_orders(), *lays).totals.open_worst_case == 600  # all three can win


def test_the_settlement_of_one_order_of_a_hedge_leaves_the_worst_case_of_the_other() -> None:
    back = NewOrder("u", "m", "home", BetSide.BACK, D(100), D(2)).place("demo", "o1", None, NOW)
    lay = NewOrder("u", "m", "home", BetSide.LAY, D(100), D(2)).place("demo", "o2", None, NOW)
    position = no_orders().apply([(None, back), (None, lay)], NOW)
    assert position.totals.open_worst_case == 0
    position = position.apply([(back, settle(back, LOST))], NOW)
    assert position.totals.open_worst_case == 100
    assert position.apply([(lay, settle(lay, LOST))], NOW).totals.open_worst_case == 0


def test_a_position_of_an_earlier_release_counts_with_its_next_order() -> None:
    position = placed(no_orders(), (BetSide.BACK, "70", "2.00", "home"))
    earlier = replace(position, totals=replace(position.totals, open_worst_case=D(0)))
    later = placed(earlier, (BetSide.BACK, "5", "2.00", "home"))
    assert later.totals.minus(earlier.totals).open_worst_case == 75


def raised(limited: LimitedExposure, amount: str) -> OrderTotals:
    """Return a change of the totals that raises the limited exposure by the amount."""
    match limited:
        case LimitedExposure.GROSS:
            return OrderTotals(open_exposure=D(amount))
        case LimitedExposure.WORST_CASE:
            return OrderTotals(open_worst_case=D(amount))


@pytest.mark.parametrize("limited", LimitedExposure)
def test_the_limit_asks_for_room_only_where_the_exposure_rises(limited: LimitedExposure) -> None:
    limit = ExposureLimit(limited, D(100))
    assert limit.find_room(raised(limited, "0.01")) == D("99.99")
    assert limit.find_room(raised(limited, "100")) == 0
    assert limit.find_room(OrderTotals()) is None
    assert limit.find_room(raised(limited, "-500")) is None
    with pytest.raises(Unprocessable, match="above 100") as refusal:
        limit.find_room(raised(limited, "100.01"))
    assert refusal.value.type == "exposure_limit"
