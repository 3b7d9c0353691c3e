"""Charts agree with their numbers: lengths, angles, heights, axes, and counts of omitted entries."""

import math
import re
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.charts import FIRST, SVG, assert_legible, days, drawn, some_bars, texts, wave
from trimtab.charts.donut import CASH, UNKNOWN, Slice, draw_sector_donut
from trimtab.charts.drift_bars import MAX_BARS, DriftBar, draw_drift_bars
from trimtab.charts.svg import SERIES
from trimtab.charts.text import format_share
from trimtab.charts.value_line import Point, compute_drawdowns, draw_value_line, thin_out


def ring(chart: str) -> dict[str, float]:
    """Return the angle of each segment in degrees, measured on the outline."""
    angles = {}
    for path in drawn(chart).iter(f"{SVG}path"):
        d, hint = path.get("d", ""), path.find(f"{SVG}title")
        match = re.fullmatch(r"M(\S+) (\S+)A118 118 0 (.) 1 (\S+) (\S+)L(\S+) (\S+)A72 72 0 (.) 0 (\S+) (\S+)Z", d)
        assert hint is not None
        if match is None:
            angles[hint.text or ""] = 360.0
            continue
        x1, y1, large, x2, y2, x3, y3, _, x4, y4 = map(float, match.groups())
        # begin and end of the outer arc, and of the inner one, lie on the same rays from (150, centre)
        chord = math.hypot(x2 - x1, y2 - y1)
        swept = math.degrees(2 * math.asin(min(1.0, chord / 2 / 118)))
        assert math.hypot(x4 - x3, y4 - y3) == pytest.approx(chord * 72 / 118, abs=0.05)
        angles[hint.text or ""] = 360 - swept if large else swept
    return angles


def test_the_segments_of_a_donut_are_in_proportion_and_close_the_ring() -> None:
    weights = {"A": "40.5", "B": "25", "C": "12.25", "D": "0.25", UNKNOWN: "7", CASH: "15"}
    angles = ring(draw_sector_donut([Slice(name, Decimal(weight)) for name, weight in weights.items()], "S"))
    assert sum(angles.values()) == pytest.approx(360, abs=0.2)
    for name, weight in weights.items():
        assert angles[f"{name} {format_share(Decimal(weight))}"] == pytest.approx(float(weight) * 3.6, abs=0.1)


@pytest.mark.parametrize("weight", ["100", "0.0001", "99"])
def test_a_single_sector_is_the_whole_ring(weight: str) -> None:
    assert list(ring(draw_sector_donut([Slice("A", Decimal(weight))], "S")).values()) == [360.0]


def test_every_sector_is_in_the_legend_with_unknown_and_cash_last() -> None:
    parts = [Slice(f"Sector {n}", Decimal(n)) for n in range(1, 13)] + [
        Slice(CASH, Decimal(17)),
        Slice(UNKNOWN, Decimal(5)),
    ]
    said = texts(drawn(draw_sector_donut(parts, "S")))
    legend = [text for text in said if text.startswith("Sector ") or text in (CASH, UNKNOWN)]
    assert legend == [f"Sector {n}" for n in range(12, 0, -1)] + [CASH, UNKNOWN]
    for part in parts:
        assert format_share(part.weight) in said


def test_of_more_than_twelve_sectors_the_smallest_are_combined_and_counted() -> None:
    chart = draw_sector_donut([Slice(f"Sector {n:02}", Decimal(5)) for n in range(20)], "S")
    said = texts(drawn(chart))
    assert "9 other sectors" in said
    assert format_share(Decimal(45)) in said
    assert len(ring(chart)) == 12


def test_a_weight_of_zero_or_less_is_in_the_legend_only() -> None:
    chart = draw_sector_donut([Slice("A", Decimal(105)), Slice("Short", Decimal(-5)), Slice("None", Decimal(0))], "S")
    assert len(ring(chart)) == 1
    assert {"Short", "None", format_share(Decimal(-5)), format_share(Decimal(0))} <= set(texts(drawn(chart)))


def test_a_tiny_share_is_never_written_as_zero() -> None:
    assert [format_share(Decimal(text)).replace("\u00a0", " ") for text in ("0.0001", "0.05", "0")] == [
        "< 0.1 %",
        "0.1 %",
        "0.0 %",
    ]


def test_no_two_sectors_share_a_colour() -> None:
    assert len({light for light, _ in SERIES}) == len({dark for _, dark in SERIES}) == 12


