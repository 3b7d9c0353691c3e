"""Parsing of charts: elements, texts and the boxes of texts; and sample data."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from xml.etree import ElementTree as ET

from trimtab.charts.drift_bars import DriftBar
from trimtab.charts.svg import WIDTH
from trimtab.charts.text import text_width
from trimtab.charts.value_line import Point

SVG = "{http://www.w3.org/2000/svg}"
FIRST = date(2025, 1, 1)


def drawn(chart: str) -> ET.Element:
    """Return the parsed chart; asserts that the chart has known elements only and no references."""
    assert "DOCTYPE" not in chart
    root = ET.fromstring(chart)  # noqa: S314 - the chart is our own, and has no document type
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        *("svg", "title", "desc", "style", "rect", "text", "line", "path", "g", "circle")
    }
    return root


def texts(root: ET.Element) -> list[str]:
    """Return the texts, heading first."""
    return [one.text or "" for one in root.iter(f"{SVG}text")]


def text_boxes(root: ET.Element) -> list[tuple[float, float, float, float, str]]:
    """Return left, top, right, bottom and text of each text at its maximum width."""
    boxes = []
    for one in root.iter(f"{SVG}text"):
        size, text, x, y = (
            float(one.get("font-size", "")),
            one.text or "",
            float(one.get("x", "")),
            float(one.get("y", "")),
        )
        wide = text_width(text, size, one.get("font-weight") == "700")
        left = {"start": x, "middle": x - wide / 2, "end": x - wide}[one.get("text-anchor", "start")]
        boxes.append((left, y - 0.75 * size, left + wide, y + 0.2 * size, text))
    return boxes


def assert_legible(chart: str) -> None:
    """Assert that no text overlaps another, leaves the chart or is small."""
    root = drawn(chart)
    high = float(root.get("height", ""))
    boxes = text_boxes(root)
    for left, top, right, bottom, text in boxes:
        assert left >= 0, text
        assert right <= WIDTH, text
        assert 0 <= top < bottom <= high, text
    for one, other in combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    assert all(float(one.get("font-size", "")) >= 12 for one in root.iter(f"{SVG}text"))


def days(values: Sequence[Decimal | int], first: date = FIRST) -> list[Point]:
    """Return a point per value on consecutive days."""
    return [Point(first + timedelta(place), Decimal(value)) for place, value in enumerate(values)]


def wave(count: int) -> list[Point]:
    """Return values with many rises and falls."""
    return days([1000 + round(200 * math.sin(place / 9)) + place for place in range(count)])


def some_bars(count: int) -> list[DriftBar]:
    """Return bars, every third outside its band."""
    return [
        DriftBar(f"A{n:02}", Decimal(n % 3 * 10 + 5) + Decimal(n) / 100, Decimal(10), Decimal(5), Decimal(20))
        for n in range(count)
    ]
