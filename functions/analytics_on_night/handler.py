"""Asks for the valuation of every portfolio once a day's bars are stored, and for its report once a month is over."""

from datetime import date
from functools import lru_cache
from typing import Any

from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.analytics.adapters.work import WorkQueues, WorkSettings
from trimtab.analytics.service.nights import Nights
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs import sqs


class NightSettings(WorkSettings):
    """What this function is told by its environment."""

    analytics_table: str


@lru_cache(maxsize=1)
def nights() -> Nights:
    """The nights, wired to DynamoDB and SQS."""
    settings = NightSettings.load()
    return Nights(DynamoSeries(dynamodb(), settings.analytics_table), WorkQueues(sqs(), settings))


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """`bars.ingested` from the bus, or the schedule of the first days of a month."""
    if event["detail-type"] == "bars.ingested":
        asked = nights().value_all(date.fromisoformat(event["detail"]["data"]["day"]))
        count("ValuationsAsked", asked)
        logger.info("valuations asked for", portfolios=asked)
        return {"valuations": asked}
    asked = nights().report_all(utc_now().date())
    count("ReportsAsked", asked)
    logger.info("reports asked for", portfolios=asked)
    return {"reports": asked}
