"""Odds ladders: the steps between decimal odds that a venue accepts."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import assert_never

from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import CONTEXT, MONEY_PLACES, decimals_text, plain

MAX_ODDS = 1000

# Each range starts at the first number and has the second number as its step; every start is a multiple of both steps.
_TWO_DECIMALS = ((Decimal(1), Decimal("0.01")),)
_THREE_DECIMALS = ((Decimal(1), Decimal("0.001")),)
_BETFAIR = (
    (Decimal(1), Decimal("0.01")),
    (Decimal(2), Decimal("0.02")),
    (Decimal(3), Decimal("0.05")),
    (Decimal(4), Decimal("0.1")),
    (Decimal(6), Decimal("0.2")),
    (Decimal(10), Decimal("0.5")),
    (Decimal(20), Decimal(1)),
    (Decimal(30), Decimal(2)),
    (Decimal(50), Decimal(5)),
    (Decimal(100), Decimal(10)),
)


class OddsLadder(StrEnum):
    """The odds that a venue accepts: all odds of two or three decimals, or the price increments of Betfair."""

    TWO_DECIMALS = "two_decimals"
    THREE_DECIMALS = "three_decimals"
    BETFAIR = "betfair"

    @property
    def _ranges(self) -> Sequence[tuple[Decimal, Decimal]]:
        match self:
            case OddsLadder.TWO_DECIMALS:
                return _TWO_DECIMALS
            case OddsLadder.THREE_DECIMALS:
                return _THREE_DECIMALS
            case OddsLadder.BETFAIR:
                return _BETFAIR
        assert_never(self)

    def nearest(self, odds: Decimal) -> Decimal:
        """Return the nearest odds on the ladder, the higher odds of two that are equally near; at most 1,000.

        >>> OddsLadder.BETFAIR.nearest(Decimal("3.02"))
        Decimal('3.00')
        >>> OddsLadder.THREE_DECIMALS.nearest(Decimal("3.005"))
        Decimal('3.005')
        """
        step = next(step for start, step in reversed(self._ranges) if odds >= start)
        steps = CONTEXT.divide(odds, step).quantize(Decimal(1), ROUND_HALF_UP)
        lowest = 1 + self._ranges[0][1]
        return normalise_odds(min(max(steps * step, lowest), Decimal(MAX_ODDS)))

    def require(self, odds: Decimal) -> None:
        """Raise `Invalid` with the nearest accepted odds if the odds are not on the ladder."""
        nearest = self.nearest(odds)
        if nearest != odds:
            raise Invalid(
                "odds_not_on_ladder",
                f"Odds of {plain(odds)} are not on the ladder {self.value}; the nearest odds are {nearest}.",
            )


def odds_text(odds: Decimal) -> str:
    """Return the odds with 2 decimals, or with 3 where the third is not 0.

    >>> odds_text(Decimal("3.5")), odds_text(Decimal("3.005"))
    ('3.50', '3.005')
    """
    return decimals_text(odds, MONEY_PLACES)


def normalise_odds(odds: Decimal) -> Decimal:
    """Return the same odds with as many decimals as `odds_text` gives."""
    return Decimal(odds_text(odds))
