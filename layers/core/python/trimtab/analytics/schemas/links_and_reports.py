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
    """The chart that the link shows: the resource, and the window where the resource has one.

    `from` and `to` are allowed with the window `custom` only, as in the query of the resource.
    """

    resource: ChartResource
    window: Span = Span.ONE_YEAR
    first: Annotated[Day | None, Field(alias="from")] = None
    last: Annotated[Day | None, Field(alias="to")] = None
    benchmark: Asset | None = None
    theme: Theme = Theme.AUTO

    def to_chart(self) -> ChartRequest:
        """Return the requested chart."""
        window = WindowRequest(self.window, self.first, self.last, self.benchmark)
        return ChartRequest(self.resource, window, self.theme)


class LinkView(Model):
    """A link that opens a chart in any browser, without a token, until the link expires."""

    url: str
    expires_at: datetime


class RequestReport(Model):
    """The month of the report; the previous month by default."""

    month: Month | None = None


class ReportView(Model):
    """A report on the way to the contacts of the portfolio. Each contact gets the report of a month once."""

    portfolio_id: str
    month: str
    report_id: str


def link_view(public_url: str, token: str, expires_at: datetime) -> dict[str, Any]:
    """Return the members of a `LinkView`; `public_url` is the address of the API."""
    return {"url": f"{public_url}/links/{token}", "expires_at": format_time(expires_at)}


def report_view(portfolio: PortfolioSummary, month: str) -> dict[str, Any]:
    """Return the members of a `ReportView`."""
    message_id = report_id(portfolio.tenant_id, portfolio.portfolio_id, month)
    return {"portfolio_id": portfolio.portfolio_id, "month": month, "report_id": message_id}
