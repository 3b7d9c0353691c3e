"""The same answers as pictures."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from msgspec import Struct, field

from trimtab.analytics.domain.windows import Span
from trimtab.analytics.service.analysis import Analysis, Past, Sectors, Wanted
from trimtab.analytics.service.ports import Portfolio, Standing
from trimtab.analytics.service.reports import drifts, no_drift
from trimtab.charts.donut import Slice, sector_donut
from trimtab.charts.drift_bars import drift_bars
from trimtab.charts.svg import Theme
from trimtab.charts.text import day_text
from trimtab.charts.value_line import Point, value_line
from trimtab.kernel.money import CONTEXT, HUNDRED

SVG = "image/svg+xml"
RESOURCES = ("sectors", "performance", "risk", "history", "drift")


class Picture(Struct, frozen=True):
    """A picture of a resource: what it shows, of which window, on which background."""

    resource: str
    wanted: Wanted = field(default_factory=Wanted)
    theme: Theme = Theme.AUTO

    def draw(self, analysis: Analysis, portfolio: Portfolio) -> str:
        """The picture of the portfolio as SVG."""
        match self.resource:
            case "sectors":
                return sectors_chart(portfolio, analysis.sectors(portfolio), self.theme)
            case "drift":
                return drift_chart(portfolio, analysis.now(portfolio), self.theme)
            case _:
                return value_chart(analysis.past(portfolio, self.wanted), self.theme)

    def to_payload(self) -> dict[str, str]:
        """What a link carries of it."""
        days = {"from": self.wanted.first, "to": self.wanted.last}
        return {
            "resource": self.resource,
            "theme": self.theme.value,
            "window": self.wanted.span.value,
            **{name: day.isoformat() for name, day in days.items() if day},
            **({"benchmark": self.wanted.benchmark} if self.wanted.benchmark else {}),
        }


def picture_of(payload: Mapping[str, str]) -> Picture:
    """The picture that a link carries."""
    first, last = (date.fromisoformat(payload[name]) if name in payload else None for name in ("from", "to"))
    wanted = Wanted(Span(payload["window"]), first, last, payload.get("benchmark"))
    return Picture(payload["resource"], wanted, Theme(payload["theme"]))


def sectors_chart(portfolio: Portfolio, it: Sectors, theme: Theme) -> str:
    """The ring of the sectors."""
    slices = [Slice(each.name, each.weight) for each in it.exposure.sectors]
    return sector_donut(slices, _dated(f"Sectors of {portfolio.name}", it.standing), theme)


def drift_chart(portfolio: Portfolio, it: Standing, theme: Theme) -> str:
    """Each asset against its target and band."""
    return drift_bars(drifts(it), _dated(f"Drift of {portfolio.name}", it), theme, missing=no_drift(it))


def _dated(title: str, it: Standing) -> str:
    """With the day of the oldest price in it: a picture does not say otherwise how old it is."""
    return f"{title}, {day_text(it.as_of.date())}" if it.as_of else title


def value_chart(it: Past, theme: Theme) -> str:
    """The values of the window with their time-weighted drawdown, beside the benchmark if there is one."""
    beside = it.benchmark.with_flows_of(it.covered) if it.benchmark else {}
    return value_line(
        [Point(each.day, each.value) for each in it.covered],
        [Point(day, worth) for day, worth in beside.items()],
        f"Value of {it.portfolio.name}",
        it.portfolio.currency,
        theme,
        index=_index(it),
        benchmark_name=it.benchmark.symbol if it.benchmark else "",
    )


def _index(it: Past) -> list[Point]:
    """What 100 that were in all the time became, day by day: in it, deposits and withdrawals do not count."""
    returns, worth = it.performance.returns, Decimal(HUNDRED)
    points = [Point(returns.opened, worth)] if returns.opened else []
    for day, change in returns.by_day.items():
        worth = CONTEXT.multiply(worth, 1 + change)
        points.append(Point(day, worth))
    return points
