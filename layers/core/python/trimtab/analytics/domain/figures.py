"""Figures: numbers that carry their method, basis, window and number of observations."""

from decimal import Decimal
from enum import StrEnum
from math import isfinite

from msgspec import Struct

from trimtab.analytics.domain.windows import Window
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, to_places

RATIO_PLACES = 6
_LARGEST = 1e12


class FigureUnit(StrEnum):
    """Unit of a figure: PERCENT has 4 decimal places (12.5 is 12.5 %), RATIO is a number with 6 decimal places."""

    PERCENT = "percent"
    RATIO = "ratio"


class Figure(Struct, frozen=True):
    """A computed number with its provenance.

    If no number can be computed, `value` is None and `reason` is a code for the cause.

    `method` names the formula, `basis` the data it was applied to, `window` the days covered and `observations` the
    number of inputs. `candidates` are the numbers that satisfy the formula where several do, so that none is the value.
    """

    value: Decimal | None
    unit: FigureUnit
    method: str
    basis: str
    window: Window | None
    observations: int
    reason: str | None = None
    candidates: tuple[Decimal, ...] = ()


def make_figure(
    number: Decimal | float | None,
    unit: FigureUnit,
    *,
    method: str,
    basis: str,
    window: Window | None,
    observations: int,
    reason: str | None = None,
) -> Figure:
    """Return the rounded number as a figure; for the unit PERCENT `number` is a share (0.125 becomes 12.5).

    `reason` is used only if `number` is None. NaN, infinity and numbers of 10^12 or more have the reason `too_large`.
    """
    value = None if number is None else round_figure(number, unit)
    if value is not None:
        reason = None
    elif number is not None:
        reason = "too_large"
    return Figure(value, unit, method, basis, window, observations, reason)


def round_figure(number: Decimal | float, unit: FigureUnit) -> Decimal | None:
    """Return a share as percent, or a ratio, with the places of its unit; None for NaN, infinity and 10^12 or more.

    >>> round_figure(0.125, FigureUnit.PERCENT)
    Decimal('12.5000')
    """
    if isinstance(number, float) and not (isfinite(number) and abs(number) < _LARGEST):
        return None
    exact = Decimal(number) if isinstance(number, float) else number
    if abs(exact) >= _LARGEST:
        return None
    return to_places(exact * HUNDRED, PERCENT_PLACES) if unit is FigureUnit.PERCENT else to_places(exact, RATIO_PLACES)
