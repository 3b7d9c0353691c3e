"""The queues of valuations and of monthly reports."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.messages import ReportRequested, ValuationRequested
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import send_messages

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class AnalyticsQueueSettings(Settings):
    """Addresses of the queues; empty where the function has no such queue."""

    valuations_queue_url: str = ""
    reports_queue_url: str = ""


class AnalyticsQueues(Struct, frozen=True):
    """Sends requests for valuations and reports."""

    client: "SQSClient"
    settings: AnalyticsQueueSettings

    def request_valuations(self, portfolios: Iterable[tuple[str, str]], since: date | None) -> int:
        """Request a valuation of each portfolio (tenant id, portfolio id) from `since` on; return the number sent.

        `since` None requests the days that are missing.
        """
        messages = (
            ValuationRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, since=since)
            for tenant_id, portfolio_id in portfolios
        )
        return send_messages(self.client, self.settings.valuations_queue_url, messages)

    def request_valuations_of_changes(self, changes: Mapping[tuple[str, str], date | None]) -> int:
        """Request a valuation of each changed portfolio unless its present version is valued; return the number sent.

        `changes` holds the first changed day (None: no past day) by tenant id and portfolio id.
        """
        messages = (
            ValuationRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, since=since, unless_valued=True)
            for (tenant_id, portfolio_id), since in changes.items()
        )
        return send_messages(self.client, self.settings.valuations_queue_url, messages)

    def request_reports(self, portfolios: Iterable[tuple[str, str]], month: str) -> int:
        """Request the report of a month (`2026-10`) for each portfolio; return the number sent."""
        messages = (
            ReportRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, month=month)
            for tenant_id, portfolio_id in portfolios
        )
        return send_messages(self.client, self.settings.reports_queue_url, messages)
