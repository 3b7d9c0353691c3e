"""Stores the newest insight of each selection from the queue `insights`."""

from functools import lru_cache

from pydantic import Json

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.schemas.requests import read_insight_message
from trimtab.betting.service.insights import Insights
from trimtab.contracts.messages import InsightReceived
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, sender_tenant, sent_at, worker


class InsightSettings(Settings):
    """The settings of the function; `sender_tenants` maps the id of a sender to the tenants the sender may name."""

    betting_table: str
    sender_tenants: Json[dict[str, list[str]]]


@lru_cache(maxsize=1)
def settings() -> InsightSettings:
    """Return the settings, read on first use."""
    return InsightSettings.load()


@lru_cache(maxsize=1)
def insights() -> Insights:
    """Return the service of insights, wired to DynamoDB."""
    return Insights(BettingStore(dynamodb_client(), settings().betting_table), utc_now)


def store_insight(message: InsightReceived, record: SQSRecord) -> None:
    """Store the insight of a message if newer than the stored insight."""
    tenant_id = sender_tenant(record, message.tenant_id, settings().sender_tenants)
    is_stored = insights().store_newest(
        tenant_id, read_insight_message(message, sent_at(record, settings().sender_tenants))
    )
    count("InsightsKept" if is_stored else "InsightsDropped")
    logger.info("insight received", market_id=message.market_id, selection_id=message.selection_id, stored=is_stored)


handler = worker(InsightReceived, store_insight)
