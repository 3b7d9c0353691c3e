"""Settles the open orders of closed markets, asked for on the queue `settlements`."""

from functools import lru_cache

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.adapters.queues import Settlements as SettlementQueue
from trimtab.betting.service.ports import Check
from trimtab.betting.service.settlements import Settlements
from trimtab.contracts.messages import SettlementRequested
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import SQSRecord, worker


class SettlementSettings(Settings):
    """What this function is told by its environment."""

    betting_table: str
    settlements_queue_url: str
    settlement_recheck_seconds: int


@lru_cache(maxsize=1)
def settlements() -> Settlements:
    """The settlements, wired to DynamoDB and SQS."""
    settings = SettlementSettings.load()
    book = DynamoBook(dynamodb_client(), settings.betting_table)
    queue = SettlementQueue(sqs_client(), settings.settlements_queue_url)
    return Settlements(book, queue, utc_now, settings.settlement_recheck_seconds)


def settle(message: SettlementRequested, _: SQSRecord) -> None:
    """Settles a user's orders in a market, asks for those of each user, or looks whether any are left; raising returns
    it to the queue."""
    count("SettlementMessages")
    if message.check:
        left = settlements().check(
            message.tenant_id, message.market_id, Check(message.after, message.orders, message.tries)
        )
        logger.info("users looked at", market_id=message.market_id, after=message.after, left=left, tries=message.tries)
        return
    if message.user_id is None:
        found = settlements().find_users(message.tenant_id, message.market_id, message.after)
        logger.info("users with open orders", market_id=message.market_id, users=found)
        return
    settled = settlements().settle_user(message.tenant_id, message.market_id, message.user_id, message.tries)
    count("OrdersSettled", len(settled))
    logger.info("orders settled", market_id=message.market_id, orders=len(settled))


handler = worker(SettlementRequested, settle)
