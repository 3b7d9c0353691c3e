"""Brings back requests whose message was lost, and wakes portfolios whose day has come."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.clock import utc_now
from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.portfolios.balancing.check_store import CheckStore
from trimtab.portfolios.balancing.pending_job_store import PendingJobStore
from trimtab.portfolios.balancing.sweeper import Sweeper
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client


class SweepSettings(QueueSettings):
    """What this function is told by its environment."""

    portfolios_table: str


@lru_cache(maxsize=1)
def sweeper() -> Sweeper:
    """The sweeper, wired to DynamoDB and SQS."""
    settings = SweepSettings.load()
    table = settings.portfolios_table
    return Sweeper(
        PendingJobStore(dynamodb_client(), table),
        CheckStore(dynamodb_client(), table),
        WorkerQueues(sqs_client(), settings),
        CheckQueue(sqs_client(), settings.checks_queue_url),
        utc_now,
    )


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """One pass over everything that is overdue or due."""
    swept = sweeper().sweep()
    count("RequestsResent", swept.resent)
    count("RequestsStuck", swept.stuck)
    count("ChecksDue", swept.due)
    logger.info("swept", resent=swept.resent, stuck=swept.stuck, due=swept.due)
    return {"resent": swept.resent, "stuck": swept.stuck, "due": swept.due}
