"""The monthly report: the same facts as HTML and as text, whole without its pictures, harmless whatever names are."""

import re
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trimtab.analytics.domain.monthly_report import NOT_KNOWN, Figure, Report, Returns, Unit, subject
from trimtab.analytics.schemas.report_html import Picture, report_html
from trimtab.analytics.schemas.report_text import LINE_LENGTH, columns, report_text
from trimtab.charts.donut import Slice
from trimtab.charts.drift_bars import DriftBar

T = TypeVar("T")
AAPL = DriftBar("AAPL", Decimal("31.2"), Decimal(25), Decimal(20), Decimal(30))
MSFT = DriftBar("MSFT", Decimal("24.1"), Decimal(25), Decimal(20), Decimal(30))
REPORT = Report(
    portfolio="Retirement",
    month=date(2026, 10, 1),
    currency="USD",
    value=Decimal("128252.95"),
    change=Decimal("-2310.4"),
    change_percent=Decimal("-1.77"),
    returns=[Returns("October 2026", Decimal("-1.9"), Decimal("-1.7")), Returns("One year", Decimal("12.345"), None)],
    risk=[
        Figure("Volatility", Decimal("14.2")),
        Figure("Sharpe ratio", Decimal("0.87"), Unit.RATIO),
        Figure("Value at risk", Decimal("2104.1"), Unit.MONEY),
    ],
    sectors=[Slice("Cash", Decimal(5)), Slice("Technology", Decimal(95))],
    drift=[MSFT, AAPL],
    as_of=date(2026, 10, 30),
    written_on=date(2026, 11, 1),
    notes=["No price of XYZ since 3 Oct 2026."],
)
EMPTY = Report("Empty", date(2026, 10, 1), "USD", None, None, None, [], [], [], [], None, date(2026, 11, 1))
FACTS = (
    *("Retirement", "October 2026", "$128,252.95", "\u2212$2,310.40 (\u22121.77 %)", "30 Oct 2026, 2 days old"),
    *("\u22121.90 %", "\u22121.70 %", "+12.35 %", NOT_KNOWN, "14.20 %", "0.87", "$2,104.10"),
    *("Technology", "95.00 %", "Cash", "5.00 %"),
    *("AAPL", "31.20 %", "25.00 %", "20.00 to 30.00 %", "+6.20 outside", "MSFT", "\u22120.90", "1 of 2 outside"),
    "No price of XYZ since 3 Oct 2026.",
)
HOSTILE = '<script>alert(1)</script><img src=x onerror="y">&\r\nBcc: all@example.com\x00\ud800\u202e'


class Page(HTMLParser):
    """Which tags a page has, whether they close, and what it says."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The tag that closes is the one that opened last."""
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """A text."""
        self.said.append(data)


def text_of(page: str) -> str:
    """What the HTML says."""
    return " ".join(Page(page).said).replace("\u00a0", " ")


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("written", [report_text(REPORT), text_of(report_html(REPORT))], ids=["text", "html"])
def test_every_fact_is_said_in_both_parts_and_without_pictures(written: str, fact: str) -> None:
    assert fact in written


@pytest.mark.parametrize("written", [report_text(EMPTY), text_of(report_html(EMPTY))], ids=["text", "html"])
@pytest.mark.parametrize(
    "said", ["not known yet", "no prices yet", "No returns yet", "No risk figures", "No sectors", "No drift"]
)
def test_what_is_not_known_is_said_in_words(written: str, said: str) -> None:
    assert said in written
    assert "None" not in written


@pytest.mark.parametrize(("day", "said"), [(1, "of the same day"), (2, "1 day old"), (12, "11 days old")])
def test_the_age_of_the_prices_is_said(day: int, said: str) -> None:
    report = replace(REPORT, as_of=date(2026, 11, 1), written_on=date(2026, 11, day))
    assert said in report_text(report)
    assert said in text_of(report_html(report))


def test_pictures_are_referred_to_by_their_content_id() -> None:
    page = Page(report_html(REPORT, [Picture("sectors@trimtab", "Sectors"), Picture('a"b<c', 'An "alt"')]))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["src"] for image in images] == ["cid:sectors@trimtab", "cid:a%22b%3Cc"]
    assert [image["alt"] for image in images] == ["Sectors", 'An "alt"']


def test_a_mail_client_needs_no_style_sheet_no_script_and_nothing_from_outside() -> None:
    page = report_html(REPORT, [Picture("sectors@trimtab", "Sectors")])
    tags = {tag for tag, _ in Page(page).tags}
    assert tags == {"html", "head", "meta", "title", "body", "table", "tr", "td", "th", "img", "bdi"}
    assert "http" not in page
    assert "class=" not in page


def some(one: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """A few of them."""
    return st.lists(one, max_size=4)


names = st.one_of(st.text(max_size=60), st.just(HOSTILE), st.just("\u540d" * 90))
numbers = st.decimals(-(10**12), 10**12, places=4)
maybe = st.one_of(st.none(), numbers)
reports = st.builds(
    Report,
    portfolio=names,
    month=st.dates(),
    currency=names,
    value=maybe,
    change=maybe,
    change_percent=maybe,
    returns=some(st.builds(Returns, names, maybe, maybe)),
    risk=some(st.builds(Figure, names, maybe, st.sampled_from(Unit))),
    sectors=some(st.builds(Slice, names, numbers)),
    drift=some(st.builds(DriftBar, names, *[numbers] * 4)),
    as_of=st.one_of(st.none(), st.dates()),
    written_on=st.dates(),
    notes=some(names),
)


@settings(max_examples=60)
@given(reports)
def test_no_name_makes_a_tag_a_line_or_a_header(report: Report) -> None:
    page = Page(report_html(report, [Picture(report.portfolio, report.currency)]))
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "th", "img", "bdi")
    }
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert len(subject(report).splitlines()) == 1
    forbidden = r"[\x00-\x09\x0b-\x1f\u2028\u2029\u202a-\u202e\ud800-\udfff]"
    for written in (report_text(report), report_html(report), subject(report)):
        assert not re.search(forbidden, written)
        written.encode()


def test_the_columns_of_the_text_are_aligned_also_for_wide_letters() -> None:
    wide = replace(AAPL, symbol="\u540d\u524d" * 30)
    lines = report_text(replace(REPORT, drift=[wide, MSFT, replace(AAPL, symbol="W" * 60)])).splitlines()
    table = lines[lines.index("Drift from target") + 2 :][:4]
    assert len({columns(line) for line in table}) == 1
    assert all(columns(line) <= LINE_LENGTH for line in lines)


def test_what_is_outside_its_band_comes_first_and_a_long_list_says_what_it_leaves_out() -> None:
    many = [DriftBar(f"A{n}", Decimal(1), Decimal(1), Decimal(0), Decimal(2)) for n in range(149)]
    written = report_text(
        replace(REPORT, drift=[*many, replace(AAPL, weight=Decimal(3), target=Decimal(0), upper=Decimal(2))])
    )
    rows = written.split("Drift from target")[1].splitlines()
    assert rows[3].startswith("AAPL")
    assert "50 further assets are not listed." in written


def test_the_same_report_is_the_same_text() -> None:
    assert report_text(REPORT) == report_text(REPORT)
    assert report_html(REPORT) == report_html(REPORT)