def rects(chart: str, style: str) -> list[tuple[float, float, str]]:
    """Return left, width and hint of the rectangles of a style, without the legend."""
    found = []
    for one in drawn(chart).iter(f"{SVG}rect"):
        if one.get("class") == style and float(one.get("y", "")) > 90:
            hint = one.find(f"{SVG}title")
            found.append(
                (float(one.get("x", "")), float(one.get("width", "")), (hint.text or "") if hint is not None else "")
            )
    return found


def test_bars_bands_and_targets_share_one_scale() -> None:
    shown = [DriftBar(f"A{n}", Decimal(n * 7), Decimal(20), Decimal(15), Decimal(25)) for n in range(1, 7)]
    chart = draw_drift_bars(shown, "D")
    bars_drawn = rects(chart, "inside") + rects(chart, "outside")
    per_percent = {wide / float(re.sub(r"\D*(\d+\.\d+).*", r"\1", hint[3:])) for _, wide, hint in bars_drawn}
    assert len(bars_drawn) == 6
    scale = per_percent.pop()
    assert all(other == pytest.approx(scale, rel=0.001) for other in per_percent)
    zero = bars_drawn[0][0]
    for left, wide, _ in rects(chart, "band"):
        assert left == pytest.approx(zero + 15 * scale, abs=0.05)
        assert wide == pytest.approx(10 * scale, abs=0.05)
    targets = [one for one in drawn(chart).iter(f"{SVG}line") if one.get("class") == "target"][1:]
    assert [float(one.get("x1", "")) for one in targets] == pytest.approx([zero + 20 * scale] * 6, abs=0.05)


def test_bars_strictly_outside_their_band_are_highlighted_and_an_edge_is_inside() -> None:
    ends = {"below": "4.9999", "lower": "5", "upper": "20", "above": "20.0001"}
    made = [DriftBar(name, Decimal(weight), Decimal(10), Decimal(5), Decimal(20)) for name, weight in ends.items()]
    chart = draw_drift_bars(made, "D")
    assert {hint.split(":")[0] for *_, hint in rects(chart, "outside")} == {"below", "above"}
    assert {hint.split(":")[0] for *_, hint in rects(chart, "inside")} == {"lower", "upper"}
    bold = {one.text for one in drawn(chart).iter(f"{SVG}text") if one.get("font-weight")}
    assert {"below", "above"} <= bold
    assert not {"lower", "upper"} & bold


def test_a_weight_below_zero_points_to_the_left_of_zero() -> None:
    left = DriftBar("Short", Decimal(-10), Decimal(0), Decimal(-1), Decimal(1))
    right = DriftBar("Long", Decimal(110), Decimal(100), Decimal(90), Decimal(110))
    chart = draw_drift_bars([left, right], "D")
    (short,), (long,) = rects(chart, "outside"), rects(chart, "inside")
    assert short[0] + short[1] == pytest.approx(long[0], abs=0.05)
    assert short[1] * 11 == pytest.approx(long[1], abs=0.1)


@pytest.mark.parametrize(("count", "left"), [(1, 0), (MAX_BARS, 0), (MAX_BARS + 1, 1), (90, 50)])
def test_up_to_forty_bars_are_drawn_and_the_others_counted(count: int, left: int) -> None:
    chart = draw_drift_bars(some_bars(count), "D")
    assert len(rects(chart, "inside") + rects(chart, "outside")) == count - left
    said = " ".join(texts(drawn(chart)))
    assert (f"Not drawn: {left} other asset" in said) == bool(left)
    assert_legible(chart)


def test_bars_outside_their_band_are_drawn_before_heavier_bars() -> None:
    heavy = [DriftBar(f"H{n}", Decimal(50), Decimal(50), Decimal(1), Decimal(99)) for n in range(MAX_BARS)]
    light = DriftBar("light", Decimal(3), Decimal(1), Decimal(0), Decimal(2))
    assert "light" in texts(drawn(draw_drift_bars([*heavy, light], "D")))


def path(chart: str, style: str) -> list[tuple[float, float]]:
    """Return the corners of the line of a style."""
    (found,) = (one for one in drawn(chart).iter(f"{SVG}path") if one.get("class") == style)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found.get("d", "").lstrip("M").split("L"))]


