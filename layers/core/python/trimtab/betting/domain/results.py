"""The result of a selection, and the exposure, profit and payout of a bet on the selection.

Stakes, exposures, profits and payouts are amounts of one currency with 2 places, rounded half up. Odds are decimal
(European) odds: the payout of a winning back bet per unit of stake, stake included.
"""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import assert_never

from msgspec import Struct

from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, to_money


class BetSide(StrEnum):
    """The side of a bet: BACK bets on the selection, LAY (the bookmaker's side) against the selection."""

    BACK = "BACK"
    LAY = "LAY"

    @property
    def sign(self) -> int:
        """1 for BACK, -1 for LAY: a LAY earns what a BACK of the same stake and odds loses."""
        return 1 if self is BetSide.BACK else -1


class ResultKind(StrEnum):
    """The kinds of results of a selection (not of an order: a LAY loses if the selection wins)."""

    WON = "won"
    LOST = "lost"
    VOID = "void"
    HALF_WON = "half_won"
    HALF_LOST = "half_lost"
    DEAD_HEAT = "dead_heat"


class SelectionResult(Struct, frozen=True, omit_defaults=True):
    """The result of a selection.

    A dead heat has a factor, the part of each stake that wins: 1/2 if two selections share one place. The rest of the
    stake loses. The factor is a fraction because 1/3 has no exact decimal. `reduction_factor` is the percentage by
    which the winnings are reduced (a deduction for a non-runner).

    Raises `Unprocessable` if the factor is missing in a dead heat, present in another result, or not between 0 and 1,
    or if a reduction factor is not from 0 to below 100, or reduces a result without winnings.
    """

    kind: ResultKind
    dead_heat_factor: Fraction | None = None
    reduction_factor: Decimal = ZERO

    def __post_init__(self) -> None:
        if (self.kind is ResultKind.DEAD_HEAT) is (self.dead_heat_factor is None):
            raise Unprocessable("dead_heat_factor", "Give dead_heat_factor if the result is dead_heat, and only then.")
        if self.dead_heat_factor is not None and not 0 < self.dead_heat_factor < 1:
            raise Unprocessable("dead_heat_factor", "dead_heat_factor must be above 0 and below 1.")
        require_reduction_factor(self.reduction_factor)
        if self.reduction_factor and not self.parts[0]:
            raise Unprocessable("reduction_factor", f"The result {self.kind.value} has no winnings to reduce.")

    @property
    def is_void(self) -> bool:
        """True if the result decides nothing and every stake is returned."""
        return self.kind is ResultKind.VOID

    @property
    def parts(self) -> tuple[int, int, int]:
        """The parts of a stake as (won, lost, total): 1/2 won and the rest returned is (1, 0, 2).

        >>> SelectionResult(ResultKind.HALF_LOST).parts
        (0, 1, 2)
        >>> SelectionResult(ResultKind.DEAD_HEAT, Fraction(1, 3)).parts
        (1, 2, 3)
        """
        match self.kind:
            case ResultKind.WON:
                return 1, 0, 1
            case ResultKind.LOST:
                return 0, 1, 1
            case ResultKind.VOID:
                return 0, 0, 1
            case ResultKind.HALF_WON:
                return 1, 0, 2
            case ResultKind.HALF_LOST:
                return 0, 1, 2
            case ResultKind.DEAD_HEAT:
                won, total = (self.dead_heat_factor or Fraction()).as_integer_ratio()
                return won, total - won, total
        assert_never(self.kind)

    @property
    def factor_text(self) -> str | None:
        """The dead-heat factor as a reduced fraction: 0.5 and 2/4 are both `1/2`."""
        return None if self.dead_heat_factor is None else str(self.dead_heat_factor)


def require_reduction_factor(percent: Decimal) -> None:
    """Raise `Unprocessable` if a reduction factor, in percent, is not from 0 to below 100."""
    if not 0 <= percent < HUNDRED:
        raise Unprocessable("reduction_factor", "reduction_factor must be from 0 to below 100 percent.")


def compute_exposure(side: BetSide, stake: Decimal, odds: Decimal) -> Decimal:
    """Return the largest possible loss: the stake of a BACK, stake * (odds - 1) of a LAY (its liability).

    >>> compute_exposure(BetSide.BACK, Decimal("10.00"), Decimal("3.50"))
    Decimal('10.00')
    >>> compute_exposure(BetSide.LAY, Decimal("10.00"), Decimal("3.50"))
    Decimal('25.00')
    """
    return stake if side is BetSide.BACK else compute_winnings(stake, odds)


def compute_winnings(stake: Decimal, odds: Decimal) -> Decimal:
    """Return the profit of a winning BACK, stake * (odds - 1); a winning selection costs a LAY the same amount."""
    return to_money(CONTEXT.multiply(stake, odds - 1))


def compute_exact_profit(side: BetSide, stake: Decimal, odds: Decimal, result: SelectionResult) -> Decimal:
    """Return the profit before commission, not rounded to cents; a loss is negative.

    A BACK earns (odds - 1) * the winning part of the stake, less the reduction, and loses the losing part; a LAY earns
    the opposite. There is a single division, at the end, so that an order that breaks even earns exactly 0.
    """
    won, lost, total = result.parts
    kept = HUNDRED - result.reduction_factor
    earned = CONTEXT.multiply(stake, CONTEXT.multiply(won * kept, odds - 1) - lost * HUNDRED)
    return side.sign * CONTEXT.divide(earned, total * HUNDRED)


def compute_profit(side: BetSide, stake: Decimal, odds: Decimal, result: SelectionResult) -> Decimal:
    """Return the profit before commission; a loss is negative.

    >>> won = SelectionResult(ResultKind.WON)
    >>> compute_profit(BetSide.BACK, Decimal("10.00"), Decimal("3.50"), won)
    Decimal('25.00')
    >>> compute_profit(BetSide.LAY, Decimal("10.00"), Decimal("3.50"), won)
    Decimal('-25.00')
    """
    return to_money(compute_exact_profit(side, stake, odds, result))


def compute_payout(side: BetSide, stake: Decimal, odds: Decimal, result: SelectionResult) -> Decimal:
    """Return the payout: the exposure, which was set aside when the order was placed, plus the profit.

    A winning order of either side is paid stake * odds, a losing order 0, a void order its exposure.

    >>> compute_payout(BetSide.BACK, Decimal("10.00"), Decimal("3.50"), SelectionResult(ResultKind.WON))
    Decimal('35.00')
    >>> compute_payout(BetSide.LAY, Decimal("10.00"), Decimal("3.50"), SelectionResult(ResultKind.VOID))
    Decimal('25.00')
    """
    return compute_exposure(side, stake, odds) + compute_profit(side, stake, odds, result)
