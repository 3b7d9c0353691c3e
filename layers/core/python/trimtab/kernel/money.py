"""Decimal numbers: what is accepted as one, how many places each kind has, how computed ones are rounded.

Nothing is rounded on input; what is computed is rounded half up, and a split that must sum exactly hands its residue
out by largest remainder.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal

from trimtab.kernel.errors import Invalid

CONTEXT = Context(prec=28, rounding=ROUND_HALF_UP)
_WIDE = Context(prec=100, rounding=ROUND_HALF_UP)  # rounding to places must not fail on a large number
MONEY_PLACES = 2
QUANTITY_PLACES = 9
PERCENT_PLACES = 4
HUNDRED = Decimal(100)
ZERO = Decimal(0)

NUMBER_PATTERN = r"-?[0-9]{1,12}(\.[0-9]{1,9})?"
_NUMBER = re.compile(NUMBER_PATTERN)


def parse_number(text: str, places: int = QUANTITY_PLACES) -> Decimal:
    """The number that the text writes in plain ASCII digits with at most `places` decimals; else `Invalid`.

    The text is matched before a Decimal is made, so that exponents, NaN, other scripts' digits and endless digits
    cost nothing.
    """
    if not _NUMBER.fullmatch(text):
        raise Invalid("invalid_number", "Write the number in plain digits: at most 12 before the point and 9 after it.")
    number = Decimal(text)
    if -int(number.as_tuple().exponent) > places and number != number.quantize(_unit(places), context=CONTEXT):
        raise Invalid("too_many_decimals", f"Give at most {places} decimals; nothing is rounded silently.")
    return number or ZERO  # minus zero is zero


def plain(number: Decimal) -> str:
    """The shortest text of the number, without exponent: `10`, `0.5`."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def to_places(number: Decimal, places: int) -> Decimal:
    """Rounded half up to that many places; what rounds to zero has no sign."""
    rounded = number.quantize(_unit(places), context=_WIDE)
    return rounded if rounded else abs(rounded)


def to_percent(number: Decimal) -> Decimal:
    """Rounded half up to the 4 places of a percent."""
    return to_places(number, PERCENT_PLACES)


def to_money(number: Decimal) -> Decimal:
    """Rounded half up to the 2 places of money."""
    return to_places(number, MONEY_PLACES)


def apportion(total: Decimal, weights: Mapping[str, Decimal], places: int) -> dict[str, Decimal]:
    """`total` split in proportion to the weights, in units of `places` decimals, so that the parts sum to it exactly.

    Each part is rounded down; the units left over go to the largest remainders, ties by name. `total` is a whole
    number of units, the weights are not negative and not all zero. Never gives a part more than one unit above its
    exact share.
    """
    unit = _unit(places)
    whole = sum(weights.values(), ZERO)
    exact = {name: CONTEXT.divide(CONTEXT.multiply(total, weight), whole) for name, weight in weights.items()}
    parts = {name: share.quantize(unit, rounding=ROUND_FLOOR) for name, share in exact.items()}
    left = int((total - sum(parts.values(), ZERO)) / unit)
    by_remainder = sorted(weights, key=lambda name: (parts[name] - exact[name], name))
    for name in by_remainder[:left]:
        parts[name] += unit
    return parts


def _unit(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)
