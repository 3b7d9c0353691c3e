"""The value line: what a portfolio was worth, day by day, and below it how far that was under its highest value."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from msgspec import Struct

from trimtab.charts.axes import Scale, between, day_ticks, money_ticks
from trimtab.charts.svg import MARGIN, SMALL, WIDTH, Theme, at, document, nothing, rule, shape, words
from trimtab.charts.text import clean, day_text, fit, money, percent, width
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO

MAX_POINTS = 600
_HEIGHT = 420
_VALUES, _LOSSES = (92.0, 274.0), (318.0, 382.0)  # the two panels, from top to bottom
_RIGHT = WIDTH - 22
_TICK_ROOM = 62
_LABEL_ROOM = 150
_LEAST_SPAN = Decimal("0.005")  # of the value: an axis finer than this would make mountains of cents


class Point(Struct, frozen=True):
    """A value at the end of a day, in money."""

    day: date
    value: Decimal


def value_line(
    points: Sequence[Point],
    benchmark: Sequence[Point] | None,
    title: str,
    currency: str,
    theme: Theme = Theme.AUTO,
    *,
    index: Sequence[Point] | None = None,
    benchmark_name: str = "Benchmark",
) -> str:
    """The values as a line with their drawdown below, beside what the same money would be worth in the benchmark.

    The drawdown is that of the `index` (a time-weighted one, in which deposits and withdrawals do not count) where it
    is given and has any of the days, else of the values. Of more than 600 days the line keeps the lowest and the
    highest of each stretch, so that no peak is lost. No points: a picture that says so.
    """
    values = _in_order(points)
    if not values:
        return nothing(title, "No values yet: the first appears after the first day that is valued.", theme)
    grown = [one for one in drawdowns(_in_order(index or ())) if values[0].day <= one.day <= values[-1].day]
    losses = grown or drawdowns(values)
    beside = [one for one in _in_order(benchmark or ()) if values[0].day <= one.day <= values[-1].day]
    top = _value_scale(values, beside)
    labels = [fit(text, _LABEL_ROOM, SMALL) for text in money_ticks(top.ticks(), top.step, currency)]
    low = _loss_scale(losses)
    left = MARGIN + 10 + max(width(text, SMALL) for text in (*labels, percent(low.low, 1)))
    days = _Days(values[0].day, values[-1].day, left)
    drawn = [*_header(values, currency, benchmark_name if beside else None)]
    drawn += [*_grid(top, labels, left), *_grid(low, [percent(tick, _places(low)) for tick in low.ticks()], left)]
    drawn += [*_day_axis(days), *_lines(values, beside, top, days), *_losses(losses, low, days, bool(grown))]
    return document(title, _description(values, losses, currency), _HEIGHT, drawn, theme)


def drawdowns(points: Sequence[Point]) -> list[Point]:
    """How far each value is below the highest before it, in percent: 0 or less."""
    fallen, peak = [], ZERO
    for point in points:
        peak = max(peak, point.value)
        below = CONTEXT.multiply(CONTEXT.divide(point.value - peak, peak), HUNDRED) if peak > 0 else ZERO
        fallen.append(Point(point.day, max(below, -HUNDRED)))
    return fallen


def thinned(points: Sequence[Point], most: int = MAX_POINTS) -> list[Point]:
    """At most that many of the points: both ends, and the lowest and highest of each stretch between them."""
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

    def at(self, day: date) -> float:
        days = (self.last - self.first).days
        return self.left + (_RIGHT - self.left) * ((day - self.first).days / days if days else 0.5)


def _in_order(points: Sequence[Point]) -> list[Point]:
    newest = {point.day: point for point in points}  # a day that is given twice counts as it was given last
    return [newest[day] for day in sorted(newest)]


def _value_scale(values: Sequence[Point], beside: Sequence[Point]) -> Scale:
    amounts = [point.value for point in (*values, *beside)]
    low, high = min(amounts), max(amounts)
    least = max(abs(high) * _LEAST_SPAN, Decimal("0.2"))
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    return between(low, high, 4, _VALUES[1], _VALUES[0])


def _loss_scale(losses: Sequence[Point]) -> Scale:
    return between(min(Decimal(-1), *(point.value for point in losses)), ZERO, 2, _LOSSES[1], _LOSSES[0])


def _places(scale: Scale) -> int:
    return 0 if scale.step == scale.step.to_integral_value() else 1


def _header(values: Sequence[Point], currency: str, benchmark_name: str | None) -> list[str]:
    last = values[-1]
    said = f"{money(last.value, currency)} on {day_text(last.day)}"
    drawn = [words(MARGIN, 56, fit(said, 290, 14), "muted", size=14)]
    if benchmark_name:
        name = fit(f"{clean(benchmark_name, 60)}, same deposits", 170, SMALL)
        beside = _RIGHT - width(name, SMALL)
        own = beside - 48 - width("Portfolio", SMALL)
        drawn += [
            rule(own - 30, 52, own - 6, 52, "line", thick=2.5),
            words(own, 56, "Portfolio", "muted", size=SMALL),
            rule(beside - 30, 52, beside - 6, 52, "benchmark", thick=2, dash="5 3"),
            words(beside, 56, name, "muted", size=SMALL),
        ]
    return drawn


def _grid(scale: Scale, labels: Sequence[str], left: float) -> list[str]:
    drawn = []
    for tick, label in zip(scale.ticks(), labels, strict=True):
        y = scale.at(tick)
        drawn.append(rule(left, y, _RIGHT, y, "grid"))
        drawn.append(words(left - 8, y + 4, label, "muted", size=SMALL, anchor="end"))
    return drawn


def _day_axis(days: _Days) -> list[str]:
    drawn = []
    most = int((_RIGHT - days.left) // _TICK_ROOM)
    for day, label in day_ticks(days.first, days.last, most):
        x = days.at(day)
        half = width(label, SMALL) / 2
        drawn += [rule(x, top, x, bottom, "grid") for top, bottom in (_VALUES, _LOSSES)]
        written = min(max(x, MARGIN + half), WIDTH - 4 - half)
        drawn.append(words(written, _HEIGHT - 18, label, "muted", size=SMALL, anchor="middle"))
    return drawn


def _lines(values: Sequence[Point], beside: Sequence[Point], scale: Scale, days: _Days) -> list[str]:
    def place(point: Point) -> str:
        return f"{at(days.at(point.day))},{at(scale.at(point.value))}"

    line = _path(values, place)
    floor = at(_VALUES[1])
    area = f"{line}V{floor}H{at(days.at(values[0].day))}Z"
    more = ' fill="none" stroke-width="{}" stroke-linejoin="round" stroke-linecap="round"'
    drawn = [shape(area, "area", more=' fill-opacity="0.08"')]
    if beside:
        dashes = more.format(1.75) + ' stroke-dasharray="5 4"'
        drawn.append(shape(_path(beside, place), "benchmark", more=dashes))
    x, y = place(values[-1]).split(",")
    return [*drawn, shape(line, "line", more=more.format(2)), f'<circle class="dot" cx="{x}" cy="{y}" r="4"/>']


def _losses(losses: Sequence[Point], scale: Scale, days: _Days, has_index: bool) -> list[str]:
    def place(point: Point) -> str:
        return f"{at(days.at(point.day))},{at(scale.at(point.value))}"

    line, zero = _path(losses, place), at(_LOSSES[0])
    area = f"{line}V{zero}H{at(days.at(losses[0].day))}Z"
    deepest = min(losses, key=lambda point: (point.value, point.day))
    said = "Drawdown" + (" without deposits and withdrawals" if has_index else " of the value")
    if deepest.value < 0:
        said += f", deepest {percent(deepest.value, 1)} on {day_text(deepest.day)}"
    return [
        words(days.left, _LOSSES[0] - 14, fit(said, _RIGHT - days.left, SMALL), "muted", size=SMALL),
        shape(area, "loss", more=' fill-opacity="0.28"'),
        shape(line, "loss-line", more=' fill="none" stroke-width="1.25" stroke-linejoin="round"'),
    ]


def _path(points: Sequence[Point], place: Callable[[Point], str]) -> str:
    return "M" + "L".join(place(point) for point in thinned(points))


def _description(values: Sequence[Point], losses: Sequence[Point], currency: str) -> str:
    first, last = values[0], values[-1]
    low, high = (choose(values, key=lambda point: point.value) for choose in (min, max))
    parts = [f"{money(one.value, currency)} on {day_text(one.day)}" for one in (first, last, low, high)]
    deepest = min(losses, key=lambda point: (point.value, point.day))
    return (
        f"Value over {len(values)} days: {parts[0]} first, {parts[1]} last, {parts[2]} lowest, {parts[3]} highest; "
        f"deepest drawdown {percent(deepest.value, 1)}."
    )
