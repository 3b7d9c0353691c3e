"""The stated results of a market: dead heats by rule, contradictions, and profits worked by hand."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from trimtab.betting.domain.market_results import StatedResults
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult, compute_payout, compute_profit
from trimtab.kernel.errors import Unprocessable

D = Decimal
HALF = SelectionResult(ResultKind.DEAD_HEAT, Fraction(1, 2))
WON, LOST = SelectionResult(ResultKind.WON), SelectionResult(ResultKind.LOST)


def test_two_winners_of_a_market_of_one_share_the_place_in_a_dead_heat() -> None:
    assert StatedResults(("b", "a"), number_of_winners=1).resolve() == {"a": HALF, "b": HALF}
    third = SelectionResult(ResultKind.DEAD_HEAT, Fraction(1, 3))
    assert StatedResults(("a", "b", "c"), number_of_winners=1).resolve() == dict.fromkeys("abc", third)


def test_winners_within_the_number_of_winners_win_in_full_and_losers_are_left_out() -> None:
    assert StatedResults(("a",)).resolve() == {"a": WON}
    assert StatedResults(("a",), number_of_winners=3).resolve() == {"a": WON}
    assert StatedResults(("a", "b"), number_of_winners=2).resolve() == {"a": WON, "b": WON}
    assert StatedResults(results={"a": WON, "b": LOST}).resolve() == {"a": WON}


def test_a_win_with_a_reduction_shares_a_dead_heat_and_keeps_the_reduction() -> None:
    reduced = SelectionResult(ResultKind.WON, reduction_factor=D(20))
    resolved = StatedResults(("a",), results={"b": reduced}, number_of_winners=1).resolve()
    assert resolved == {"a": HALF, "b": SelectionResult(ResultKind.DEAD_HEAT, Fraction(1, 2), D(20))}


def test_places_are_stated_as_wins_and_dead_heats_that_sum_to_the_number_of_winners() -> None:
    tie_for_second = StatedResults(("a",), results={"b": HALF, "c": HALF}, number_of_winners=2)
    assert tie_for_second.resolve() == {"a": WON, "b": HALF, "c": HALF}


@pytest.mark.parametrize(
    ("stated", "reason", "words"),
    [
        (StatedResults(("a", "b")), "number_of_winners_missing", "1 for a dead heat, in which 1/2 of each stake wins"),
        (StatedResults(results={"a": WON, "b": WON}), "number_of_winners_missing", "or 2 if all of them won in full"),
        (StatedResults(("a", "b", "c"), number_of_winners=2), "too_many_winners", "Give the selections that share"),
        (StatedResults(("a",), results={"b": HALF}, number_of_winners=1), "too_many_winners", "sum to 3/2"),
        (StatedResults(("a",), ("a",)), "both_won_and_void", "a is in winners and in voids"),
        (StatedResults(("a",), results={"a": HALF}), "result_stated_twice", "a is in results and in winners"),
    ],
)
def test_results_that_contradict_each_other_or_are_ambiguous_are_refused(
    stated: StatedResults, reason: str, words: str
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        stated.resolve()
    assert refusal.value.type == reason
    assert words in refusal.value.detail


@pytest.mark.parametrize(
    ("kind", "factor", "reduction", "back", "lay"),
    [
        ("won", None, 0, "25.00", "-25.00"),
        ("won", None, 20, "20.00", "-20.00"),  # 80 % of 25
        ("won", None, "33.3333", "16.67", "-16.67"),  # 66.6667 % of 25 = 16.666675
        ("half_won", None, 20, "10.00", "-10.00"),
        ("dead_heat", Fraction(1, 2), 0, "7.50", "-7.50"),  # 12.50 won, 5 lost
        ("dead_heat", Fraction(1, 2), 20, "5.00", "-5.00"),  # 10 won, 5 lost: the loss is not reduced
        ("dead_heat", Fraction(1, 3), 0, "1.67", "-1.67"),  # 8.333… won, 6.666… lost
    ],
)
def test_profits_with_factors_are_those_worked_by_hand(
    kind: str, factor: Fraction | None, reduction: Any, back: str, lay: str
) -> None:
    """An order of 10.00 at 3.50."""
    result = SelectionResult(ResultKind(kind), factor, D(reduction))
    assert compute_profit(BetSide.BACK, D(10), D("3.50"), result) == D(back)
    assert compute_profit(BetSide.LAY, D(10), D("3.50"), result) == D(lay)
    assert compute_payout(BetSide.LAY, D(10), D("3.50"), result) == 25 + D(lay)


@pytest.mark.parametrize(
    ("kind", "percent"), [("lost", 20), ("void", 20), ("half_lost", 20), ("won", 100), ("won", -1)]
)
def test_a_reduction_needs_winnings_and_lies_from_0_to_below_100(kind: str, percent: int) -> None:
    with pytest.raises(Unprocessable) as refusal:
        SelectionResult(ResultKind(kind), reduction_factor=D(percent))
    assert refusal.value.type == "reduction_factor"
