"""The monthly report as plain text, aligned for a fixed-width font."""

import textwrap
import unicodedata
from collections.abc import Sequence

from trimtab.analytics.domain.monthly_report import Report, Table, age_said, change_said, subject, tables, value_said
from trimtab.charts.text import ELLIPSIS, SPACE, clean

LINE_LENGTH = 76
_LEAST_NAME = 12


def report_text(report: Report) -> str:
    """The report in lines of at most 76 columns; only a table with very large numbers is wider."""
    parts = [
        [subject(report), "=" * min(columns(subject(report)), LINE_LENGTH)],
        ["Value: " + value_said(report), *textwrap.wrap(change_said(report), LINE_LENGTH)],
        textwrap.wrap(age_said(report), LINE_LENGTH),
    ]
    parts += [_table(table) for table in tables(report)]
    parts += [textwrap.wrap(clean(note), LINE_LENGTH) for note in report.notes]
    written = "\n\n".join("\n".join(lines) for lines in parts)
    return written.replace(SPACE, " ") + "\n"


def columns(text: str) -> int:
    """How many columns of a fixed-width font the text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _table(table: Table) -> list[str]:
    lines = [table.heading, "-" * columns(table.heading)]
    if table.rows:
        cells = [table.columns, *table.rows]
        widths = [max(columns(row[place]) for row in cells) for place in range(len(table.columns))]
        widths[0] = min(widths[0], max(LINE_LENGTH - sum(widths[1:]) - 2 * len(widths[1:]), _LEAST_NAME))
        lines += [_line(row, widths) for row in cells]
    return lines + (textwrap.wrap(table.foot, LINE_LENGTH) if table.foot else [])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name = _cut(cells[0], widths[0])
    name += " " * (widths[0] - columns(name))
    figures = (" " * (wide - columns(cell)) + cell for cell, wide in zip(cells[1:], widths[1:], strict=True))
    return "  ".join((name, *figures)).rstrip()


def _cut(name: str, room: int) -> str:
    if columns(name) <= room:
        return name
    while columns(name) >= room:
        name = name[:-1]
    return name.rstrip() + ELLIPSIS
