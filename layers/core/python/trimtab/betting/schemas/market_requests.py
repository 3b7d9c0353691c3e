"""The request bodies of markets."""

from typing import Annotated

from pydantic import Field, model_validator

from trimtab.betting.domain.market_results import StatedResults
from trimtab.betting.domain.positions import MAX_WINNERS
from trimtab.betting.domain.results import ResultKind, SelectionResult
from trimtab.betting.schemas.requests import Factor, Reason, ReductionFactor
from trimtab.contracts.fields import Identifier, Model, Percent, Whole
from trimtab.kernel.money import ZERO

MAX_SELECTIONS_PER_LIST = 100
Selections = Annotated[list[Identifier], Field(max_length=MAX_SELECTIONS_PER_LIST)]


class StatedResult(Model):
    """The result of one selection."""

    result: ResultKind
    """The result of the selection."""
    factor: Factor | None = None
    """The part of each stake that wins a dead heat: above 0, below 1, as a number or an exact fraction. Required for
    `dead_heat`, not allowed otherwise. Example: `1/2`"""
    reduction_factor: ReductionFactor = ZERO
    """The percentage by which the winnings on the selection are reduced for a non-runner, 0 to below 100, with at most
    4 decimals; for results with winnings only. Default: 0. Example: `20`"""

    def to_domain(self) -> SelectionResult:
        """Return the result; raises `Unprocessable` if factors and result do not go together."""
        return SelectionResult(self.result, self.factor, self.reduction_factor)


Results = Annotated[dict[Identifier, StatedResult], Field(max_length=MAX_SELECTIONS_PER_LIST)]


class SettleMarket(Model):
    """The settlement of a market; at least `winners` or `results`."""

    winners: Selections = Field(default_factory=list)
    """The ids of the winning selections, at most 100; may be empty."""
    voids: Selections = Field(default_factory=list)
    """The ids of the void selections, at most 100: their stakes are returned."""
    results: Results = Field(default_factory=dict)
    """The results of other selections by id, at most 100. All selections in none of `winners`, `voids` and `results`
    have lost."""
    number_of_winners: Annotated[Whole, Field(ge=1, le=MAX_WINNERS)] | None = None
    """The number of selections that win the market, 1 to 20. If several selections won a market of 1, there is a dead
    heat, and each of k winners gets the factor 1/k. Required if several selections won and the deployment has no
    default. Example: `1`"""
    commission_rate: Annotated[Percent, Field(ge=0, le=100)] = ZERO
    """The commission in percent of the net winnings of a user in the market, 0 to 100. Default: 0. Example: `2.5`"""

    @model_validator(mode="after")
    def _require_results(self) -> "SettleMarket":
        if not self.model_fields_set & {"winners", "results"}:
            raise ValueError("Give winners, results or both; winners may be empty.")
        return self

    def to_domain(self, number_of_winners: int | None) -> StatedResults:
        """Return the stated results, with the number of winners of the deployment if the body has none.

        Raises `Unprocessable` if factors and result do not go together.
        """
        return StatedResults(
            winners=tuple(self.winners),
            voids=tuple(self.voids),
            results={selection_id: stated.to_domain() for selection_id, stated in self.results.items()},
            number_of_winners=self.number_of_winners or number_of_winners,
        )


class ResettleMarket(SettleMarket):
    """The corrected results of a settled market, complete; at least `winners` or `results`."""

    commission_rate: Annotated[Percent, Field(ge=0, le=100)] | None = None  # type: ignore[assignment]
    """The commission in percent of the net winnings of a user in the market, 0 to 100. Default: the rate before.
    Example: `2.5`"""
    reason: Reason
    """The reason of the correction, 1 to 500 characters. Example: `The winner was disqualified.`"""
