"""CSV files of brokers, banks and data vendors, read without guesses.

The separator is a comma, a semicolon or a tab, found from the first line. Each row has one cell for each column of its
header: an unquoted `2,700` makes a row longer than its header, and is never read as 2 and 700.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel.errors import Invalid

SEPARATORS = (",", ";", "\t")
_BYTE_ORDER_MARK = "\ufeff"
_GROUPS = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+")


class DecimalMark(StrEnum):
    """The decimal mark of the numbers of a file; the other mark may separate thousands."""

    POINT = "point"
    COMMA = "comma"


class CsvRow(Struct, frozen=True):
    """A row: its last line number, and cells by column. `fault` is set, and `cells` empty, for a row of wrong length.

    `section` is the name of the table in a file of several tables.
    """

    line: int
    cells: Mapping[str, str]
    fault: str | None = None
    section: str = ""


class CsvText(Struct, frozen=True):
    """The text of a CSV file, and the separator of its cells."""

    text: str
    separator: str

    @classmethod
    def of(cls, text: str) -> "CsvText":
        """Return the text without a byte order mark; the separator that gives the first line most cells wins.

        >>> CsvText.of("symbol;amount").separator
        ';'
        """
        text = text.removeprefix(_BYTE_ORDER_MARK)
        first = next((line for line in text.splitlines() if line.strip()), "")
        return cls(text, max(SEPARATORS, key=lambda separator: _cell_count(first, separator)))

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and stripped cells of each line that is not blank.

        Raises `Invalid` (`invalid_csv`) for a text that is not CSV, such as one with an unfinished quote.
        """
        reader = csv.reader(io.StringIO(self.text), delimiter=self.separator, strict=True)
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield reader.line_num, stripped
        except csv.Error as error:
            raise Invalid("invalid_csv", f"Line {reader.line_num} is not valid CSV: {error}.") from None

    def rows(self) -> tuple[Sequence[str], Iterator[CsvRow]]:
        """Return the header, the first line that is not blank, and the rows below the header."""
        lines = self.lines()
        _, header = next(lines, (0, []))
        return header, (csv_row(line, header, cells) for line, cells in lines)

    def plain_number(self, cell: str, mark: DecimalMark | None) -> str:
        """Return a number of the file without thousands separators and with a decimal point.

        Without `mark` the decimal mark is a point. A cell that is no number is returned unchanged, for the reader of
        the number to reject. Raises `ValueError` for a number that can be read in two ways.

        >>> CsvText.of("a,b").plain_number("2,700.50", None)
        '2700.50'
        >>> CsvText.of("a;b").plain_number("2.700,50", DecimalMark.COMMA)
        '2700.50'
        """
        if mark is None and self.separator != "," and _GROUPS.fullmatch(cell):
            raise ValueError("The number can be read in two ways. Send the parameter decimal=comma or decimal=point.")
        return plain_number(cell, mark or DecimalMark.POINT)


def csv_row(line: int, header: Sequence[str], cells: Sequence[str], section: str = "") -> CsvRow:
    """Return the row of a line; a line with more or fewer cells than its header has a fault and no cells."""
    if len(cells) == len(header):
        return CsvRow(line, dict(zip(header, cells, strict=True)), section=section)
    fault = f"The line has {len(cells)} cells, and the header has {len(header)}."
    if len(cells) > len(header):
        fault += " Quote a cell that contains the separator, such as a number with thousands separators."
    return CsvRow(line, {}, fault, section)


def plain_number(cell: str, mark: DecimalMark) -> str:
    """Return a number without thousands separators, which stand between groups of three digits, and with a point.

    Raises `ValueError` for a number with the other decimal mark.

    >>> plain_number("1,234,567.8", DecimalMark.POINT), plain_number("-1.234,5", DecimalMark.COMMA)
    ('1234567.8', '-1234.5')
    """
    thousands, decimals = (",", ".") if mark is DecimalMark.POINT else (".", ",")
    whole, point, rest = cell.partition(decimals)
    if thousands in cell:
        if not _GROUPS.fullmatch(whole.replace(thousands, ",")) or thousands in rest:
            raise ValueError(
                f"The decimal mark of the file is a {mark}; a `{thousands}` may only separate groups of three digits. "
                "The parameter `decimal` changes the mark."
            )
        whole = whole.replace(thousands, "")
    return f"{whole}.{rest}" if point else whole


def _cell_count(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return 0
