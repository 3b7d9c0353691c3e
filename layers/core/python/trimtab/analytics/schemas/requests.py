"""The bodies that ask for links and reports, and the answers to them."""

from datetime import datetime
from typing import Any, Literal

from trimtab.analytics.domain.windows import Span
from trimtab.analytics.pictures.svg import Theme
from trimtab.analytics.schemas.pictures import Picture
from trimtab.analytics.service.analysis import Wanted
from trimtab.contracts.fields import Asset, Day, Model
from trimtab.kernel.clock import format_time


class MakeLink(Model):
    """The picture that a link shall show: of which resource, and of which window where that has one."""

    resource: Literal["sectors", "performance", "risk", "history", "drift"]
    window: Span = Span.ONE_YEAR
    first_day: Day | None = None
    last_day: Day | None = None
    benchmark: Asset | None = None
    theme: Theme = Theme.AUTO

    def to_picture(self) -> Picture:
        """The picture."""
        return Picture(self.resource, Wanted(self.window, self.first_day, self.last_day, self.benchmark), self.theme)


def link_view(token: str, expires_at: datetime) -> dict[str, Any]:
    """See `LinkView`."""
    return {"url": f"/links/{token}", "expires_at": format_time(expires_at)}
