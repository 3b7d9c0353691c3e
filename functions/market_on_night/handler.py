"""Takes in the daily bars of the session before, and fills what is missing of the last ten."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.clock import utc_now
from trimtab.market.adapters.assets import DynamoAssets
from trimtab.market.adapters.bars import DynamoBars
from trimtab.market.adapters.providers import ProviderSettings, provider_from
from trimtab.market.adapters.quotes import DynamoMarket
from trimtab.market.service.ingestion import Ingestion
from trimtab.market.service.quotes import Market
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger


class NightFailed(Exception):
    """Days that the provider did not give; what it gave is stored. The invocation is tried again, and so the night
    after."""


@lru_cache(maxsize=1)
def ingestion() -> Ingestion:
    """The ingestion, wired to DynamoDB and the provider."""
    settings = ProviderSettings.load()
    client, table = dynamodb_client(), settings.market_table
    market = Market(DynamoMarket(client, table), utc_now)
    return Ingestion(
        provider_from(settings, client),
        DynamoAssets(client, table),
        DynamoBars(client, table),
        market,
        utc_now,
        settings.max_jump_percent,
    )


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """One night."""
    night = ingestion().run_night()
    told = {name: sum(getattr(day, name) for day in night.days) for name in ("stored", "changed", "wrong")}
    count("BarsStored", told["stored"])
    count("BarsWrong", told["wrong"])
    count("DaysFailed", len(night.failed))
    logger.info("night", days=len(night.days), failed=len(night.failed), **told)
    if night.failed:
        raise NightFailed("; ".join(f"{day.isoformat()}: {reason}" for day, reason in night.failed))
    return {"days": len(night.days), **told}
