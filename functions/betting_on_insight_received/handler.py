"""Keeps the newest insight of each selection from the queue `insights`."""

from functools import lru_cache
from typing import Any

# Stands before pydantic on purpose: after it, Powertools would build its models of four event sources.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import Json

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.schemas.requests import insight_of
from trimtab.betting.service.insights import Insights
from trimtab.contracts.messages import InsightReceived
from trimtab.kernel.clock import utc_now
from trimtab.runtime import queue
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings


class InsightSettings(Settings):
    """What this function is told by its environment."""

    betting_table: str
    sender_tenants: Json[dict[str, list[str]]]


processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@lru_cache(maxsize=1)
def settings() -> InsightSettings:
    """The settings, read on first use."""
    return InsightSettings.load()


@lru_cache(maxsize=1)
def insights() -> Insights:
    """The insights, wired to DynamoDB."""
    return Insights(DynamoBook(dynamodb(), settings().betting_table), utc_now)


def keep(record: SQSRecord) -> None:
    """Keeps one insight; raising returns it to the queue."""
    message = queue.read(record, InsightReceived)
    queue.require_sender(record, message.tenant_id, settings().sender_tenants)
    kept = insights().keep(message.tenant_id, insight_of(message))
    count("InsightsKept" if kept else "InsightsDropped")
    logger.info("insight", market_id=message.market_id, selection_id=message.selection_id, kept=kept)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of messages; those that could not be kept are returned to the queue."""
    return queue.process(processor, event, context, keep)
