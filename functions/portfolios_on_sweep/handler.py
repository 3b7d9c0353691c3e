"""Brings back requests whose message was lost."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.clock import utc_now
from trimtab.portfolios.adapters.open_work import DynamoOpenWork, RequestQueues
from trimtab.portfolios.service.sweeping import Sweeper
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs import sqs


class SweepSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    rebalance_requests_queue_url: str
    recalculations_queue_url: str


@lru_cache(maxsize=1)
def sweeper() -> Sweeper:
    """The sweeper, wired to DynamoDB and SQS."""
    settings = SweepSettings.load()
    queues = RequestQueues(sqs(), settings.rebalance_requests_queue_url, settings.recalculations_queue_url)
    return Sweeper(DynamoOpenWork(dynamodb(), settings.portfolios_table), queues, utc_now)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """One pass over everything that is overdue."""
    swept = sweeper().sweep()
    count("RequestsResent", swept.resent)
    count("RequestsStuck", swept.stuck)
    logger.info("swept", resent=swept.resent, stuck=swept.stuck)
    return {"resent": swept.resent, "stuck": swept.stuck}
