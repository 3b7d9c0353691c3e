"""Requests a valuation of every portfolio after new bars or splits and when bars are late, and the monthly reports."""

from datetime import date
from functools import lru_cache
from typing import Any

from trimtab.analytics.adapters.queues import AnalyticsQueues, AnalyticsQueueSettings
from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.service.bulk_requests import BulkRequests
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.tracing import instrumented


class NightSettings(AnalyticsQueueSettings):
    """Settings of the function, from the environment."""

    analytics_table: str


@lru_cache(maxsize=1)
def bulk_requests() -> BulkRequests:
    """Return the requests for all portfolios, wired on first use."""
    settings = NightSettings.load()
    return BulkRequests(
        SeriesStore(dynamodb_client(), settings.analytics_table), AnalyticsQueues(sqs_client(), settings)
    )


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Handle `bars.ingested` or an event of a split from the bus, `bars.late`, or the schedule of monthly reports."""
    today = utc_now().date()
    match event["detail-type"]:
        case "bars.ingested":
            requested = {"valuations": bulk_requests().request_valuations(_day(event, "day"))}
        case "split.entered" | "split.amended" | "split.withdrawn":
            requested = {"valuations": bulk_requests().request_revaluations(_day(event, "effective_on"), today)}
        case "bars.late":
            requested = {"valuations": bulk_requests().request_valuations(None)}
        case _:
            requested = {"reports": bulk_requests().request_reports(today)}
    for noun, portfolios in requested.items():
        count(f"{noun.title()}Requested", portfolios)
    logger.info("requested", extra=requested)
    return requested


def _day(event: dict[str, Any], name: str) -> date:
    return date.fromisoformat(event["detail"]["data"][name])
