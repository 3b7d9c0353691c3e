"""Answers drawn as charts, and the payload of a link to a chart."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct, field

from trimtab.analytics.domain.windows import Span
from trimtab.analytics.service.analysis import Analysis, PortfolioHistory, SectorBreakdown, WindowRequest
from trimtab.analytics.service.report_writer import drift_bars_of, no_drift_text
from trimtab.charts.donut import Slice, draw_sector_donut
from trimtab.charts.drift_bars import draw_drift_bars
from trimtab.charts.svg import Theme
from trimtab.charts.text import format_day
from trimtab.charts.value_line import Point, draw_value_line
from trimtab.contracts.portfolios import PortfolioSnapshot
from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Forbidden
from trimtab.kernel.money import CONTEXT, HUNDRED

SVG = "image/svg+xml"
PAYLOAD_VERSION = "1"


class ChartResource(StrEnum):
    """A resource that can be drawn; performance and risk show the line of values."""

    SECTORS = "sectors"
    PERFORMANCE = "performance"
    RISK = "risk"
    HISTORY = "history"
    DRIFT = "drift"


class ChartRequest(Struct, frozen=True):
    """A requested chart: the resource, the window where the resource has one, and the background."""

    resource: ChartResource
    window: WindowRequest = field(default_factory=WindowRequest)
    theme: Theme = Theme.AUTO

    def draw(self, analysis: Analysis, caller: Caller, portfolio_id: str) -> str:
        """Return the chart of the caller's portfolio as SVG."""
        match self.resource:
            case ChartResource.SECTORS:
                sectors = analysis.sectors(analysis.snapshot(caller, portfolio_id))
                return sectors_chart(sectors, self.theme)
            case ChartResource.DRIFT:
                return drift_chart(analysis.snapshot(caller, portfolio_id), self.theme)
            case ChartResource.PERFORMANCE | ChartResource.RISK | ChartResource.HISTORY:
                history = analysis.history(analysis.portfolio(caller, portfolio_id), self.window)
                return value_chart(history, self.theme)
            case _:
                assert_never(self.resource)

    def to_payload(self) -> dict[str, str]:
        """Return the payload of a link, with the version of its form as `v`."""
        days = {"from": self.window.first, "to": self.window.last}
        return {
            "v": PAYLOAD_VERSION,
            "resource": self.resource.value,
            "theme": self.theme.value,
            "window": self.window.span.value,
            **{name: day.isoformat() for name, day in days.items() if day},
            **({"benchmark": self.window.benchmark} if self.window.benchmark else {}),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, str]) -> "ChartRequest":
        """Return the chart of a link's payload; raises `Forbidden` for another form."""
        match payload.get("v"):
            case "1":
                first, last = (
                    date.fromisoformat(payload[name]) if name in payload else None for name in ("from", "to")
                )
                window = WindowRequest(Span(payload["window"]), first, last, payload.get("benchmark"))
                return cls(ChartResource(payload["resource"]), window, Theme(payload["theme"]))
            case _:
                raise Forbidden("invalid_link", "Another release made this link. Request a new link.")


def sectors_chart(sectors: SectorBreakdown, theme: Theme) -> str:
    """Return the ring of the sectors."""
    slices = [Slice(sector.name, sector.weight) for sector in sectors.exposure.sectors]
    return draw_sector_donut(slices, _dated_title("Sectors", sectors.snapshot), theme)


def drift_chart(snapshot: PortfolioSnapshot, theme: Theme) -> str:
    """Return each asset beside its target and band."""
    title = _dated_title("Drift", snapshot)
    return draw_drift_bars(drift_bars_of(snapshot), title, theme, missing=no_drift_text(snapshot))


def value_chart(history: PortfolioHistory, theme: Theme) -> str:
    """Return the line of values with the time-weighted drawdown, and the benchmark where one was named."""
    benchmark = history.benchmark
    invested = benchmark.invest_flows(history.covered) if benchmark else {}
    return draw_value_line(
        [Point(value.day, value.value) for value in history.covered],
        [Point(day, value) for day, value in invested.items()],
        f"Value of {history.portfolio.name}",
        history.portfolio.currency,
        theme,
        index=_index(history),
        benchmark_name=benchmark.symbol if benchmark else "",
    )


def _dated_title(noun: str, snapshot: PortfolioSnapshot) -> str:
    """Return the title with the day of the oldest price, the only mark of a chart's age."""
    title = f"{noun} of {snapshot.portfolio.name}"
    return f"{title}, {format_day(snapshot.as_of.date())}" if snapshot.as_of else title


def _index(history: PortfolioHistory) -> list[Point]:
    """Return the time-weighted index by day, 100 at the opening: free of deposits and withdrawals."""
    returns, index = history.performance().returns, Decimal(HUNDRED)
    points = [Point(returns.opened, index)] if returns.opened else []
    for day, change in returns.by_day.items():
        index = CONTEXT.multiply(index, 1 + change)
        points.append(Point(day, index))
    return points
