"""The value line: daily values, a benchmark if given, and the drawdown in a second panel."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from msgspec import Struct

from trimtab.charts.axes import Scale, choose_day_ticks, format_money_ticks, make_axis
from trimtab.charts.svg import (
    MARGIN,
    SMALL,
    WIDTH,
    Theme,
    draw_line,
    draw_path,
    draw_text,
    px,
    render_document,
    render_message,
)
from trimtab.charts.text import clean, fit_text, format_day, format_money, format_percent, text_width
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO

MAX_POINTS = 600
_HEIGHT = 420
_VALUES, _LOSSES = (92.0, 274.0), (318.0, 382.0)  # the two panels, from top to bottom
_RIGHT = WIDTH - 22
_TICK_ROOM = 62
_LABEL_ROOM = 150
_LEAST_SPAN = Decimal("0.005")  # share of the value: a finer axis would magnify cents


class Point(Struct, frozen=True):
    """A value at the end of a day, in money."""

    day: date
    value: Decimal


def draw_value_line(
    points: Sequence[Point],
    benchmark: Sequence[Point] | None,
    title: str,
    currency: str,
    theme: Theme = Theme.AUTO,
    *,
    index: Sequence[Point] | None = None,
    benchmark_name: str = "Benchmark",
) -> str:
    """Return the values as an SVG line, with the benchmark as a second line and the drawdown in a panel below.

    The drawdown is that of `index` (a time-weighted index, free of deposits and withdrawals) where the index has any
    of the days, else that of the values. Of more than 600 days the line keeps the lowest and highest point of each
    interval, so that no peak is lost. Without points the chart is a message.
    """
    values = _in_order(points)
    if not values:
        return render_message(title, "No values yet: the first appears after the first day that is valued.", theme)
    grown = [
        point for point in compute_drawdowns(_in_order(index or ())) if values[0].day <= point.day <= values[-1].day
    ]
    losses = grown or compute_drawdowns(values)
    beside = [point for point in _in_order(benchmark or ()) if values[0].day <= point.day <= values[-1].day]
    top = _value_scale(values, beside)
    labels = [fit_text(text, _LABEL_ROOM, SMALL) for text in format_money_ticks(top.ticks(), top.step, currency)]
    low = _loss_scale(losses)
    left = MARGIN + 10 + max(text_width(text, SMALL) for text in (*labels, format_percent(low.low, 1)))
    days = _Days(values[0].day, values[-1].day, left)
    drawn = [*_header(values, currency, benchmark_name if beside else None)]
    drawn += [
        *_grid(top, labels, left),
        *_grid(low, [format_percent(tick, _places(low)) for tick in low.ticks()], left),
    ]
    drawn += [*_day_axis(days), *_lines(values, beside, top, days), *_losses(losses, low, days, bool(grown))]
    return render_document(title, _description(values, losses, currency), _HEIGHT, drawn, theme)


def compute_drawdowns(points: Sequence[Point]) -> list[Point]:
    """Return the drawdown of each value from the highest before, in percent: 0 or less."""
    fallen, peak = [], ZERO
    for point in points:
        peak = max(peak, point.value)
        below = CONTEXT.multiply(CONTEXT.divide(point.value - peak, peak), HUNDRED) if peak > 0 else ZERO
        fallen.append(Point(point.day, max(below, -HUNDRED)))
    return fallen


def thin_out(points: Sequence[Point], most: int = MAX_POINTS) -> list[Point]:
    """Return at most `most` points: both ends, and the lowest and highest point of each interval between."""
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretches = (most - 2) // 2
    kept = [points[0]]
    for place in range(stretches):
        stretch = inner[len(inner) * place // stretches : len(inner) * (place + 1) // stretches]
        ends = {min(stretch, key=lambda point: point.value), max(stretch, key=lambda point: point.value)}
        kept += sorted(ends, key=lambda point: point.day)
    return [*kept, points[-1]]


class _Days(Struct, frozen=True):
    first: date
    last: date
    left: float

    def position(self, day: date) -> float:
        days = (self.last - self.first).days
        return self.left + (_RIGHT - self.left) * ((day - self.first).days / days if days else 0.5)


def _in_order(points: Sequence[Point]) -> list[Point]:
    newest = {point.day: point for point in points}  # of a repeated day the last value counts
    return [newest[day] for day in sorted(newest)]


def _value_scale(values: Sequence[Point], beside: Sequence[Point]) -> Scale:
    amounts = [point.value for point in (*values, *beside)]
    low, high = min(amounts), max(amounts)
    least = max(abs(high) * _LEAST_SPAN, Decimal("0.2"))
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    return make_axis(low, high, 4, _VALUES[1], _VALUES[0])


def _loss_scale(losses: Sequence[Point]) -> Scale:
    return make_axis(min(Decimal(-1), *(point.value for point in losses)), ZERO, 2, _LOSSES[1], _LOSSES[0])


def _places(scale: Scale) -> int:
    return 0 if scale.step == scale.step.to_integral_value() else 1


def _header(values: Sequence[Point], currency: str, benchmark_name: str | None) -> list[str]:
    last = values[-1]
    summary = f"{format_money(last.value, currency)} on {format_day(last.day)}"
    drawn = [draw_text(MARGIN, 56, fit_text(summary, 290, 14), "muted", size=14)]
    if benchmark_name:
        name = fit_text(f"{clean(benchmark_name, 60)}, same deposits", 170, SMALL)
        beside = _RIGHT - text_width(name, SMALL)
        own = beside - 48 - text_width("Portfolio", SMALL)
        drawn += [
            draw_line(own - 30, 52, own - 6, 52, "line", thick=2.5),
            draw_text(own, 56, "Portfolio", "muted", size=SMALL),
            draw_line(beside - 30, 52, beside - 6, 52, "benchmark", thick=2, dash="5 3"),
            draw_text(beside, 56, name, "muted", size=SMALL),
        ]
    return drawn


def _grid(scale: Scale, labels: Sequence[str], left: float) -> list[str]:
    drawn = []
    for tick, label in zip(scale.ticks(), labels, strict=True):
        y = scale.position(tick)
        drawn.append(draw_line(left, y, _RIGHT, y, "grid"))
        drawn.append(draw_text(left - 8, y + 4, label, "muted", size=SMALL, anchor="end"))
    return drawn


def _day_axis(days: _Days) -> list[str]:
    drawn = []
    most = int((_RIGHT - days.left) // _TICK_ROOM)
    for day, label in choose_day_ticks(days.first, days.last, most):
        x = days.position(day)
        half = text_width(label, SMALL) / 2
        drawn += [draw_line(x, top, x, bottom, "grid") for top, bottom in (_VALUES, _LOSSES)]
        written = min(max(x, MARGIN + half), WIDTH - 4 - half)
        drawn.append(draw_text(written, _HEIGHT - 18, label, "muted", size=SMALL, anchor="middle"))
    return drawn


def _lines(values: Sequence[Point], beside: Sequence[Point], scale: Scale, days: _Days) -> list[str]:
    def place(point: Point) -> str:
        return f"{px(days.position(point.day))},{px(scale.position(point.value))}"

    line = _path(values, place)
    floor = px(_VALUES[1])
    area = f"{line}V{floor}H{px(days.position(values[0].day))}Z"
    more = ' fill="none" stroke-width="{}" stroke-linejoin="round" stroke-linecap="round"'
    drawn = [draw_path(area, "area", more=' fill-opacity="0.08"')]
    if beside:
        dashes = more.format(1.75) + ' stroke-dasharray="5 4"'
        drawn.append(draw_path(_path(beside, place), "benchmark", more=dashes))
    x, y = place(values[-1]).split(",")
    return [*drawn, draw_path(line, "line", more=more.format(2)), f'<circle class="dot" cx="{x}" cy="{y}" r="4"/>']


def _losses(losses: Sequence[Point], scale: Scale, days: _Days, has_index: bool) -> list[str]:
    def place(point: Point) -> str:
        return f"{px(days.position(point.day))},{px(scale.position(point.value))}"

    line, zero = _path(losses, place), px(_LOSSES[0])
    area = f"{line}V{zero}H{px(days.position(losses[0].day))}Z"
    deepest = min(losses, key=lambda point: (point.value, point.day))
    summary = "Drawdown" + (" without deposits and withdrawals" if has_index else " of the value")
    if deepest.value < 0:
        summary += f", deepest {format_percent(deepest.value, 1)} on {format_day(deepest.day)}"
    return [
        draw_text(days.left, _LOSSES[0] - 14, fit_text(summary, _RIGHT - days.left, SMALL), "muted", size=SMALL),
        draw_path(area, "loss", more=' fill-opacity="0.28"'),
        draw_path(line, "loss-line", more=' fill="none" stroke-width="1.25" stroke-linejoin="round"'),
    ]


def _path(points: Sequence[Point], place: Callable[[Point], str]) -> str:
    return "M" + "L".join(place(point) for point in thin_out(points))


def _description(values: Sequence[Point], losses: Sequence[Point], currency: str) -> str:
    first, last = values[0], values[-1]
    low, high = (choose(values, key=lambda point: point.value) for choose in (min, max))
    parts = [f"{format_money(point.value, currency)} on {format_day(point.day)}" for point in (first, last, low, high)]
    deepest = min(losses, key=lambda point: (point.value, point.day))
    return (
        f"Value over {len(values)} days: {parts[0]} first, {parts[1]} last, {parts[2]} lowest, {parts[3]} highest; "
        f"deepest drawdown {format_percent(deepest.value, 1)}."
    )
