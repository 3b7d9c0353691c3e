"""The sector donut: how a portfolio is spread over sectors."""

import math
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from trimtab.charts.svg import MARGIN, SERIES, SIZE, WIDTH, Theme, at, box, document, nothing, shape, words
from trimtab.charts.text import clean, fit, share, width
from trimtab.kernel.money import ZERO

UNKNOWN, CASH = "Unknown", "Cash"
MAX_SECTORS = 12
_MAX_SECTOR = 80
_APART = {UNKNOWN: "unknown", CASH: "cash"}
_OUTER, _INNER, _CENTRE_X = 118, 72, 150
_LEGEND_X, _ROW, _TOP = 306, 23, 58
_ROOM_FOR_FIGURES = 30  # degrees of the ring that a percentage needs


class Slice(Struct, frozen=True):
    """A sector, `Unknown` or `Cash`, and its weight in percent of the portfolio."""

    name: str
    weight: Decimal


class _Part(Struct, frozen=True):
    name: str
    weight: Decimal
    style: str


def sector_donut(slices: Sequence[Slice], title: str, theme: Theme = Theme.AUTO) -> str:
    """The weights as a ring, largest first, `Unknown` and `Cash` last, with a legend that says every percentage.

    More than 12 sectors: the 11 largest, and the others as one that says how many they are. A weight of zero or less
    stands in the legend only. No slices: a picture that says so.
    """
    if not slices:
        return nothing(title, "No sectors yet: nothing is held.", theme)
    parts = _parts(slices)
    height = max(2 * (_OUTER + MARGIN) + 44, _TOP + _ROW * len(parts) + MARGIN)
    centre_y = _TOP - 14 + (height - _TOP + 14 - MARGIN) / 2
    first_row = max(_TOP + 16.0, centre_y - _ROW * len(parts) / 2 + 16)
    drawn = [*_ring(parts, centre_y), *_centre(slices, centre_y)]
    for place, part in enumerate(parts):
        drawn += _legend_row(part, min(first_row, height - MARGIN - _ROW * len(parts) + 16) + _ROW * place)
    said = "; ".join(f"{part.name} {share(part.weight)}" for part in parts)
    return document(title, f"Weights by sector: {said}.", height, drawn, theme)


def _parts(slices: Sequence[Slice]) -> list[_Part]:
    named = sorted((s for s in slices if s.name not in _APART), key=lambda s: (-s.weight, s.name))
    shown = named if len(named) <= MAX_SECTORS else named[: MAX_SECTORS - 1]
    parts = [
        _Part(clean(one.name, _MAX_SECTOR), one.weight, f"s{place % len(SERIES)}") for place, one in enumerate(shown)
    ]
    if rest := named[len(shown) :]:
        parts.append(_Part(f"{len(rest)} other sectors", sum((one.weight for one in rest), ZERO), "others"))
    apart = sorted((s for s in slices if s.name in _APART), key=lambda s: (-s.weight, s.name))
    return parts + [_Part(one.name, one.weight, _APART[one.name]) for one in _merged(apart)]


def _merged(slices: Sequence[Slice]) -> list[Slice]:
    names = dict.fromkeys(one.name for one in slices)
    return [Slice(name, sum((one.weight for one in slices if one.name == name), ZERO)) for name in names]


def _ring(parts: Sequence[_Part], centre_y: float) -> list[str]:
    above = [part for part in parts if part.weight > 0]
    whole = sum((part.weight for part in above), ZERO)
    drawn, figures, passed = [], [], ZERO
    for part in above:
        begin, end = (float(weight / whole * 360) for weight in (passed, passed + part.weight))
        passed += part.weight
        stroke = f' fill-rule="evenodd" stroke-width="{2 if end - begin > 3 else 0}" stroke-linejoin="round"'
        segment = shape(
            _segment(centre_y, begin, end), part.style, more=stroke, hint=f"{part.name} {share(part.weight)}"
        )
        drawn.append((begin - end, f'<g class="gap">{segment}</g>'))
        if end - begin >= _ROOM_FOR_FIGURES:
            x, y = _point(centre_y, (_OUTER + _INNER) / 2, (begin + end) / 2)
            figures.append(
                words(x, y + 4.5, share(part.weight), f"on-{part.style}", size=12, anchor="middle", bold=True)
            )
    return [one for _, one in sorted(drawn, key=lambda pair: pair[0])] + figures  # thin ones lie on top


def _segment(centre_y: float, begin: float, end: float) -> str:
    """The outline of a piece of the ring, in degrees clockwise from the top."""
    if end - begin > 359.99:
        return "".join(
            f"M{at(_CENTRE_X)} {at(centre_y - r)}A{r} {r} 0 1 1 {at(_CENTRE_X)} {at(centre_y + r)}"
            f"A{r} {r} 0 1 1 {at(_CENTRE_X)} {at(centre_y - r)}Z"
            for r in (_OUTER, _INNER)
        )
    corners = [
        _point(centre_y, r, angle) for r, angle in ((_OUTER, begin), (_OUTER, end), (_INNER, end), (_INNER, begin))
    ]
    a, b, c, d = (f"{at(x)} {at(y)}" for x, y in corners)
    large = 1 if end - begin > 180 else 0
    return f"M{a}A{_OUTER} {_OUTER} 0 {large} 1 {b}L{c}A{_INNER} {_INNER} 0 {large} 0 {d}Z"


def _point(centre_y: float, radius: float, degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return _CENTRE_X + radius * math.sin(angle), centre_y - radius * math.cos(angle)


def _centre(slices: Sequence[Slice], centre_y: float) -> list[str]:
    count = sum(1 for one in slices if one.name not in _APART and one.weight > 0)
    return [
        words(_CENTRE_X, centre_y + 4, str(count), size=30, anchor="middle", bold=True),
        words(_CENTRE_X, centre_y + 24, "sector" if count == 1 else "sectors", "muted", anchor="middle"),
    ]


def _legend_row(part: _Part, base: float) -> list[str]:
    figures = share(part.weight)
    room = WIDTH - MARGIN - _LEGEND_X - 22 - width(figures, SIZE, True) - 10
    return [
        box(_LEGEND_X, base - 11, 13, 13, part.style, radius=3),
        words(_LEGEND_X + 22, base, fit(part.name, room, SIZE)),
        words(WIDTH - MARGIN, base, figures, anchor="end", bold=True),
    ]
