"""The monthly report: equal facts as HTML and as text, complete without images, safe for any name."""

import re
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.analytics.domain.monthly_report import (
    NOT_KNOWN,
    HoldingLine,
    MoneyLine,
    MonthlyReport,
    PeriodReturns,
    ReportUnit,
    RiskLine,
    TradeLine,
    subject,
)
from trimtab.analytics.schemas.report_html import EmbeddedChart, render_report_html
from trimtab.analytics.schemas.report_text import LINE_LENGTH, count_columns, render_report_text
from trimtab.charts.donut import Slice
from trimtab.charts.drift_bars import DriftBar

T = TypeVar("T")
AAPL = DriftBar("AAPL", Decimal("31.2"), Decimal(25), Decimal(20), Decimal(30))
MSFT = DriftBar("MSFT", Decimal("24.1"), Decimal(25), Decimal(20), Decimal(30))
REPORT = MonthlyReport(
    portfolio="Retirement",
    month=date(2026, 10, 1),
    currency="USD",
    value=Decimal("128252.95"),
    change=Decimal("-2310.4"),
    change_percent=Decimal("-1.77"),
    returns=[
        PeriodReturns("October 2026", Decimal("-1.9"), Decimal("-1.7")),
        PeriodReturns("One year", Decimal("12.345"), None),
    ],
    risk=[
        RiskLine("Volatility", Decimal("14.2")),
        RiskLine("Sharpe ratio", Decimal("0.87"), ReportUnit.RATIO),
        RiskLine("Value at risk", Decimal("2104.1"), ReportUnit.MONEY),
    ],
    sectors=[Slice("Cash", Decimal(5)), Slice("Technology", Decimal(95))],
    drift=[MSFT, AAPL],
    as_of=date(2026, 10, 30),
    written_on=date(2026, 11, 1),
    notes=["No price of XYZ since 3 Oct 2026."],
    holdings=[
        HoldingLine("AAPL", Decimal("12.50"), Decimal("2070.4"), Decimal("31.2")),
        HoldingLine("XYZ", Decimal(1000), None, None),
        HoldingLine("Cash", None, Decimal("512.05"), Decimal("5.0")),
    ],
    trades=[
        TradeLine(date(2026, 10, 6), "AAPL", Decimal("2.5"), Decimal("375.125"), Decimal("1.005")),
        TradeLine(date(2026, 10, 9), "MSFT", Decimal(-3), Decimal(1200), Decimal(0)),
    ],
    income=[MoneyLine("Dividends", Decimal("10.40")), MoneyLine("Fees of trades", Decimal("-1.005"))],
    link="https://api.example.com/v1/portfolios/p1",
)
EMPTY = MonthlyReport("Empty", date(2026, 10, 1), "USD", None, None, None, [], [], [], [], None, date(2026, 11, 1))
FACTS = (
    *("Retirement", "October 2026", "$128,252.95", "\u2212$2,310.40 (\u22121.77 %)", "30 Oct 2026, 2 days old"),
    *("\u22121.90 %", "\u22121.70 %", "+12.35 %", NOT_KNOWN, "14.20 %", "0.87", "$2,104.10"),
    *("Technology", "95.00 %", "Cash", "5.00 %"),
    *("AAPL", "31.20 %", "25.00 %", "20.00 to 30.00 %", "+6.20 outside", "MSFT", "\u22120.90", "1 of 2 outside"),
    *("12.5", "$2,070.40", "31.20 %", "1,000", "$512.05", "6 Oct 2026 AAPL", "+2.5", "$375.13", "$1.01"),
    *("9 Oct 2026 MSFT", "\u22123", "$1,200.00", "Dividends", "+$10.40", "Fees of trades", "\u2212$1.01"),
    "No price of XYZ since 3 Oct 2026.",
)
HOSTILE = '<script>alert(1)</script><img src=x onerror="y">&\r\nBcc: all@example.com\x00\ud800\u202e'


