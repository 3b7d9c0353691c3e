"""Names and numbers as they are read: cleaned of what has no picture, measured, cut to fit, written with their unit.

Names come from users. Nothing of them reaches a document that could end a tag, turn the reading direction or break a
line. Numbers are Decimals and are written from them, rounded half up.
"""

import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

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
_JOINERS = "\u200c\u200d"  # Persian and emoji are spelled with them
_MAX_MARKS = 2  # marks on one letter; towers of them would reach into other lines

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
_SAFETY = 1.08  # the reader's font is a little wider than ours at worst


def clean(name: str, most: int = MAX_NAME) -> str:
    """The name on one line, without control, direction and unassigned characters; 1 to `most` characters long."""
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


def width(text: str, size: float, bold: bool = False) -> float:
    """How wide the text is at most, in pixels, at this font size."""
    return sum(map(_advance, text)) * size / 1000 * _SAFETY * (1.06 if bold else 1)


@lru_cache(maxsize=4096)
def _advance(letter: str) -> int:
    known = _WIDTHS.get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter):
        return 0
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0xFFFF else _OTHER


def fit(text: str, room: float, size: float, bold: bool = False) -> str:
    """The text, cut at its end with an ellipsis where it is wider than the room."""
    if width(text, size, bold) <= room:
        return text
    while text and width(text + ELLIPSIS, size, bold) > room:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def number(value: Decimal, places: int, signed: bool = False) -> str:
    """With thousands separated and a real minus; what rounds to zero has no sign."""
    rounded = to_places(value, places)
    return f"{'+' if signed and rounded > 0 else ''}{rounded:,.{places}f}".replace("-", MINUS)


def percent(value: Decimal, places: int = 2, signed: bool = False) -> str:
    """A percentage, given as 12.5 for 12.5 %."""
    return number(value, places, signed) + SPACE + "%"


def share(value: Decimal) -> str:
    """A percentage with one place; what is there and would be written as nothing says that it is less than that."""
    return "< 0.1".replace(" ", SPACE) + SPACE + "%" if 0 < value < Decimal("0.05") else percent(value, 1)


def money(value: Decimal, currency: str, places: int = 2, signed: bool = False) -> str:
    """An amount with its currency in front, its sign before that."""
    return with_currency(number(value, places, signed), currency)


def with_currency(text: str, currency: str) -> str:
    """A written number with its currency: `$12`, `\u2212$12`, `CHF 12`."""
    sign, digits = (text[0], text[1:]) if text[0] in f"+{MINUS}" else ("", text)
    code = clean(currency)[:8]
    return sign + _SIGNS.get(code, code + SPACE) + digits


def day_text(day: date) -> str:
    """`4 Mar 2026`, without breaks."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}".replace(" ", SPACE)


def month_text(day: date) -> str:
    """`March 2026`."""
    return f"{LONG_MONTHS[day.month - 1]} {day.year}"
