"""Asks for the valuation of every portfolio when bars or splits of its past are new and when bars are late, and for its
report each month."""

from datetime import date
from functools import lru_cache
from typing import Any

from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.analytics.adapters.work import WorkQueues, WorkSettings
from trimtab.analytics.service.nights import Nights
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client


class NightSettings(WorkSettings):
    """What this function is told by its environment."""

    analytics_table: str


@lru_cache(maxsize=1)
def nights() -> Nights:
    """The nights, wired to DynamoDB and SQS."""
    settings = NightSettings.load()
    return Nights(DynamoSeries(dynamodb_client(), settings.analytics_table), WorkQueues(sqs_client(), settings))


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """`bars.ingested` or `split.entered` from the bus, or one of the schedules: `bars.late`, first days of a month."""
    today = utc_now().date()
    match event["detail-type"]:
        case "bars.ingested":
            asked = {"valuations": nights().value_all(_day(event, "day"))}
        case "split.entered":
            asked = {"valuations": nights().value_all_again(_day(event, "effective_on"), today)}
        case "bars.late":
            asked = {"valuations": nights().value_all(None)}
        case _:
            asked = {"reports": nights().report_all(today)}
    for what, portfolios in asked.items():
        count(f"{what.title()}Asked", portfolios)
    logger.info("asked for", extra=asked)
    return asked


def _day(event: dict[str, Any], name: str) -> date:
    return date.fromisoformat(event["detail"]["data"][name])
