"""Asks for a check of each portfolio whose holdings, target or policy changed: its price watches are out of date."""

from functools import lru_cache
from typing import Any

from trimtab.portfolios.queues import Queues, QueueSettings
from trimtab.runtime.dynamo import from_item
from trimtab.runtime.measures import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.sender import sqs_client


@lru_cache(maxsize=1)
def queues() -> Queues:
    """The queues, wired to SQS."""
    return Queues(sqs_client(), QueueSettings.load())


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the stream: one check a portfolio. Raises where the queue cannot be reached: it is delivered again."""
    images = [from_item(record["dynamodb"]["NewImage"]) for record in event["Records"]]
    changed = {(image["tenant_id"], image["pk"].rpartition("#")[2]) for image in images}
    for tenant_id, portfolio_id in sorted(changed):
        queues().ask(tenant_id, portfolio_id, "changed")
    count("PortfoliosChanged", len(changed))
    logger.info("checks asked for", portfolios=len(changed))
    return {"batchItemFailures": []}