def test_every_value_is_drawn_at_its_day_and_height() -> None:
    points = [Point(FIRST + timedelta(n * n), Decimal(value)) for n, value in enumerate((100, 160, 120, 200, 180))]
    corners = path(draw_value_line(points, None, "V", "USD"), "line")
    assert len(corners) == 5
    across = [(x - corners[0][0]) / (corners[-1][0] - corners[0][0]) for x, _ in corners]
    assert across == pytest.approx([0, 1 / 16, 4 / 16, 9 / 16, 1], abs=0.001)
    heights = [(corners[0][1] - y) / (corners[0][1] - corners[3][1]) for _, y in corners]
    assert heights == pytest.approx([0, 0.6, 0.2, 1, 0.8], abs=0.001)


def test_the_drawdown_is_the_distance_below_the_highest_value_before() -> None:
    fallen = [point.value for point in compute_drawdowns(days([100, 120, 90, 120, 60, 150]))]
    assert fallen == [0, 0, -25, 0, -50, 0]
    assert [point.value for point in compute_drawdowns(days([0, -5, 10, -5]))] == [0, 0, 0, -100]
    said = " ".join(texts(drawn(draw_value_line(days([100, 120, 90]), None, "V", "USD"))))
    assert "deepest \u221225.0\u00a0% on 3\u00a0Jan\u00a02025" in said


def test_with_an_index_a_deposit_is_no_recovery() -> None:
    values, index = days([100, 50, 500]), days([1, Decimal("0.5"), Decimal("0.5")])
    corners = path(draw_value_line(values, None, "V", "USD", index=index), "loss-line")
    assert corners[1][1] == corners[2][1] > corners[0][1]
    assert "without deposits" in draw_value_line(values, None, "V", "USD", index=index)


@pytest.mark.parametrize("index", [[], days([1], date(1999, 1, 1))])
def test_an_index_without_any_of_the_days_leaves_the_drawdown_of_the_values(index: list[Point]) -> None:
    chart = draw_value_line(days([0, 0, 0]), None, "V", "USD", index=index)
    assert "without deposits" not in chart
    assert len(path(chart, "loss-line")) == 3


def test_the_benchmark_is_drawn_at_the_scale_of_the_values() -> None:
    chart = draw_value_line(days([1000, 1100, 1200]), days([1000, 1200, 800]), "V", "USD", benchmark_name="System")
    own, other = path(chart, "line"), path(chart, "benchmark")
    assert own[0] == other[0]
    assert own[2][1] == other[1][1], "both are at 1200"
    assert "System, same deposits" in texts(drawn(chart))


@pytest.mark.parametrize("benchmark", [None, [], days([1, 2], date(1999, 1, 1))])
def test_a_benchmark_that_shares_no_day_is_not_drawn(benchmark: list[Point] | None) -> None:
    assert "benchmark" not in draw_value_line(days([1, 2, 3]), benchmark, "V", "USD")


@given(st.integers(601, 3000), st.integers(1, 10**9))
def test_a_long_line_keeps_its_ends_and_its_extremes(count: int, seed: int) -> None:
    points = days([seed * place * place % 999_983 for place in range(count)])
    kept = thin_out(points)
    assert len(kept) <= 600
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    for choose in (min, max):
        assert choose(point.value for point in kept) == choose(point.value for point in points)
    assert all(one.day < other.day for one, other in pairwise(kept))


def test_up_to_six_hundred_days_are_drawn_one_by_one() -> None:
    assert len(path(draw_value_line(wave(600), None, "V", "USD"), "line")) == 600
    assert len(path(draw_value_line(wave(601), None, "V", "USD"), "line")) <= 600


@pytest.mark.parametrize(
    ("values", "currency", "ticks"),
    [
        ((0, 100), "USD", ["$0", "$25", "$50", "$75", "$100"]),
        ((98_000, 131_000), "EUR", ["\u20ac90k", "\u20ac100k", "\u20ac110k", "\u20ac120k", "\u20ac130k", "\u20ac140k"]),
        (
            (-20, 20),
            "CHF",
            [f"{sign}CHF\u00a0{n}" for sign, n in (("\u2212", 20), ("\u2212", 10), ("", 0), ("", 10), ("", 20))],
        ),
        ((1_000_000, 1_000_100), "USD", ["$996k", "$998k", "$1,000k", "$1,002k", "$1,004k"]),
        ((0, 4 * 10**9), "USD", ["$0", "$1bn", "$2bn", "$3bn", "$4bn"]),
    ],
)
def test_the_value_axis_has_round_numbers_in_the_currency(
    values: tuple[int, int], currency: str, ticks: list[str]
) -> None:
    said = texts(drawn(draw_value_line(days(values), None, "V", currency)))
    assert [text for text in said if re.match(r"\u2212?(\$|\u20ac|CHF)", text) and " on " not in text] == ticks
