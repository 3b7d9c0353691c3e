"""The results of the selections of a market, as the platform states them and as orders are settled by them."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain.results import ResultKind, SelectionResult
from trimtab.kernel.errors import Unprocessable

WON, VOID = SelectionResult(ResultKind.WON), SelectionResult(ResultKind.VOID)


class StatedResults(Struct, frozen=True):
    """The results of a market as stated: winners, void selections, and single results; all other selections lost.

    `number_of_winners` is the number of selections that win in full unless there is a dead heat; None if not stated.
    """

    winners: tuple[str, ...] = ()
    voids: tuple[str, ...] = ()
    results: Mapping[str, SelectionResult] = {}
    number_of_winners: int | None = None

    def resolve(self) -> dict[str, SelectionResult]:
        """Return the result of each selection that did not lose.

        If several selections won a market of one winner, there is a dead heat: each of k winners gets the factor 1/k.

        Raises `Unprocessable` if a selection is stated twice, if several selections won and the number of winners is
        not stated, or if more selections won than the market has winners, and the market has more than one.
        """
        self._require_disjoint()
        stated = {**dict.fromkeys(self.winners, WON), **dict.fromkeys(self.voids, VOID), **self.results}
        winners = sorted(each for each, result in stated.items() if result.kind is ResultKind.WON)
        self._require_unambiguous(winners)
        if self.number_of_winners == 1 and len(winners) > 1:
            factor = Fraction(1, len(winners))
            for each in winners:
                stated[each] = replace(stated[each], kind=ResultKind.DEAD_HEAT, dead_heat_factor=factor)
        self._require_no_more_than_the_winners(stated.values())
        return {each: result for each, result in stated.items() if result.kind is not ResultKind.LOST}

    def _require_disjoint(self) -> None:
        if both := set(self.winners) & set(self.voids):
            raise Unprocessable(
                "both_won_and_void", f"{min(both)} is in winners and in voids; give the selection once."
            )
        if twice := {*self.winners, *self.voids} & self.results.keys():
            raise Unprocessable(
                "result_stated_twice", f"{min(twice)} is in results and in winners or voids; give the selection once."
            )

    def _require_unambiguous(self, winners: list[str]) -> None:
        if len(winners) <= (self.number_of_winners or 1):
            return
        if self.number_of_winners is None:
            raise Unprocessable(
                "number_of_winners_missing",
                f"{len(winners)} selections won ({', '.join(winners)}). Give number_of_winners: 1 for a dead heat, in "
                f"which 1/{len(winners)} of each stake wins, or {len(winners)} if all of them won in full.",
            )
        if self.number_of_winners > 1:
            raise Unprocessable(
                "too_many_winners",
                f"{len(winners)} selections won a market of {self.number_of_winners} winners. Give the selections that "
                "share a place in results, each as dead_heat with its factor.",
            )

    def _require_no_more_than_the_winners(self, results: Iterable[SelectionResult]) -> None:
        """Raise `Unprocessable` if wins and dead-heat factors sum to more than the stated number of winners."""
        counted = (ResultKind.WON, ResultKind.DEAD_HEAT)
        shares = sum((Fraction(each.parts[0], each.parts[2]) for each in results if each.kind in counted), Fraction())
        if self.number_of_winners is not None and shares > self.number_of_winners:
            raise Unprocessable(
                "too_many_winners",
                f"The wins and dead-heat factors sum to {shares}; the market has {self.number_of_winners} winners.",
            )
