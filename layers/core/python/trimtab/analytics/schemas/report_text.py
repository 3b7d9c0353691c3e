"""The monthly report as the text part of a mail, aligned for a fixed-width font."""

import textwrap
import unicodedata
from collections.abc import Sequence

from trimtab.analytics.domain.monthly_report import (
    MonthlyReport,
    ReportTable,
    age_text,
    change_text,
    report_tables,
    subject,
    value_text,
)
from trimtab.charts.text import ELLIPSIS, SPACE, clean

LINE_LENGTH = 76
_LEAST_NAME = 12


def render_report_text(report: MonthlyReport) -> str:
    """Return the report in lines of at most 76 columns; only a table of very large numbers is wider."""
    parts = [
        [subject(report), "=" * min(count_columns(subject(report)), LINE_LENGTH)],
        ["Value: " + value_text(report), *textwrap.wrap(change_text(report), LINE_LENGTH)],
        textwrap.wrap(age_text(report), LINE_LENGTH),
    ]
    parts += [_table(table) for table in report_tables(report)]
    parts += [textwrap.wrap(clean(note), LINE_LENGTH) for note in report.notes]
    if report.link:
        parts.append([f"Portfolio: {report.link}"])
    written = "\n\n".join("\n".join(lines) for lines in parts)
    return written.replace(SPACE, " ") + "\n"


def count_columns(text: str) -> int:
    """Return the number of columns that the text takes in a fixed-width font."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _table(table: ReportTable) -> list[str]:
    lines = [table.heading, "-" * count_columns(table.heading)]
    if table.rows:
        cells = [table.columns, *table.rows]
        widths = [max(count_columns(row[place]) for row in cells) for place in range(len(table.columns))]
        widths[0] = min(widths[0], max(LINE_LENGTH - sum(widths[1:]) - 2 * len(widths[1:]), _LEAST_NAME))
        lines += [_line(row, widths) for row in cells]
    return lines + (textwrap.wrap(table.foot, LINE_LENGTH) if table.foot else [])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name = _cut(cells[0], widths[0])
    name += " " * (widths[0] - count_columns(name))
    figures = (" " * (wide - count_columns(cell)) + cell for cell, wide in zip(cells[1:], widths[1:], strict=True))
    return "  ".join((name, *figures)).rstrip()


def _cut(name: str, room: int) -> str:
    if count_columns(name) <= room:
        return name
    while count_columns(name) >= room:
        name = name[:-1]
    return name.rstrip() + ELLIPSIS
