"""The sector donut: weights by sector as a ring with a legend."""

import math
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from trimtab.charts.svg import (
    MARGIN,
    SERIES,
    SIZE,
    WIDTH,
    Theme,
    draw_box,
    draw_path,
    draw_text,
    px,
    render_document,
    render_message,
)
from trimtab.charts.text import clean, fit_text, format_share, text_width
from trimtab.kernel.money import ZERO

UNKNOWN, CASH = "Unknown", "Cash"
MAX_SECTORS = 12
_MAX_SECTOR = 80
_APART = {UNKNOWN: "unknown", CASH: "cash"}
_OUTER, _INNER, _CENTRE_X = 118, 72, 150
_LEGEND_X, _ROW, _TOP = 306, 23, 58
_ROOM_FOR_FIGURES = 30  # minimum angle, in degrees, of a slice with its percentage drawn inside


class Slice(Struct, frozen=True):
    """A named weight in percent; the names `Unknown` and `Cash` have reserved colours."""

    name: str
    weight: Decimal


class _Part(Struct, frozen=True):
    name: str
    weight: Decimal
    style: str


def draw_sector_donut(slices: Sequence[Slice], title: str, theme: Theme = Theme.AUTO) -> str:
    """Return the weights as an SVG ring, largest first, `Unknown` and `Cash` last, with all percentages in a legend.

    Beyond 12 sectors the 11 largest are drawn and the others combined into one slice such as "3 other sectors". A
    weight of zero or less appears in the legend only. Without slices the chart is a message.
    """
    if not slices:
        return render_message(title, "No sectors yet: nothing is held.", theme)
    parts = _parts(slices)
    height = max(2 * (_OUTER + MARGIN) + 44, _TOP + _ROW * len(parts) + MARGIN)
    centre_y = _TOP - 14 + (height - _TOP + 14 - MARGIN) / 2
    first_row = max(_TOP + 16.0, centre_y - _ROW * len(parts) / 2 + 16)
    drawn = [*_ring(parts, centre_y), *_centre(slices, centre_y)]
    for place, part in enumerate(parts):
        drawn += _legend_row(part, min(first_row, height - MARGIN - _ROW * len(parts) + 16) + _ROW * place)
    summary = "; ".join(f"{part.name} {format_share(part.weight)}" for part in parts)
    return render_document(title, f"Weights by sector: {summary}.", height, drawn, theme)


def _parts(slices: Sequence[Slice]) -> list[_Part]:
    named = sorted((s for s in slices if s.name not in _APART), key=lambda s: (-s.weight, s.name))
    shown = named if len(named) <= MAX_SECTORS else named[: MAX_SECTORS - 1]
    parts = [
        _Part(clean(sector.name, _MAX_SECTOR), sector.weight, f"s{place % len(SERIES)}")
        for place, sector in enumerate(shown)
    ]
    if rest := named[len(shown) :]:
        parts.append(_Part(f"{len(rest)} other sectors", sum((sector.weight for sector in rest), ZERO), "others"))
    apart = sorted((s for s in slices if s.name in _APART), key=lambda s: (-s.weight, s.name))
    return parts + [_Part(sector.name, sector.weight, _APART[sector.name]) for sector in _merged(apart)]


def _merged(slices: Sequence[Slice]) -> list[Slice]:
    names = dict.fromkeys(sector.name for sector in slices)
    return [Slice(name, sum((sector.weight for sector in slices if sector.name == name), ZERO)) for name in names]


def _ring(parts: Sequence[_Part], centre_y: float) -> list[str]:
    above = [part for part in parts if part.weight > 0]
    whole = sum((part.weight for part in above), ZERO)
    drawn, figures, passed = [], [], ZERO
    for part in above:
        begin, end = (float(weight / whole * 360) for weight in (passed, passed + part.weight))
        passed += part.weight
        stroke = f' fill-rule="evenodd" stroke-width="{2 if end - begin > 3 else 0}" stroke-linejoin="round"'
        segment = draw_path(
            _segment(centre_y, begin, end), part.style, more=stroke, hint=f"{part.name} {format_share(part.weight)}"
        )
        drawn.append((begin - end, f'<g class="gap">{segment}</g>'))
        if end - begin >= _ROOM_FOR_FIGURES:
            x, y = _point(centre_y, (_OUTER + _INNER) / 2, (begin + end) / 2)
            figures.append(
                draw_text(
                    x, y + 4.5, format_share(part.weight), f"on-{part.style}", size=12, anchor="middle", bold=True
                )
            )
    return [segment for _, segment in sorted(drawn, key=lambda pair: pair[0])] + figures  # thin slices on top


def _segment(centre_y: float, begin: float, end: float) -> str:
    """Return the path of a piece of the ring; angles in degrees clockwise from the top."""
    if end - begin > 359.99:
        return "".join(
            f"M{px(_CENTRE_X)} {px(centre_y - r)}A{r} {r} 0 1 1 {px(_CENTRE_X)} {px(centre_y + r)}"
            f"A{r} {r} 0 1 1 {px(_CENTRE_X)} {px(centre_y - r)}Z"
            for r in (_OUTER, _INNER)
        )
    corners = [
        _point(centre_y, r, angle) for r, angle in ((_OUTER, begin), (_OUTER, end), (_INNER, end), (_INNER, begin))
    ]
    a, b, c, d = (f"{px(x)} {px(y)}" for x, y in corners)
    large = 1 if end - begin > 180 else 0
    return f"M{a}A{_OUTER} {_OUTER} 0 {large} 1 {b}L{c}A{_INNER} {_INNER} 0 {large} 0 {d}Z"


def _point(centre_y: float, radius: float, degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return _CENTRE_X + radius * math.sin(angle), centre_y - radius * math.cos(angle)


def _centre(slices: Sequence[Slice], centre_y: float) -> list[str]:
    count = sum(1 for sector in slices if sector.name not in _APART and sector.weight > 0)
    return [
        draw_text(_CENTRE_X, centre_y + 4, str(count), size=30, anchor="middle", bold=True),
        draw_text(_CENTRE_X, centre_y + 24, "sector" if count == 1 else "sectors", "muted", anchor="middle"),
    ]


def _legend_row(part: _Part, base: float) -> list[str]:
    figures = format_share(part.weight)
    room = WIDTH - MARGIN - _LEGEND_X - 22 - text_width(figures, SIZE, True) - 10
    return [
        draw_box(_LEGEND_X, base - 11, 13, 13, part.style, radius=3),
        draw_text(_LEGEND_X + 22, base, fit_text(part.name, room, SIZE)),
        draw_text(WIDTH - MARGIN, base, figures, anchor="end", bold=True),
    ]
