"""Settles the open orders of closed markets, asked for on the queue `settlements`."""

from functools import lru_cache
from typing import Any

# Stands before pydantic on purpose: after it, Powertools would build its models of four event sources.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.adapters.queues import Settlements as SettlementQueue
from trimtab.betting.service.ports import Check
from trimtab.betting.service.settlements import Settlements
from trimtab.contracts.messages import SettlementRequested
from trimtab.kernel.clock import utc_now
from trimtab.runtime import queue
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs import sqs


class SettlementSettings(Settings):
    """What this function is told by its environment."""

    betting_table: str
    settlements_queue_url: str
    settlement_recheck_seconds: int


processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@lru_cache(maxsize=1)
def settlements() -> Settlements:
    """The settlements, wired to DynamoDB and SQS."""
    settings = SettlementSettings.load()
    book = DynamoBook(dynamodb(), settings.betting_table)
    queue = SettlementQueue(sqs(), settings.settlements_queue_url)
    return Settlements(book, queue, utc_now, settings.settlement_recheck_seconds)


def settle(record: SQSRecord) -> None:
    """Settles a user's orders in a market, asks for those of each user, or looks whether any are left; raising returns
    it to the queue."""
    it = queue.read(record, SettlementRequested)
    if it.check:
        left = settlements().check(it.tenant_id, it.market_id, Check(it.after, it.orders, it.tries))
        logger.info("users looked at", market_id=it.market_id, after=it.after, left=left, tries=it.tries)
        return
    if it.user_id is None:
        found = settlements().find_users(it.tenant_id, it.market_id, it.after)
        logger.info("users with open orders", market_id=it.market_id, users=found)
        return
    settled = settlements().settle_user(it.tenant_id, it.market_id, it.user_id, it.tries)
    count("OrdersSettled", len(settled))
    logger.info("orders settled", market_id=it.market_id, orders=len(settled))


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of messages; those that could not be done are returned to the queue."""
    count("SettlementMessages", len(event["Records"]))
    return queue.process(processor, event, context, settle)
