"""The drift bars: each asset's weight against its target and the band around it."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from trimtab.charts.axes import Scale, between
from trimtab.charts.svg import (
    MARGIN,
    SIZE,
    SMALL,
    WIDTH,
    Theme,
    at,
    box,
    document,
    nothing,
    rule,
    shape,
    words,
)
from trimtab.charts.text import clean, fit, number, percent
from trimtab.kernel.money import ZERO

MAX_BARS = 40
_MAX_SYMBOL = 40
_ROW, _TOP = 24, 96
_PLOT = (132.0, 424.0)
_NOW_X, _DRIFT_X = 502, WIDTH - MARGIN


class DriftBar(Struct, frozen=True):
    """An asset's weight, its target and the ends of its band, all in percent of the portfolio."""

    symbol: str
    weight: Decimal
    target: Decimal
    lower: Decimal
    upper: Decimal

    @property
    def drift(self) -> Decimal:
        """How far the weight is above its target; negative below it."""
        return self.weight - self.target

    @property
    def is_outside(self) -> bool:
        """Whether the weight is strictly further out than its band."""
        return not self.lower <= self.weight <= self.upper


def drift_bars(
    bars: Sequence[DriftBar], title: str, theme: Theme = Theme.AUTO, *, missing: str = "there is no target"
) -> str:
    """A row for each asset, the heaviest first: bar, band, target, both numbers; what is outside its band stands out.

    More than 40 assets: those outside their band before the others, the heaviest first; a line says what is left out.
    No bars: a picture that says so, and what is missing.
    """
    if not bars:
        return nothing(title, fit(f"No drift to show: {clean(missing)}.", WIDTH - 2 * MARGIN, 15), theme)
    shown, left = _chosen(bars)
    bottom = _TOP + _ROW * len(shown)
    ends = [end for bar in shown for end in (bar.weight, bar.target, bar.lower, bar.upper)]
    scale = between(min(ZERO, *ends), max(Decimal(1), *ends), 4, *_PLOT)
    drawn = [*_legend(), *_axis(scale, bottom)]
    for place, bar in enumerate(shown):
        drawn += _row(bar, scale, _TOP + _ROW * place)
    if left:
        drawn.append(words(MARGIN, bottom + 50, fit(_said(left), WIDTH - 2 * MARGIN, SMALL), "muted", size=SMALL))
    return document(title, _description(bars, shown), bottom + (66 if left else 36), drawn, theme)


def _chosen(bars: Sequence[DriftBar]) -> tuple[list[DriftBar], list[DriftBar]]:
    def heavy(bar: DriftBar) -> tuple[Decimal, Decimal, str]:
        return -max(bar.weight, bar.target), -bar.weight, bar.symbol

    by_need = sorted(bars, key=lambda bar: (not bar.is_outside, heavy(bar)))
    return sorted(by_need[:MAX_BARS], key=heavy), by_need[MAX_BARS:]


def _legend() -> list[str]:
    y = 58
    return [
        box(MARGIN, y - 9, 20, 9, "inside", radius=2),
        words(MARGIN + 26, y, "inside its band", "muted", size=SMALL),
        box(144, y - 9, 20, 9, "outside", radius=2),
        words(170, y, "outside", "muted", size=SMALL),
        box(236, y - 12, 20, 15, "band", radius=2),
        words(262, y, "band", "muted", size=SMALL),
        rule(316, y - 12, 316, y + 3, "target", thick=2),
        words(324, y, "target", "muted", size=SMALL),
        words(_NOW_X, y + 24, "now", "muted", size=SMALL, anchor="end"),
        words(_DRIFT_X, y + 24, "from target", "muted", size=SMALL, anchor="end"),
    ]


def _axis(scale: Scale, bottom: float) -> list[str]:
    places = 0 if scale.step == scale.step.to_integral_value() else 1
    drawn = []
    for tick in scale.ticks():
        x = scale.at(tick)
        drawn.append(rule(x, _TOP - 4, x, bottom + 2, "axis" if tick == 0 else "grid"))
        drawn.append(words(x, bottom + 18, percent(tick, places), "muted", size=SMALL, anchor="middle"))
    return drawn


def _row(bar: DriftBar, scale: Scale, top: float) -> list[str]:
    name, base = clean(bar.symbol, _MAX_SYMBOL), top + 16
    style = "outside" if bar.is_outside else "inside"
    ink = "alarm" if bar.is_outside else "ink"
    zero, end = scale.at(ZERO), scale.at(bar.weight)
    band = scale.at(bar.lower), scale.at(bar.upper)
    drawn = [
        words(MARGIN, base, fit(name, _PLOT[0] - MARGIN - 10, SIZE, bar.is_outside), ink, bold=bar.is_outside),
        box(band[0], top + 2, max(band[1] - band[0], 1), 20, "band", radius=3),
        box(min(zero, end), top + 7, max(abs(end - zero), 0.5), 10, style, hint=f"{name}: {_sentence(bar)}"),
        rule(scale.at(bar.target), top + 2, scale.at(bar.target), top + 22, "target", thick=2),
        words(_NOW_X, base, fit(percent(bar.weight), 74, SIZE), ink, anchor="end", bold=bar.is_outside),
        words(_DRIFT_X, base, fit(number(bar.drift, 2, signed=True), 62, SIZE), ink, anchor="end", bold=bar.is_outside),
    ]
    if bar.is_outside:
        tip, foot = (top + 8, top + 16) if bar.weight > bar.upper else (top + 16, top + 8)
        drawn.append(shape(f"M{at(_NOW_X + 12)} {at(foot)}h9L{at(_NOW_X + 16.5)} {at(tip)}Z", "outside"))
    return drawn


def _sentence(bar: DriftBar) -> str:
    where = "inside" if not bar.is_outside else "above" if bar.weight > bar.upper else "below"
    band = f"{percent(bar.lower)} to {percent(bar.upper)}"
    return f"{percent(bar.weight)}, target {percent(bar.target)}, {where} its band of {band}"


def _said(left: Sequence[DriftBar]) -> str:
    weight, target = sum((bar.weight for bar in left), ZERO), sum((bar.target for bar in left), ZERO)
    outside = sum(1 for bar in left if bar.is_outside)
    where = f"{outside} of them outside their band" if outside else "all inside their band"
    others = f"{len(left)} other asset{'s' if len(left) > 1 else ''}"
    return f"Not drawn: {others}, {where}; together {percent(weight)} now, target {percent(target)}."


def _description(bars: Sequence[DriftBar], shown: Sequence[DriftBar]) -> str:
    outside = sum(1 for bar in bars if bar.is_outside)
    rows = "; ".join(f"{clean(bar.symbol, _MAX_SYMBOL)} {_sentence(bar)}" for bar in shown)
    return f"{outside} of {len(bars)} assets outside their band. {rows}."
