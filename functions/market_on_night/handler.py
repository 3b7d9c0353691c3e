"""Ingest the daily bars of the previous session, and missing bars of the last ten sessions."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.clock import utc_now
from trimtab.market.adapters.assets import AssetStore
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.providers import ProviderSettings, provider_from
from trimtab.market.adapters.quote_queue import QuoteQueue
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.service.ingestion import Ingestion
from trimtab.market.service.price_operations import PriceOperations
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.tracing import instrumented


class NightlyIngestionFailed(Exception):
    """Raised if the provider failed for some days; all other days are stored.

    Lambda retries the invocation twice, and the next nightly run ingests the missing days.
    """


@lru_cache(maxsize=1)
def ingestion() -> Ingestion:
    """Return the ingestion, wired to DynamoDB and the provider."""
    settings = ProviderSettings.load()
    client, table = dynamodb_client(), settings.market_table
    bars, queue = BarStore(client, table), QuoteQueue(sqs_client(), settings.quotes_queue_url)
    operations = PriceOperations(QuoteStore(client, table), bars, queue.submit, utc_now)
    return Ingestion(
        provider_from(settings, client),
        AssetStore(client, table).active_assets,
        bars,
        operations.enter_provided_split,
        queue.submit,
        utc_now,
    )


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run the nightly ingestion; raises `NightlyIngestionFailed` if the provider failed for some days."""
    night = ingestion().run_night()
    sums = {name: sum(getattr(day, name) for day in night.days) for name in ("stored", "changed", "rejected")}
    count("BarsStored", sums["stored"])
    count("BarsRejected", sums["rejected"])
    count("DaysFailed", len(night.failed))
    logger.info("nightly ingestion", days=len(night.days), failed=len(night.failed), **sums)
    if night.failed:
        raise NightlyIngestionFailed("; ".join(f"{day.isoformat()}: {reason}" for day, reason in night.failed))
    return {"days": len(night.days), **sums}
