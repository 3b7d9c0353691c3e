"""Request a check of each portfolio whose holdings, target or policy changed: its price watches are outdated."""

from functools import lru_cache
from typing import Any

from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.runtime.dynamodb.client import deserialize
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client


class CommitSettings(Settings):
    """Environment of the function."""

    checks_queue_url: str


@lru_cache(maxsize=1)
def check_queue() -> CheckQueue:
    """Return the queue of checks, wired to SQS."""
    return CheckQueue(sqs_client(), CommitSettings.load().checks_queue_url)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch of the stream: one check per portfolio. After an exception the batch is delivered again."""
    images = [deserialize(record["dynamodb"]["NewImage"]) for record in event["Records"]]
    changed = {(image["tenant_id"], image["pk"].rpartition("#")[2]) for image in images}
    for tenant_id, portfolio_id in sorted(changed):
        check_queue().request_check(tenant_id, portfolio_id, "change")
    count("PortfoliosChanged", len(changed))
    logger.info("checks requested", portfolios=len(changed))
    return {"batchItemFailures": []}
