"""Resend the messages of overdue jobs, and request the price checks that are due."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.clock import utc_now
from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.portfolios.balancing.check_store import CheckStore
from trimtab.portfolios.balancing.pending_job_store import PendingJobStore
from trimtab.portfolios.balancing.sweeper import Sweeper
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.tracing import instrumented


class SweepSettings(QueueSettings):
    """Environment of the function."""

    portfolios_table: str


@lru_cache(maxsize=1)
def sweeper() -> Sweeper:
    """Return the sweeper, wired to DynamoDB and SQS."""
    settings = SweepSettings.load()
    table = settings.portfolios_table
    return Sweeper(
        PendingJobStore(dynamodb_client(), table),
        CheckStore(dynamodb_client(), table),
        WorkerQueues(sqs_client(), settings),
        CheckQueue(sqs_client(), settings.checks_queue_url),
        utc_now,
    )


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run one sweep over the overdue jobs and the due portfolios."""
    result = sweeper().sweep()
    count("RequestsResent", result.resent)
    count("RequestsStuck", result.stuck)
    count("RebalancesExpired", result.cancelled)
    count("ChecksDue", result.due)
    counts = {"resent": result.resent, "stuck": result.stuck, "cancelled": result.cancelled, "due": result.due}
    logger.info("sweep finished", extra=counts)
    return counts
