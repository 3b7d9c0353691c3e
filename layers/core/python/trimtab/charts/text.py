"""Names and numbers as people read them: cleaned, measured, cut to fit, formatted with their unit.

Names come from users: control and direction characters and line breaks are removed before a name reaches a document.
Numbers are Decimals, rounded half up.
"""

import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

from trimtab.kernel.currencies import minor_units
from trimtab.kernel.money import to_places

MINUS, SPACE, ELLIPSIS = "\u2212", "\u00a0", "\u2026"
MAX_NAME = 200
UNNAMED = "(no name)"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONG_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SIGNS = {"USD": "$", "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5"}
_JOINERS = "\u200c\u200d"  # needed by Persian and by emoji
_MAX_MARKS = 2  # combining marks per letter; more would reach into other lines

# The advance widths of Helvetica and Arial in thousandths of the font size.
_WIDTHS = {
    letter: width
    for width, letters in {
        191: "'",
        222: "ijl",
        260: "|",
        278: " !,./:;I[\\]ft\u00a0",
        333: "()-`r{}",
        355: '"',
        389: "*",
        469: "^",
        500: "Jckszvxy",
        556: "#$?_0123456789Labdeghnopqu",
        584: "+<=>~",
        611: "FTZ",
        667: "&ABEKPSVXY",
        722: "CDHNRUw",
        778: "GOQ",
        833: "Mm",
        889: "%",
        944: "W",
        1015: "@",
    }.items()
    for letter in letters
}
_OTHER, _WIDE = 700, 1050
_SAFETY = 1.08  # allowance for readers' fonts that are wider than Helvetica


def clean(name: str, most: int = MAX_NAME) -> str:
    """Return the name on one line of 1 to `most` characters, without control, direction and unassigned characters."""
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", name[: 4 * most]):
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if character.isspace():
            kept.append(" ")
        elif marks <= _MAX_MARKS and (category[0] != "C" or character in _JOINERS):
            kept.append(character)
    return " ".join("".join(kept)[:most].split()) or UNNAMED


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the maximum width of the text in pixels at a font size."""
    return sum(map(_advance, text)) * size / 1000 * _SAFETY * (1.06 if bold else 1)


@lru_cache(maxsize=4096)
def _advance(letter: str) -> int:
    known = _WIDTHS.get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter):
        return 0
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0xFFFF else _OTHER


def fit_text(text: str, room: float, size: float, bold: bool = False) -> str:
    """Return the text, cut with an ellipsis where wider than `room` pixels."""
    if text_width(text, size, bold) <= room:
        return text
    while text and text_width(text + ELLIPSIS, size, bold) > room:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def format_number(value: Decimal, places: int, signed: bool = False) -> str:
    """Return the rounded number with separated thousands and a typographic minus; zero has no sign.

    >>> format_number(Decimal("1234.5"), 2, signed=True)
    '+1,234.50'
    """
    rounded = to_places(value, places)
    return f"{'+' if signed and rounded > 0 else ''}{rounded:,.{places}f}".replace("-", MINUS)


def format_percent(value: Decimal, places: int = 2, signed: bool = False) -> str:
    """Return a percentage; 12.5 is 12.5 %."""
    return format_number(value, places, signed) + SPACE + "%"


def format_share(value: Decimal) -> str:
    """Return a percentage with one place; a share above zero that rounds to zero is written as `< 0.1 %`."""
    return "< 0.1".replace(" ", SPACE) + SPACE + "%" if 0 < value < Decimal("0.05") else format_percent(value, 1)


def format_money(value: Decimal, currency: str, signed: bool = False) -> str:
    """Return an amount with the sign first, then the currency: `-$12.00`, `¥1,500`; decimals are those of ISO 4217."""
    return add_currency(format_number(value, minor_units(currency), signed), currency)


def add_currency(text: str, currency: str) -> str:
    """Add the currency to a formatted number: `$12`, `\u2212$12`, `CHF 12`."""
    sign, digits = (text[0], text[1:]) if text[0] in f"+{MINUS}" else ("", text)
    code = clean(currency)[:8]
    return sign + _SIGNS.get(code, code + SPACE) + digits


def format_day(day: date) -> str:
    """Return the day as `4 Mar 2026`, with no-break spaces."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}".replace(" ", SPACE)


def format_month(day: date) -> str:
    """Return the month as `March 2026`."""
    return f"{LONG_MONTHS[day.month - 1]} {day.year}"
