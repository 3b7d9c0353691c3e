"""Charts are well-formed for any name, legible, and equal for equal data."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.charts import SVG, assert_legible, days, drawn, some_bars, texts, wave
from trimtab.charts.donut import CASH, UNKNOWN, Slice, draw_sector_donut
from trimtab.charts.drift_bars import DriftBar, draw_drift_bars
from trimtab.charts.svg import MAX_BYTES, Theme
from trimtab.charts.text import clean, fit_text, text_width
from trimtab.charts.value_line import Point, draw_value_line

HOSTILE = '</title><script>alert("1")</script>&amp;&#0;\x00\ud800\ufffe\u202e\u2028\'"\n\t'

names = st.one_of(
    st.text(max_size=40), st.sampled_from([HOSTILE, "", " ", "W" * 300, "a" + "\u0301" * 90, "\u540d" * 60])
)
percents = st.decimals(0, 100, places=4)
amounts = st.decimals(-(10**12), 10**12, places=2)
themes = st.sampled_from(Theme)
slices = st.lists(st.builds(Slice, st.one_of(names, st.sampled_from([UNKNOWN, CASH])), percents), max_size=16)
bars = st.lists(st.builds(DriftBar, names, percents, percents, percents, percents), max_size=45)
series = st.lists(st.builds(Point, st.dates(date(1990, 1, 1), date(2060, 1, 1)), amounts), max_size=30)


CHARTS: dict[str, Callable[[Theme], str]] = {
    "donut": lambda theme: draw_sector_donut([Slice("A", Decimal(70)), Slice(CASH, Decimal(30))], "Sectors", theme),
    "line": lambda theme: draw_value_line(wave(90), days([5] * 90), "Value", "USD", theme),
    "bars": lambda theme: draw_drift_bars(some_bars(5), "Drift", theme),
    "no donut": lambda theme: draw_sector_donut([], "Sectors", theme),
    "no line": lambda theme: draw_value_line([], None, "Value", "USD", theme),
    "no bars": lambda theme: draw_drift_bars([], "Drift", theme),
}
each_chart = pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)


@settings(max_examples=40)
@given(slices, names, themes)
def test_a_donut_is_well_formed_and_legible_whatever_the_names_are(s: list[Slice], title: str, theme: Theme) -> None:
    assert_legible(draw_sector_donut(s, title, theme))


@settings(max_examples=40)
@given(bars, names, themes)
def test_drift_bars_are_well_formed_and_legible_whatever_the_names_are(
    b: list[DriftBar], title: str, theme: Theme
) -> None:
    assert_legible(draw_drift_bars(b, title, theme))


@settings(max_examples=40)
@given(series, series, names, names, themes)
def test_a_line_is_well_formed_and_legible_whatever_the_values_and_names_are(
    points: list[Point], benchmark: list[Point], title: str, currency: str, theme: Theme
) -> None:
    assert_legible(draw_value_line(points, benchmark, title, currency, theme, benchmark_name=title))


@given(st.integers(1, 9000), st.dates(date(2000, 1, 1), date(2030, 1, 1)))
def test_the_days_of_an_axis_never_overlap(span: int, first: date) -> None:
    ends = [Point(first, Decimal(1)), Point(first + timedelta(span), Decimal(2))]
    chart = draw_value_line(ends, None, "Value", "USD")
    assert_legible(chart)
    assert re.search(r"\b20\d\d\b", " ".join(texts(drawn(chart))[1:])), "the year is said"


@each_chart
def test_a_chart_has_a_role_a_title_a_description_and_a_background(make: Callable[[Theme], str]) -> None:
    root = drawn(make(Theme.AUTO))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert title.text
    assert description.text
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    background = root.find(f"{SVG}rect")
    assert background is not None
    assert (background.get("width"), background.get("height")) == (root.get("width"), root.get("height"))


@each_chart
def test_only_the_theme_auto_follows_the_setting_of_the_reader(make: Callable[[Theme], str]) -> None:
    light, dark, auto = (make(theme) for theme in (Theme.LIGHT, Theme.DARK, Theme.AUTO))
    assert "prefers-color-scheme" in auto
    assert "prefers-color-scheme" not in light + dark
    assert ".page{fill:#ffffff}" in light
    assert ".page{fill:#10151b}" in dark


@each_chart
def test_every_element_has_the_colour_of_its_class(make: Callable[[Theme], str]) -> None:
    root = drawn(make(Theme.AUTO))
    style = root.find(f"{SVG}style")
    assert style is not None
    for used in {one.get("class") for one in root.iter() if one.get("class")}:
        assert (style.text or "").count(f"#{root.get('id')} .{used}{{") == 2, "one colour for light, one for dark"


@each_chart
def test_the_same_data_make_the_same_chart(make: Callable[[Theme], str]) -> None:
    assert make(Theme.AUTO) == make(Theme.AUTO)


def test_the_order_of_the_data_changes_nothing() -> None:
    parts = [Slice(name, Decimal(weight)) for name, weight in (("A", 20), ("B", 20), (CASH, 50), ("C", 10))]
    assert draw_sector_donut(parts, "S") == draw_sector_donut(parts[::-1], "S")
    assert draw_drift_bars(some_bars(60), "D") == draw_drift_bars(some_bars(60)[::-1], "D")
    assert draw_value_line(wave(9), None, "V", "USD") == draw_value_line(wave(9)[::-1], None, "V", "USD")


@pytest.mark.parametrize(
    ("chart", "said"),
    [
        (draw_sector_donut([], "T"), "nothing is held"),
        (draw_value_line([], None, "T", "USD"), "No values yet"),
        (draw_drift_bars([], "T"), "there is no target"),
        (draw_drift_bars([], "T", missing="no price is known for AB"), "no price is known for AB"),
    ],
)
def test_without_data_the_chart_is_a_message(chart: str, said: str) -> None:
    assert said in " ".join(texts(drawn(chart)))


def test_the_largest_charts_are_bounded() -> None:
    long = "\U0001f600&" * 150
    steep = days([Decimal(10**11 + (-1) ** n * n * 10**7) / 7 for n in range(20_000)])
    largest = [
        draw_sector_donut([Slice(f"{n}{long}", Decimal(1)) for n in range(500)], long),
        draw_drift_bars([DriftBar(f"{n}{long}", Decimal(9), *([Decimal(1)] * 3)) for n in range(500)], long),
        draw_value_line(steep, steep, long, long, benchmark_name=long),
    ]
    assert [len(chart.encode()) < MAX_BYTES for chart in largest] == [True] * 3


@given(st.text(max_size=300))
def test_a_cleaned_name_is_one_short_line_of_valid_xml(name: str) -> None:
    cleaned = clean(name)
    assert cleaned
    assert len(cleaned) <= 200
    assert not re.search(
        r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", cleaned
    )
    assert cleaned == cleaned.strip()


@given(names.map(clean), st.floats(20, 300))
def test_a_cut_name_fits_and_ends_with_an_ellipsis(name: str, room: float) -> None:
    cut = fit_text(name, room, 13)
    assert text_width(cut, 13) <= room
    assert cut == name or cut.endswith("\u2026")
