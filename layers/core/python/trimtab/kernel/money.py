"""Decimal numbers: input, decimal places and rounding.

Input is never rounded. Computed numbers are rounded half up. Where parts must sum exactly to a total, the residue of
rounding goes to the parts with the largest remainders.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal

from trimtab.kernel.errors import Invalid

CONTEXT = Context(prec=28, rounding=ROUND_HALF_UP)
_WIDE = Context(prec=100, rounding=ROUND_HALF_UP)  # rounding must not fail on a large number
MONEY_PLACES = 2
ODDS_PLACES = 3
STATED_PLACES = 9
QUANTITY_PLACES = 9
PERCENT_PLACES = 4
HUNDRED = Decimal(100)
ZERO = Decimal(0)
MAX_NORMALISED = Decimal("0.01")
"""The largest distance of a sum of percentages from 100 that is corrected on request."""
PRICE_UNIT = Decimal("0.000000001")
HIGHEST_PRICE = Decimal("999999999999.999999999")
"""The smallest step between prices, and the highest price: 12 digits before the point, 9 after it."""

NUMBER_PATTERN = r"-?[0-9]{1,12}(\.[0-9]{1,9})?"
FINEST_PLACES = 18
FINE_NUMBER_PATTERN = r"-?[0-9]{1,9}\.[0-9]{10,18}"
"""A number of more than 9 decimals. With 9 digits before the point, sums of such numbers are exact in 28 digits."""
_NUMBER = re.compile(f"{NUMBER_PATTERN}|{FINE_NUMBER_PATTERN}")
_EXPONENT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,18})?[eE][+-]?[0-9]{1,2}")


def parse_number(text: str, places: int = QUANTITY_PLACES) -> Decimal:
    """Return the number in a text of plain ASCII digits; raises `Invalid` for other texts.

    At most `places` decimals are allowed, not counting trailing zeros. The text is matched before a Decimal is created,
    so that exponents, NaN, digits of other scripts and very long texts are rejected cheaply.

    >>> parse_number("12.50", places=2)
    Decimal('12.50')
    """
    if not _NUMBER.fullmatch(text):
        raise Invalid("invalid_number", "Use plain digits: at most 12 before the decimal point and 9 after the point.")
    if len(text.partition(".")[2].rstrip("0")) > places:
        raise Invalid("too_many_decimals", f"Use at most {places} decimals; input is not rounded.")
    return Decimal(text) or ZERO  # minus zero is zero


def parse_fine_number(text: str) -> Decimal:
    """Return the number in a text with up to 18 decimals; above 9 decimals at most 9 digits may stand before the point.

    Raises `Invalid` for other texts, as `parse_number` does.

    >>> parse_fine_number("0.000000000000000001")
    Decimal('1E-18')
    """
    return parse_number(text, FINEST_PLACES)


def parse_json_number(text: str) -> Decimal:
    """Return the number of a JSON text exactly: up to 18 decimals, with or without an exponent.

    Raises `Invalid` as `parse_fine_number` does. An exponent has at most two digits, so that no text is expensive.

    >>> parse_json_number("33.333333333333336"), parse_json_number("1e-7")
    (Decimal('33.333333333333336'), Decimal('1E-7'))
    """
    has_exponent = ("e" in text or "E" in text) and _EXPONENT.fullmatch(text)
    return parse_fine_number(format(Decimal(text), "f") if has_exponent else text)


def count_decimals(number: Decimal) -> int:
    """Return the number of decimals, not counting trailing zeros.

    >>> count_decimals(Decimal("1.50")), count_decimals(Decimal("1E+2"))
    (1, 0)
    """
    return max(0, -int(number.normalize(_WIDE).as_tuple().exponent))


def decimals_text(number: Decimal, places: int) -> str:
    """Return the number with `places` decimals, and with more where the number has more.

    >>> decimals_text(Decimal("1.5"), 2), decimals_text(Decimal("1.5678"), 2)
    ('1.50', '1.5678')
    """
    return f"{number:.{max(places, count_decimals(number))}f}"


def plain(number: Decimal) -> str:
    """Return the shortest text of the number, without exponent.

    >>> plain(Decimal("1E+1")), plain(Decimal("0.50"))
    ('10', '0.5')
    """
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def sortable_price(price: Decimal) -> str:
    """Return the price (0 or more, 12 digits before the point and 9 after it) as a text that sorts like the number.

    Raises `ValueError` for any other number.

    >>> sortable_price(Decimal("12.5"))
    '000000000012.500000000'
    """
    if not 0 <= price <= HIGHEST_PRICE or price % PRICE_UNIT:
        raise ValueError(f"price {price} must be 0 or more, with at most 12 digits before the point and 9 after it")
    return format(price, "022.9f")


def to_places(number: Decimal, places: int, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Return the number rounded to `places` decimals, by default half up; a negative zero becomes zero.

    >>> to_places(Decimal("2.345"), 2)
    Decimal('2.35')
    """
    rounded = number.quantize(_unit(places), rounding, _WIDE)
    return rounded if rounded else abs(rounded)


def to_percent(number: Decimal) -> Decimal:
    """Return the number rounded half up to 4 decimals, as percentages are."""
    return to_places(number, PERCENT_PLACES)


def to_money(number: Decimal) -> Decimal:
    """Return the number rounded half up to 2 decimals, as amounts of money are."""
    return to_places(number, MONEY_PLACES)


def apportion(total: Decimal, weights: Mapping[str, Decimal], places: int) -> dict[str, Decimal]:
    """Divide `total` in proportion to the weights into parts of `places` decimals that sum exactly to `total`.

    Each part is rounded down; the remaining units go to the largest remainders, ties by name (Hamilton's method). So
    no part exceeds its exact share by a full unit. `total` must be a whole number of units; the sum of the weights must
    be above zero. A negative weight (an overdrawn balance) gets a negative part.

    >>> apportion(Decimal("1.00"), {"a": Decimal(1), "b": Decimal(1), "c": Decimal(1)}, places=2)
    {'a': Decimal('0.34'), 'b': Decimal('0.33'), 'c': Decimal('0.33')}
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


def normalise_percents(weights: Mapping[str, Decimal]) -> dict[str, Decimal] | None:
    """Return percentages of 4 decimals that sum to exactly 100, the residue by largest remainder (see `apportion`).

    Returns None for a negative weight, and where the sum of the weights is more than 0.01 away from 100.

    >>> third = Decimal("33.333333333333336")
    >>> normalise_percents({"a": third, "b": third, "c": third})
    {'a': Decimal('33.3334'), 'b': Decimal('33.3333'), 'c': Decimal('33.3333')}
    >>> normalise_percents({"a": Decimal("99.98")}) is None
    True
    """
    total = sum(weights.values(), ZERO)
    is_near = abs(total - HUNDRED) <= MAX_NORMALISED and all(weight >= 0 for weight in weights.values())
    return apportion(HUNDRED, weights, PERCENT_PLACES) if is_near else None


def _unit(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)
