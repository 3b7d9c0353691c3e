"""Keeps the newest insight of each selection from the queue `insights`."""

from functools import lru_cache

from pydantic import Json

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.schemas.requests import insight_of
from trimtab.betting.service.insights import Insights
from trimtab.contracts.messages import InsightReceived
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, require_sender, worker


class InsightSettings(Settings):
    """What this function is told by its environment."""

    betting_table: str
    sender_tenants: Json[dict[str, list[str]]]


@lru_cache(maxsize=1)
def settings() -> InsightSettings:
    """The settings, read on first use."""
    return InsightSettings.load()


@lru_cache(maxsize=1)
def insights() -> Insights:
    """The insights, wired to DynamoDB."""
    return Insights(DynamoBook(dynamodb_client(), settings().betting_table), utc_now)


def keep(message: InsightReceived, record: SQSRecord) -> None:
    """Keeps one insight; raising returns it to the queue."""
    require_sender(record, message.tenant_id, settings().sender_tenants)
    kept = insights().keep(message.tenant_id, insight_of(message))
    count("InsightsKept" if kept else "InsightsDropped")
    logger.info("insight", market_id=message.market_id, selection_id=message.selection_id, kept=kept)


handler = worker(InsightReceived, keep)
