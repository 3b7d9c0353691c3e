"""Writes trades that need more earlier trades folded than a client can wait for."""

from functools import lru_cache
from typing import Any

# Stands before pydantic on purpose: after it, Powertools would build its models of four event sources.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from trimtab.contracts.messages import RecalculationRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.ledger.recalculations import Recalculations
from trimtab.portfolios.ledger.store import DynamoLedger
from trimtab.runtime import queue
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings


class RecalculationSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    market_table: str


processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@lru_cache(maxsize=1)
def recalculations() -> Recalculations:
    """The recalculations, wired to DynamoDB."""
    settings = RecalculationSettings.load()
    return Recalculations(DynamoLedger(dynamodb(), settings.portfolios_table, settings.market_table), utc_now)


def recalculate(record: SQSRecord) -> None:
    """Does one recalculation; raising returns it to the queue."""
    message = queue.read(record, RecalculationRequested)
    job = recalculations().run(message.tenant_id, message.portfolio_id, message.job_id)
    if job is None:
        raise queue.PoisonError(f"no recalculation {message.job_id}")
    count(f"Recalculation{job.status.value.title()}")
    logger.info("recalculated", job_id=job.job_id, status=job.status.value)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of messages; those that could not be done are returned to the queue."""
    return queue.process(processor, event, context, recalculate)
