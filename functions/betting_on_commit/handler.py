"""Asks for the settlement of closed markets, and of orders that were placed just before the closing."""

from functools import lru_cache
from typing import Any

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.adapters.items import MARKET, ORDER
from trimtab.betting.adapters.queues import Settlements as SettlementQueue
from trimtab.betting.service.settlements import Settlements
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import deserialize, dynamodb_client
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client


class CommitSettings(Settings):
    """What this function is told by its environment."""

    betting_table: str
    settlements_queue_url: str


@lru_cache(maxsize=1)
def settlements() -> Settlements:
    """The settlements, wired to DynamoDB and SQS."""
    settings = CommitSettings.load()
    book = DynamoBook(dynamodb_client(), settings.betting_table)
    return Settlements(book, SettlementQueue(sqs_client(), settings.settlements_queue_url), utc_now)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the stream; raises where table or queue cannot be reached: it is delivered again."""
    images = [deserialize(record["dynamodb"]["NewImage"]) for record in event["Records"]]
    orders = [(it["tenant_id"], it["market_id"], it["user_id"]) for it in images if it["sk"] == ORDER]
    markets = [(it["tenant_id"], it["market_id"]) for it in images if it["sk"] == MARKET]
    raced = settlements().look_after(orders, markets)
    count("OrdersRacedClosing", raced)
    logger.info("looked after", orders=len(orders), markets=len(markets), raced=raced)
    return {"batchItemFailures": []}
