"""Figures: a number is told together with how it was found, over which days and from how many observations."""

from decimal import Decimal
from enum import StrEnum
from math import isfinite

from msgspec import Struct

from trimtab.analytics.domain.windows import Window
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, to_places

RATIO_PLACES = 6
_LARGEST = 1e12


class Unit(StrEnum):
    """Percents have 4 places: 12.5 is an eighth. Ratios are plain numbers of 6 places."""

    PERCENT = "percent"
    RATIO = "ratio"


class Figure(Struct, frozen=True):
    """An answer. `value` is None where there is none, and `reason` (one word a program can read) says why.

    `method` names the formula, `basis` what it was applied to, `window` the days that were covered, `observations` how
    many numbers went in.
    """

    value: Decimal | None
    unit: Unit
    method: str
    basis: str
    window: Window | None
    observations: int
    reason: str | None = None


def told(
    number: Decimal | float | None,
    unit: Unit,
    *,
    method: str,
    basis: str,
    window: Window | None,
    observations: int,
    reason: str | None = None,
) -> Figure:
    """The number as a figure; `reason` is told only where there is none, `too_large` where nobody could read it."""
    value = None if number is None else quantised(number, unit)
    if value is not None:
        reason = None
    elif number is not None:
        reason = "too_large"
    return Figure(value, unit, method, basis, window, observations, reason)


def quantised(number: Decimal | float, unit: Unit) -> Decimal | None:
    """A share (0.125) as percent, or a ratio, with the places of its unit; None for what is no number or over 10^12."""
    if isinstance(number, float) and not (isfinite(number) and abs(number) < _LARGEST):
        return None
    exact = Decimal(number) if isinstance(number, float) else number
    if abs(exact) >= _LARGEST:
        return None
    return to_places(exact * HUNDRED, PERCENT_PLACES) if unit is Unit.PERCENT else to_places(exact, RATIO_PLACES)
