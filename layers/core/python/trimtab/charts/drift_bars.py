"""The drift bars: the weight of each asset beside its target and band."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from trimtab.charts.axes import Scale, make_axis
from trimtab.charts.svg import (
    MARGIN,
    SIZE,
    SMALL,
    WIDTH,
    Theme,
    draw_box,
    draw_line,
    draw_path,
    draw_text,
    px,
    render_document,
    render_message,
)
from trimtab.charts.text import clean, fit_text, format_number, format_percent
from trimtab.kernel.money import ZERO

MAX_BARS = 40
_MAX_SYMBOL = 40
_ROW, _TOP = 24, 96
_PLOT = (132.0, 424.0)
_NOW_X, _DRIFT_X = 502, WIDTH - MARGIN


class DriftBar(Struct, frozen=True):
    """Weight, target and band edges of one asset, all in percent."""

    symbol: str
    weight: Decimal
    target: Decimal
    lower: Decimal
    upper: Decimal

    @property
    def drift(self) -> Decimal:
        """Weight minus target, in percentage points."""
        return self.weight - self.target

    @property
    def is_outside(self) -> bool:
        """True where the weight is strictly beyond an edge of the band."""
        return not self.lower <= self.weight <= self.upper


def draw_drift_bars(
    bars: Sequence[DriftBar], title: str, theme: Theme = Theme.AUTO, *, missing: str = "there is no target"
) -> str:
    """Return one row for each asset, heaviest first: bar, band, target and numbers, highlighted outside the band.

    At most 40 assets are drawn: those outside their band have priority, then the heaviest. A last line gives the
    number and total weight of the others. Without bars the chart is a message with the reason `missing`.
    """
    if not bars:
        return render_message(title, fit_text(f"No drift to show: {clean(missing)}.", WIDTH - 2 * MARGIN, 15), theme)
    shown, left = _chosen(bars)
    bottom = _TOP + _ROW * len(shown)
    ends = [end for bar in shown for end in (bar.weight, bar.target, bar.lower, bar.upper)]
    scale = make_axis(min(ZERO, *ends), max(Decimal(1), *ends), 4, *_PLOT)
    drawn = [*_legend(), *_axis(scale, bottom)]
    for place, bar in enumerate(shown):
        drawn += _row(bar, scale, _TOP + _ROW * place)
    if left:
        drawn.append(
            draw_text(
                MARGIN, bottom + 50, fit_text(_omitted_text(left), WIDTH - 2 * MARGIN, SMALL), "muted", size=SMALL
            )
        )
    return render_document(title, _description(bars, shown), bottom + (66 if left else 36), drawn, theme)


def _chosen(bars: Sequence[DriftBar]) -> tuple[list[DriftBar], list[DriftBar]]:
    def heavy(bar: DriftBar) -> tuple[Decimal, Decimal, str]:
        return -max(bar.weight, bar.target), -bar.weight, bar.symbol

    by_need = sorted(bars, key=lambda bar: (not bar.is_outside, heavy(bar)))
    return sorted(by_need[:MAX_BARS], key=heavy), by_need[MAX_BARS:]


def _legend() -> list[str]:
    y = 58
    return [
        draw_box(MARGIN, y - 9, 20, 9, "inside", radius=2),
        draw_text(MARGIN + 26, y, "inside its band", "muted", size=SMALL),
        draw_box(144, y - 9, 20, 9, "outside", radius=2),
        draw_text(170, y, "outside", "muted", size=SMALL),
        draw_box(236, y - 12, 20, 15, "band", radius=2),
        draw_text(262, y, "band", "muted", size=SMALL),
        draw_line(316, y - 12, 316, y + 3, "target", thick=2),
        draw_text(324, y, "target", "muted", size=SMALL),
        draw_text(_NOW_X, y + 24, "now", "muted", size=SMALL, anchor="end"),
        draw_text(_DRIFT_X, y + 24, "from target", "muted", size=SMALL, anchor="end"),
    ]


def _axis(scale: Scale, bottom: float) -> list[str]:
    places = 0 if scale.step == scale.step.to_integral_value() else 1
    drawn = []
    for tick in scale.ticks():
        x = scale.position(tick)
        drawn.append(draw_line(x, _TOP - 4, x, bottom + 2, "axis" if tick == 0 else "grid"))
        drawn.append(draw_text(x, bottom + 18, format_percent(tick, places), "muted", size=SMALL, anchor="middle"))
    return drawn


def _row(bar: DriftBar, scale: Scale, top: float) -> list[str]:
    name, base = clean(bar.symbol, _MAX_SYMBOL), top + 16
    style = "outside" if bar.is_outside else "inside"
    ink = "alarm" if bar.is_outside else "ink"
    zero, end = scale.position(ZERO), scale.position(bar.weight)
    band = scale.position(bar.lower), scale.position(bar.upper)
    drawn = [
        draw_text(MARGIN, base, fit_text(name, _PLOT[0] - MARGIN - 10, SIZE, bar.is_outside), ink, bold=bar.is_outside),
        draw_box(band[0], top + 2, max(band[1] - band[0], 1), 20, "band", radius=3),
        draw_box(min(zero, end), top + 7, max(abs(end - zero), 0.5), 10, style, hint=f"{name}: {_bar_text(bar)}"),
        draw_line(scale.position(bar.target), top + 2, scale.position(bar.target), top + 22, "target", thick=2),
        draw_text(_NOW_X, base, fit_text(format_percent(bar.weight), 74, SIZE), ink, anchor="end", bold=bar.is_outside),
        draw_text(
            _DRIFT_X,
            base,
            fit_text(format_number(bar.drift, 2, signed=True), 62, SIZE),
            ink,
            anchor="end",
            bold=bar.is_outside,
        ),
    ]
    if bar.is_outside:
        tip, foot = (top + 8, top + 16) if bar.weight > bar.upper else (top + 16, top + 8)
        drawn.append(
            draw_path(
                f"M{px(_NOW_X + 12)} {px(foot)}h9L{px(_NOW_X + 16.5)} {px(tip)}Z",
                "outside",
            )
        )
    return drawn


def _bar_text(bar: DriftBar) -> str:
    where = "inside" if not bar.is_outside else "above" if bar.weight > bar.upper else "below"
    band = f"{format_percent(bar.lower)} to {format_percent(bar.upper)}"
    return f"{format_percent(bar.weight)}, target {format_percent(bar.target)}, {where} its band of {band}"


def _omitted_text(left: Sequence[DriftBar]) -> str:
    weight, target = sum((bar.weight for bar in left), ZERO), sum((bar.target for bar in left), ZERO)
    outside = sum(1 for bar in left if bar.is_outside)
    where = f"{outside} of them outside their band" if outside else "all inside their band"
    others = f"{len(left)} other asset{'s' if len(left) > 1 else ''}"
    return f"Not drawn: {others}, {where}; together {format_percent(weight)} now, target {format_percent(target)}."


def _description(bars: Sequence[DriftBar], shown: Sequence[DriftBar]) -> str:
    outside = sum(1 for bar in bars if bar.is_outside)
    rows = "; ".join(f"{clean(bar.symbol, _MAX_SYMBOL)} {_bar_text(bar)}" for bar in shown)
    return f"{outside} of {len(bars)} assets outside their band. {rows}."