class ParsedHtml(HTMLParser):
    """The tags and texts of a page; asserts that each tag is closed in order."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an opening tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Assert that the closing tag is the last open one."""
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record a text."""
        self.texts.append(data)


def text_of(page: str) -> str:
    """Return the text of a page."""
    return " ".join(ParsedHtml(page).texts).replace("\u00a0", " ")


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize(
    "written", [render_report_text(REPORT), text_of(render_report_html(REPORT))], ids=["text", "html"]
)
def test_every_fact_is_in_both_parts_without_images(written: str, fact: str) -> None:
    assert fact in written


@pytest.mark.parametrize(
    "written", [render_report_text(EMPTY), text_of(render_report_html(EMPTY))], ids=["text", "html"]
)
@pytest.mark.parametrize(
    "text",
    [
        "not known yet",
        "no prices yet",
        "No returns yet",
        "No risk figures",
        "No sectors",
        "No drift",
        "No trades",
        "No income",
    ],
)
def test_unknown_figures_are_named_in_words(written: str, text: str) -> None:
    assert text in written
    assert "None" not in written


@pytest.mark.parametrize(("day", "text"), [(1, "of the same day"), (2, "1 day old"), (12, "11 days old")])
def test_the_age_of_the_prices_is_stated(day: int, text: str) -> None:
    report = replace(REPORT, as_of=date(2026, 11, 1), written_on=date(2026, 11, day))
    assert text in render_report_text(report)
    assert text in text_of(render_report_html(report))


def test_both_parts_link_to_the_portfolio() -> None:
    assert "\nPortfolio: https://api.example.com/v1/portfolios/p1\n" in render_report_text(REPORT)
    links = [members["href"] for tag, members in ParsedHtml(render_report_html(REPORT)).tags if tag == "a"]
    assert links == ["https://api.example.com/v1/portfolios/p1"]


def test_charts_are_referenced_by_content_id() -> None:
    page = ParsedHtml(
        render_report_html(REPORT, [EmbeddedChart("sectors@trimtab", "Sectors"), EmbeddedChart('a"b<c', 'An "alt"')])
    )
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["src"] for image in images] == ["cid:sectors@trimtab", "cid:a%22b%3Cc"]
    assert [image["alt"] for image in images] == ["Sectors", 'An "alt"']


def test_a_mail_client_needs_no_style_sheet_no_script_and_nothing_from_outside() -> None:
    page = render_report_html(REPORT, [EmbeddedChart("sectors@trimtab", "Sectors")])
    tags = {tag for tag, _ in ParsedHtml(page).tags}
    assert tags == {"html", "head", "meta", "title", "body", "table", "tr", "td", "th", "img", "bdi", "a"}
    assert "http" not in page.replace(f'href="{REPORT.link}"', "")
    assert "class=" not in page


def few(values: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Return lists of at most four values."""
    return st.lists(values, max_size=4)


names = st.one_of(st.text(max_size=60), st.just(HOSTILE), st.just("\u540d" * 90))
numbers = st.decimals(-(10**12), 10**12, places=4)
maybe = st.one_of(st.none(), numbers)
reports = st.builds(
    MonthlyReport,
    portfolio=names,
    month=st.dates(),
    currency=names,
    value=maybe,
    change=maybe,
    change_percent=maybe,
    returns=few(st.builds(PeriodReturns, names, maybe, maybe)),
    risk=few(st.builds(RiskLine, names, maybe, st.sampled_from(ReportUnit))),
    sectors=few(st.builds(Slice, names, numbers)),
    drift=few(st.builds(DriftBar, names, *[numbers] * 4)),
    as_of=st.one_of(st.none(), st.dates()),
    written_on=st.dates(),
    notes=few(names),
)


@settings(max_examples=60)
@given(reports)
def test_no_name_can_add_a_tag_a_line_or_a_header(report: MonthlyReport) -> None:
    page = ParsedHtml(render_report_html(report, [EmbeddedChart(report.portfolio, report.currency)]))
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "img", "bdi")
    }
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert len(subject(report).splitlines()) == 1
    forbidden = r"[\x00-\x09\x0b-\x1f\u2028\u2029\u202a-\u202e\ud800-\udfff]"
    for written in (render_report_text(report), render_report_html(report), subject(report)):
        assert not re.search(forbidden, written)
        written.encode()


def test_the_columns_of_the_text_are_aligned_also_for_wide_letters() -> None:
    wide = replace(AAPL, symbol="\u540d\u524d" * 30)
    lines = render_report_text(replace(REPORT, drift=[wide, MSFT, replace(AAPL, symbol="W" * 60)])).splitlines()
    table = lines[lines.index("Drift from target") + 2 :][:4]
    assert len({count_columns(line) for line in table}) == 1
    assert all(count_columns(line) <= LINE_LENGTH for line in lines)


def test_assets_outside_their_band_come_first_and_a_long_list_counts_the_omitted() -> None:
    many = [DriftBar(f"A{n}", Decimal(1), Decimal(1), Decimal(0), Decimal(2)) for n in range(149)]
    written = render_report_text(
        replace(REPORT, drift=[*many, replace(AAPL, weight=Decimal(3), target=Decimal(0), upper=Decimal(2))])
    )
    rows = written.split("Drift from target")[1].splitlines()
    assert rows[3].startswith("AAPL")
    assert "50 further assets are not listed." in written


def test_equal_reports_render_equal_texts() -> None:
    assert render_report_text(REPORT) == render_report_text(REPORT)
    assert render_report_html(REPORT) == render_report_html(REPORT)
