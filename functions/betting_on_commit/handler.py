"""Requests the settlement of markets with results, and of orders that were placed just before the closing."""

from functools import lru_cache
from typing import Any

from trimtab.betting.adapters.settlement_queue import SettlementQueue
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.keys import MARKET, ORDER
from trimtab.betting.service.settlements import MarketSettlements
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import deserialize, dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.tracing import continue_trace, instrumented, traceparent_of_item


class ClosingSettings(Settings):
    """The settings of the function."""

    betting_table: str
    settlements_queue_url: str


@lru_cache(maxsize=1)
def settlements() -> MarketSettlements:
    """Return the service of market settlements, wired to DynamoDB and SQS."""
    settings = ClosingSettings.load()
    store = BettingStore(dynamodb_client(), settings.betting_table)
    return MarketSettlements(store, SettlementQueue(sqs_client(), settings.settlements_queue_url), utc_now)


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of stream records; raises if the table or the queue fails, and the batch is delivered again."""
    images = [deserialize(record["dynamodb"]["NewImage"]) for record in event["Records"]]
    orders = [(image["tenant_id"], image["market_id"], image["user_id"]) for image in images if image["sk"] == ORDER]
    markets = [image for image in images if image["sk"] == MARKET]
    for market in markets:
        with continue_trace(traceparent_of_item(market), market["market_id"]):
            if market.get("number", 1) > 1:
                settlements().request_corrected(market["tenant_id"], market["market_id"])
            else:
                settlements().request_after_commits((), [(market["tenant_id"], market["market_id"])])
    raced = settlements().request_after_commits(orders, ())
    count("OrdersRacedClosing", raced)
    logger.info("commits checked for markets with results", orders=len(orders), markets=len(markets), raced=raced)
    return {"batchItemFailures": []}
