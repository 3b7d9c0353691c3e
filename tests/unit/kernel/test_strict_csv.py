"""CSV files are read without guesses: a cell is never moved, and a number is never read in one of two ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kernel.errors import Invalid
from trimtab.kernel.strict_csv import CsvRow, CsvText, DecimalMark, plain_number

POINT, COMMA = DecimalMark.POINT, DecimalMark.COMMA


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "byte order mark"])
def test_the_separator_is_found_from_the_header(separator: str, mark: str) -> None:
    text = CsvText.of(
        mark + separator.join(["symbol", "close, adjusted" if separator != "," else "close", "day"]) + "\n"
    )
    assert text.separator == separator
    assert text.rows()[0][0] == "symbol"


def test_a_separator_within_quotes_does_not_count() -> None:
    assert CsvText.of('"a;b;c;d",e\n1,2\n').separator == ","


@pytest.mark.parametrize(("row", "cells"), [("A,2,700,1", 4), ("A,2", 2), ("A,2,3,", 4)])
def test_a_row_of_another_length_than_the_header_has_a_fault_and_no_cells(row: str, cells: int) -> None:
    header, rows = CsvText.of(f"symbol,close,volume\n{row}\n").rows()
    (found,) = rows
    assert (found.cells, f"has {cells} cells, and the header has {len(header)}" in str(found.fault)) == ({}, True)
    assert ("thousands" in str(found.fault)) == (cells > 3)


def test_lines_without_a_cell_are_skipped_and_lines_are_counted_as_in_an_editor() -> None:
    _, rows = CsvText.of('a,b\n\n , \n"1\n2",3\n,,\n4,5\n').rows()
    assert [(row.line, row.cells) for row in rows if row.fault is None] == [
        (5, {"a": "1\n2", "b": "3"}),
        (7, {"a": "4", "b": "5"}),
    ]


@pytest.mark.parametrize("text", ['a,b\n"1,2\n', 'a,b\n"1"x,2\n', "a,b\r1,2\r"])
def test_a_text_that_is_not_csv_is_rejected(text: str) -> None:
    with pytest.raises(Invalid, match="valid CSV"):
        list(CsvText.of(text).rows()[1])


@pytest.mark.parametrize(
    ("cell", "mark", "number"),
    [
        ("2,700", POINT, "2700"),
        ("-1,234,567.89", POINT, "-1234567.89"),
        ("0.5", POINT, "0.5"),
        ("2.700,5", COMMA, "2700.5"),
        ("2,700", COMMA, "2.700"),
        ("2.700", COMMA, "2700"),
        ("", COMMA, ""),
        ("NaN", POINT, "NaN"),
    ],
)
def test_a_number_is_read_by_the_decimal_mark_of_the_file(cell: str, mark: DecimalMark, number: str) -> None:
    assert plain_number(cell, mark) == number


@pytest.mark.parametrize(
    ("cell", "mark"),
    [("101,20", POINT), ("1,23,456", POINT), ("1234,567", POINT), (",5", POINT), ("1.5,000", POINT), ("101.20", COMMA)],
)
def test_a_number_of_the_other_decimal_mark_is_rejected(cell: str, mark: DecimalMark) -> None:
    with pytest.raises(ValueError, match="decimal"):
        plain_number(cell, mark)


def test_an_unquoted_thousand_is_rejected_where_the_decimal_mark_is_not_known() -> None:
    semicolons = CsvText.of("a;b")
    with pytest.raises(ValueError, match="two ways"):
        semicolons.plain_number("2,700", None)
    assert semicolons.plain_number("2,700", COMMA) == "2.700"
    assert semicolons.plain_number("2,700", POINT) == "2700"
    assert semicolons.plain_number("2,700.5", None) == "2700.5"


@given(st.integers(-(10**9), 10**9), st.integers(0, 999_999))
def test_grouped_numbers_of_either_mark_give_the_same_plain_number(whole: int, decimals: int) -> None:
    grouped = f"{whole:,}.{decimals:06}"
    assert plain_number(grouped, POINT) == f"{whole}.{decimals:06}"
    assert plain_number(grouped.translate(str.maketrans(",.", ".,")), COMMA) == f"{whole}.{decimals:06}"


@given(st.lists(st.lists(st.text("ab,;\t\"'\n ", min_size=1, max_size=4), min_size=2, max_size=2), max_size=4))
def test_quoted_cells_come_back_as_they_were_written(rows: list[list[str]]) -> None:
    quoted = ["a,b", *(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)]
    found = [row for row in CsvText.of("\n".join(quoted) + "\n").rows()[1] if isinstance(row, CsvRow)]
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert [list(row.cells.values()) for row in found] == [row for row in stripped if any(row)]
