"""The monthly report as the HTML part of a mail: tables and inline styles only, as mail clients support little else."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from msgspec import Struct

from trimtab.analytics.domain.monthly_report import (
    MonthlyReport,
    ReportTable,
    age_text,
    change_text,
    report_tables,
    subject,
    value_text,
)
from trimtab.charts.svg import WIDTH
from trimtab.charts.text import clean, format_month

_FONT = "font-family:Helvetica,Arial,sans-serif;"
_INK, _MUTED, _ALARM = "color:#1b1f24;", "color:#59636e;", "color:#a84300;"
_RULE = "border-bottom:1px solid #e4e8ec;"
_LAYOUT = 'role="presentation" cellpadding="0" cellspacing="0" border="0"'


class EmbeddedChart(Struct, frozen=True):
    """A chart attached to the mail under a Content-ID (without angle brackets), with its alternative text."""

    content_id: str
    alt: str


def render_report_html(report: MonthlyReport, charts: Sequence[EmbeddedChart] = ()) -> str:
    """Return the report with its charts by `cid:`; the tables contain every number, for readers without images."""
    body = "".join(
        (
            _text(clean(report.portfolio), f"{_INK}font-size:24px;font-weight:bold;padding-top:24px;"),
            _text(format_month(report.month), f"{_MUTED}font-size:15px;padding-top:2px;"),
            _text(value_text(report), f"{_INK}font-size:30px;font-weight:bold;padding-top:20px;"),
            _text(change_text(report), f"{_INK}font-size:15px;padding-top:4px;"),
            _text(age_text(report), f"{_MUTED}font-size:13px;padding-top:4px;"),
            *(_chart(chart) for chart in charts),
            *(_table(table) for table in report_tables(report)),
            *(_text(clean(note), f"{_MUTED}font-size:13px;padding-top:12px;") for note in report.notes),
            _link(report.link),
            _text("", "padding-bottom:24px;"),
        )
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        '<meta name="color-scheme" content="light"/>'
        f"<title>{escape(subject(report))}</title></head>"
        f'<body style="margin:0;padding:0;background-color:#eef1f4;">'
        f'<table {_LAYOUT} width="100%" style="background-color:#eef1f4;">'
        '<tr><td align="center" style="padding:16px 8px;">'
        f'<table {_LAYOUT} width="{WIDTH}" style="width:100%;max-width:{WIDTH}px;background-color:#ffffff;{_FONT}">'
        f"{body}</table></td></tr></table></body></html>\n"
    )


def _text(text: str, style: str) -> str:
    return f'<tr><td style="padding:0 16px;{style}"><bdi>{escape(text)}</bdi></td></tr>'


def _link(address: str) -> str:
    if not address:
        return ""
    anchor = f'<a href="{escape(address)}" style="color:#1f5fa8;">Open the portfolio</a>'
    return f'<tr><td style="padding:16px 16px 0;font-size:15px;">{anchor}</td></tr>'


def _chart(chart: EmbeddedChart) -> str:
    address, alt = quote(clean(chart.content_id), safe="@.-_"), escape(clean(chart.alt))
    shown = "display:block;width:100%;height:auto;border:0;" + _MUTED + "font-size:13px;"
    image = f'<img src="cid:{address}" alt="{alt}" width="{WIDTH}" style="{shown}"/>'
    return f'<tr><td style="padding-top:20px;">{image}</td></tr>'


def _table(table: ReportTable) -> str:
    heading = _text(table.heading, f"{_INK}font-size:17px;font-weight:bold;padding-top:28px;padding-bottom:6px;")
    rows = "".join(_row(row, place in table.highlighted) for place, row in enumerate(table.rows))
    drawn = ""
    if table.rows:
        names = "".join(
            _cell("th", name, place, _MUTED + "font-weight:normal;") for place, name in enumerate(table.columns)
        )
        drawn = (
            '<tr><td style="padding:0 16px;"><table cellpadding="0" cellspacing="0" border="0" width="100%"'
            f' style="width:100%;font-size:13px;border-collapse:collapse;"><tr>{names}</tr>{rows}</table></td></tr>'
        )
    foot = _text(table.foot, f"{_MUTED}font-size:13px;padding-top:6px;") if table.foot else ""
    return heading + drawn + foot


def _row(cells: Sequence[str], is_highlighted: bool) -> str:
    style = _ALARM + "font-weight:bold;" if is_highlighted else _INK
    return f"<tr>{''.join(_cell('td', text, place, style) for place, text in enumerate(cells))}</tr>"


def _cell(tag: str, text: str, place: int, style: str) -> str:
    end = "left" if place == 0 else "right"
    held = "word-break:break-word;" if place == 0 else "padding-left:10px;"
    scope = ' scope="col"' if tag == "th" else ""
    opening = f'<{tag}{scope} align="{end}" style="padding:6px 0;{_RULE}{held}{style}">'
    return f"{opening}<bdi>{escape(text)}</bdi></{tag}>"
