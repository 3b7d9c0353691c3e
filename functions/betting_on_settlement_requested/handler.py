"""Settles the open orders of markets with results, as requested on the queue `settlements`."""

from functools import lru_cache

from trimtab.betting.adapters.settlement_queue import SettlementQueue, UserCheck, UserPass
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.service.settlements import MarketSettlements
from trimtab.contracts.messages import SettlementRequested
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import SQSRecord, worker


class SettlementSettings(Settings):
    """The settings of the function."""

    betting_table: str
    settlements_queue_url: str
    settlement_recheck_seconds: int


@lru_cache(maxsize=1)
def settlements() -> MarketSettlements:
    """Return the service of market settlements, wired to DynamoDB and SQS."""
    settings = SettlementSettings.load()
    store = BettingStore(dynamodb_client(), settings.betting_table)
    queue = SettlementQueue(sqs_client(), settings.settlements_queue_url)
    return MarketSettlements(store, queue, utc_now, settings.settlement_recheck_seconds)


def settle(message: SettlementRequested, _: SQSRecord) -> None:
    """Settle the orders of a user in a market, request every user of the market, or check a page of its users."""
    count("SettlementMessages")
    tenant_id, market_id = message.tenant_id, message.market_id
    if message.check:
        check = UserCheck(message.after, message.orders, message.tries)
        unsettled = settlements().check_users(tenant_id, market_id, check)
        logger.info(
            "users checked", market_id=market_id, after=check.after, unsettled_users=unsettled, tries=check.tries
        )
    elif message.user_id is None:
        users = settlements().request_users(tenant_id, market_id, message.after)
        logger.info("users requested", market_id=market_id, users=users)
    else:
        progress = UserPass(message.number, message.after, message.orders) if message.number else None
        settled = settlements().settle_user(tenant_id, market_id, message.user_id, message.tries, progress)
        count("OrdersSettled", len(settled))
        logger.info("orders settled", market_id=market_id, orders=len(settled))


handler = worker(SettlementRequested, settle)
