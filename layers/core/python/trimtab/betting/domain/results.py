"""What becomes of a selection, and what that makes of a bet on it."""

from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, to_money


class Side(StrEnum):
    """BACK bets that the selection wins, LAY that it does not: the layer stands where the bookmaker would."""

    BACK = "BACK"
    LAY = "LAY"

    @property
    def sign(self) -> int:
        """A LAY earns what a BACK of the same stake and odds loses."""
        return 1 if self is Side.BACK else -1


class Result(StrEnum):
    """What became of the selection; not of the order: a LAY loses where its selection has won."""

    WON = "won"
    LOST = "lost"
    VOID = "void"
    HALF_WON = "half_won"
    HALF_LOST = "half_lost"
    DEAD_HEAT = "dead_heat"


class Verdict(Struct, frozen=True):
    """A result. A dead heat says which part of each stake wins (1/2 where two share one place); the rest loses.

    The part is a fraction, as a third has no decimal.
    """

    result: Result
    dead_heat_factor: Fraction | None = None

    def __post_init__(self) -> None:
        if (self.result is Result.DEAD_HEAT) is (self.dead_heat_factor is None):
            raise Unprocessable("dead_heat_factor", "Give dead_heat_factor with dead_heat, and with nothing else.")
        if self.dead_heat_factor is not None and not 0 < self.dead_heat_factor < 1:
            raise Unprocessable("dead_heat_factor", "The factor of a dead heat lies between 0 and 1.")

    @property
    def is_void(self) -> bool:
        """Whether nothing was decided: every stake is given back."""
        return self.result is Result.VOID

    @property
    def parts(self) -> tuple[int, int, int]:
        """Which parts of a stake on the selection win and lose, and of how many; what is left is given back."""
        match self.result:
            case Result.WON:
                return 1, 0, 1
            case Result.LOST:
                return 0, 1, 1
            case Result.VOID:
                return 0, 0, 1
            case Result.HALF_WON:
                return 1, 0, 2
            case Result.HALF_LOST:
                return 0, 1, 2
            case Result.DEAD_HEAT:
                won, of = (self.dead_heat_factor or Fraction()).as_integer_ratio()
                return won, of - won, of

    def text(self) -> str:
        """The verdict in plain text, the same for the same verdict: 0.5 and 2/4 are `dead_heat:1/2`."""
        return f"{self.result.value}:{self.dead_heat_factor or ''}"


def verdict_of(text: str) -> Verdict:
    """The verdict that `Verdict.text` wrote."""
    result, _, factor = text.partition(":")
    return Verdict(Result(result), Fraction(factor) if factor else None)


def exposure(side: Side, stake: Decimal, odds: Decimal) -> Decimal:
    """What the order can lose, 2 places: the stake of a BACK, stake * (odds - 1) of a LAY."""
    return stake if side is Side.BACK else potential(stake, odds)


def potential(stake: Decimal, odds: Decimal) -> Decimal:
    """What a BACK of that stake earns where its selection wins, 2 places."""
    return to_money(CONTEXT.multiply(stake, odds - 1))


def exact_profit(side: Side, stake: Decimal, odds: Decimal, verdict: Verdict) -> Decimal:
    """What the order earns (below zero: loses), before commission and before it is rounded to cents.

    Of a BACK the winning part of the stake earns (odds - 1) times itself and the losing part is gone; a LAY is the
    mirror of it. There is one division, at the end: who breaks even earns nothing, and half a cent is half a cent.
    """
    won, lost, of = verdict.parts
    earned = CONTEXT.multiply(stake, CONTEXT.multiply(won, odds - 1) - lost)
    return side.sign * CONTEXT.divide(earned, of)


def profit(side: Side, stake: Decimal, odds: Decimal, verdict: Verdict) -> Decimal:
    """What the order earns (below zero: loses), before commission, 2 places."""
    return to_money(exact_profit(side, stake, odds, verdict))


def payout(side: Side, stake: Decimal, odds: Decimal, verdict: Verdict) -> Decimal:
    """What is paid out: the exposure, which was set aside, and the profit on top.

    So stake * odds where the order wins, for a BACK and a LAY alike, 0 where it loses, the exposure where it is void.
    """
    return exposure(side, stake, odds) + profit(side, stake, odds, verdict)
