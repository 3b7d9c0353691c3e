"""The policy of a portfolio: how far weights may drift, and how far a rebalance goes back."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain


class BandType(StrEnum):
    """How a band's value is meant: in percentage points, in percent of the target weight, or the larger of both."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    HYBRID = "hybrid"


class Destination(StrEnum):
    """Where a rebalance ends: at the target weights, or just inside the band."""

    TARGET = "target"
    BAND_EDGE = "band_edge"


HYBRID_PERCENT = Decimal(20)
HYBRID_POINTS = Decimal(1)


@dataclass(frozen=True, slots=True)
class Band:
    """How far a weight may be from its target; outside is strictly further than the tolerance.

    `value` is points for an absolute band, percent of the target for a relative and a hybrid one. `points` is the
    least tolerance of a hybrid band.
    """

    type: BandType = BandType.ABSOLUTE
    value: Decimal = ZERO
    points: Decimal = ZERO

    def tolerance(self, target: Decimal) -> Decimal:
        """The tolerance in percentage points around this target weight."""
        if self.type is BandType.ABSOLUTE:
            return self.value
        share = CONTEXT.divide(CONTEXT.multiply(target, self.value), HUNDRED)
        return share if self.type is BandType.RELATIVE else max(share, self.points)


@dataclass(frozen=True, slots=True)
class Policy:
    """When and how far to rebalance. Without a band every drift counts; cooldown is seconds between rebalances."""

    band: Band | None = None
    destination: Destination = Destination.TARGET
    cooldown_seconds: int = 0

    def columns(self) -> list[object]:
        """The policy as plain values; equal policies give equal ones, however their numbers were written."""
        band = self.band and [self.band.type.value, plain(self.band.value), plain(self.band.points)]
        return [band, self.destination.value, self.cooldown_seconds]
