"""The queues of the valuations and of the reports."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.runtime import sqs
from trimtab.runtime.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class WorkSettings(Settings):
    """The queues that a function sends to; an address that it does not have is empty."""

    valuations_queue_url: str = ""
    reports_queue_url: str = ""


class WorkQueues(Struct, frozen=True):
    """Sends to the queues."""

    client: "SQSClient"
    settings: WorkSettings

    def value(self, portfolios: Iterator[tuple[str, str]], since: date | None) -> int:
        """See `Work.value`."""
        more = {"since": since.isoformat()} if since else {}
        return self._send(self.settings.valuations_queue_url, "valuation.requested", portfolios, more)

    def report(self, portfolios: Iterator[tuple[str, str]], month: str) -> int:
        """See `Work.report`."""
        return self._send(self.settings.reports_queue_url, "report.requested", portfolios, {"month": month})

    def _send(self, url: str, type: str, portfolios: Iterator[tuple[str, str]], more: dict[str, Any]) -> int:
        message = {"schema_version": 1, "type": type, **more}
        return sqs.send_all(
            self.client,
            url,
            (
                (tenant_id, {**message, "tenant_id": tenant_id, "portfolio_id": portfolio_id})
                for tenant_id, portfolio_id in portfolios
            ),
        )
