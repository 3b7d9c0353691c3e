"""Publish the events that are stored in changed items (transactional outbox)."""

from functools import lru_cache
from typing import Any

from trimtab.runtime.dynamodb.outbox import Publisher, eventbridge_client
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.tracing import instrumented


class PublisherSettings(Settings):
    """The settings of the publisher."""

    event_bus_name: str
    events_undelivered_queue_url: str


@lru_cache(maxsize=1)
def publisher() -> Publisher:
    """Return the publisher, wired to EventBridge and SQS."""
    settings = PublisherSettings.load()
    return Publisher(eventbridge_client(), settings.event_bus_name, sqs_client(), settings.events_undelivered_queue_url)


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish the events of a batch of stream records.

    Raises an exception if neither the bus nor the failure queue responds, so that the stream delivers the batch again.
    """
    delivered, undelivered = publisher().publish(event["Records"])
    logger.info("events published", delivered=delivered, undelivered=undelivered)
    return {"batchItemFailures": []}
