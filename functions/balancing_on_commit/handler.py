"""Request a check of each portfolio whose holdings, target or policy changed: its price watches are outdated."""

from functools import lru_cache
from typing import Any

from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.runtime.dynamodb.client import deserialize
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.tracing import continue_trace, instrumented, traceparent_of_item


class CommitSettings(Settings):
    """Environment of the function."""

    checks_queue_url: str


@lru_cache(maxsize=1)
def check_queue() -> CheckQueue:
    """Return the queue of checks, wired to SQS."""
    return CheckQueue(sqs_client(), CommitSettings.load().checks_queue_url)


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch of the stream: one check per portfolio, in the trace of its newest change.

    After an exception the batch is delivered again.
    """
    changed: dict[tuple[str, str], str | None] = {}
    for record in event["Records"]:
        image = deserialize(record["dynamodb"]["NewImage"])
        changed[image["tenant_id"], image["pk"].rpartition("#")[2]] = traceparent_of_item(image)
    for (tenant_id, portfolio_id), traceparent in sorted(changed.items()):
        with continue_trace(traceparent, portfolio_id):
            check_queue().request_check(tenant_id, portfolio_id, "change")
    count("PortfoliosChanged", len(changed))
    logger.info("checks requested", portfolios=len(changed))
    return {"batchItemFailures": []}
