"""Bodies and answers about links to charts and monthly reports."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas.charts import ChartRequest, ChartResource
from trimtab.analytics.service.analysis import WindowRequest
from trimtab.analytics.service.report_writer import report_id
from trimtab.charts.svg import Theme
from trimtab.contracts.fields import Asset, Day, Model, Month
from trimtab.contracts.portfolios import PortfolioSummary
from trimtab.kernel.clock import format_time


class CreateLink(Model):
    """The chart that the link shows."""

    resource: ChartResource
    """The chart: `sectors`, `performance`, `risk`, `history` or `drift`."""
    window: Span = Span.ONE_YEAR
    """The length of the window, for the resources that have one. Default: `1Y`."""
    first: Annotated[Day | None, Field(alias="from")] = None
    """The opening day of a `custom` window; not allowed for others. Example: `2026-01-01`"""
    last: Annotated[Day | None, Field(alias="to")] = None
    """The last day of a `custom` window; not allowed for others. Example: `2026-11-20`"""
    benchmark: Asset | None = None
    """The symbol of a benchmark to compare with. Example: `SPY`"""
    theme: Theme = Theme.AUTO
    """The background of the chart. Default: `auto`, which follows the browser."""

    def to_chart(self) -> ChartRequest:
        """Return the requested chart."""
        window = WindowRequest(self.window, self.first, self.last, self.benchmark)
        return ChartRequest(self.resource, window, self.theme)


class LinkView(Model):
    """A link to a chart."""

    url: str
    """The address that opens the chart in any browser, without a token. Example:
    `https://api.example.com/prod/links/eyJ0IjoiMSJ9.abc`"""
    expires_at: datetime
    """The time at which the link ends (UTC)."""


class RequestReport(Model):
    """The report to send."""

    month: Month | None = None
    """The month of the report, which must be over. Default: the previous month."""


class ReportView(Model):
    """A report on the way to the contacts of the portfolio. Each contact gets the report of a month once."""

    portfolio_id: str
    month: str
    """The month of the report. Example: `2026-10`"""
    report_id: str
    """The id of the report, a UUID derived from tenant, portfolio and month. Example:
    `731eb848-c0f2-552f-b8d8-c216b7119182`"""


def link_view(public_url: str, token: str, expires_at: datetime) -> dict[str, Any]:
    """Return the members of a `LinkView`; `public_url` is the address of the API."""
    return {"url": f"{public_url}/links/{token}", "expires_at": format_time(expires_at)}


def report_view(portfolio: PortfolioSummary, month: str) -> dict[str, Any]:
    """Return the members of a `ReportView`."""
    message_id = report_id(portfolio.tenant_id, portfolio.portfolio_id, month)
    return {"portfolio_id": portfolio.portfolio_id, "month": month, "report_id": message_id}
