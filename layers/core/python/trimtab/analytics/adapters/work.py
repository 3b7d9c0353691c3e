"""The queues of the valuations and of the reports."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.messages import ReportRequested, ValuationRequested
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import send_messages

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
        messages = (
            ValuationRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, since=since)
            for tenant_id, portfolio_id in portfolios
        )
        return send_messages(self.client, self.settings.valuations_queue_url, messages)

    def report(self, portfolios: Iterator[tuple[str, str]], month: str) -> int:
        """See `Work.report`."""
        messages = (
            ReportRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, month=month)
            for tenant_id, portfolio_id in portfolios
        )
        return send_messages(self.client, self.settings.reports_queue_url, messages)
