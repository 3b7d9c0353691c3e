"""Decides drift reports from the queue `rebalance-requests`."""

from functools import lru_cache
from typing import Any

# Stands before pydantic on purpose: after it, Powertools would build its models of four event sources.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import Json

from trimtab.contracts.messages import RebalanceRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.rebalancing.decisions import Decisions
from trimtab.portfolios.store import DynamoStore
from trimtab.runtime import queue
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings


class WorkerSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    sender_tenants: Json[dict[str, list[str]]]


# A batch of which every record fails is answered like any other: an exception would only hide which ones.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@lru_cache(maxsize=1)
def settings() -> WorkerSettings:
    """The settings, read on first use."""
    return WorkerSettings.load()


@lru_cache(maxsize=1)
def decisions() -> Decisions:
    """The decisions, wired to DynamoDB."""
    return Decisions(DynamoStore(dynamodb(), settings().portfolios_table), utc_now)


def decide(record: SQSRecord) -> None:
    """Decides one report; raising returns it to the queue."""
    message = queue.read(record, RebalanceRequested)
    queue.require_sender(record, message.tenant_id, settings().sender_tenants)
    outcome = decisions().decide(message, queue.sent_at(record))
    count(f"Rebalance{outcome.status.value.title().replace('_', '')}")
    logger.info("decided", rebalance_id=outcome.rebalance_id, status=outcome.status.value)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of messages; those that could not be decided are returned to the queue."""
    return queue.process(processor, event, context, decide)
