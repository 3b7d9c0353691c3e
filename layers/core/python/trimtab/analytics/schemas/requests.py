"""The bodies that ask for links and reports, and the answers to them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas.charts import Picture
from trimtab.analytics.service.analysis import Wanted
from trimtab.analytics.service.ports import Portfolio
from trimtab.analytics.service.reports import report_id
from trimtab.charts.svg import Theme
from trimtab.contracts.fields import Asset, Day, Model, Month
from trimtab.kernel.clock import format_time


class MakeLink(Model):
    """The picture that a link shall show: of which resource, and of which window where that has one.

    `from` and `to` are those of the query: for the window `custom`.
    """

    resource: Literal["sectors", "performance", "risk", "history", "drift"]
    window: Span = Span.ONE_YEAR
    first: Annotated[Day | None, Field(alias="from")] = None
    last: Annotated[Day | None, Field(alias="to")] = None
    benchmark: Asset | None = None
    theme: Theme = Theme.AUTO

    def to_picture(self) -> Picture:
        """The picture."""
        return Picture(self.resource, Wanted(self.window, self.first, self.last, self.benchmark), self.theme)


class AskForReport(Model):
    """The month that is asked for; without it, the one before this."""

    month: Month | None = None


class ReportView(Model):
    """A report that is on its way to the contacts of the portfolio. Each of them gets that of a month once."""

    portfolio_id: str
    month: str
    report_id: str


def report_view(portfolio: Portfolio, month: str) -> dict[str, Any]:
    """See `ReportView`."""
    named = {"portfolio_id": portfolio.portfolio_id, "month": month}
    return {**named, "report_id": report_id(portfolio, month)}


def link_view(address: str, token: str, expires_at: datetime) -> dict[str, Any]:
    """See `LinkView`; `address` is that of the API."""
    return {"url": f"{address}/links/{token}", "expires_at": format_time(expires_at)}
