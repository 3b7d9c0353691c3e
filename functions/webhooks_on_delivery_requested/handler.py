"""Deliver events to webhooks."""

from functools import lru_cache

from trimtab.contracts.messages import DeliveryRequested
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import SQSRecord, was_delivered_before, worker
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.sender import WebhookSender
from trimtab.webhooks.adapters.webhook_store import WebhookStore
from trimtab.webhooks.service.deliverer import Deliverer, DeliveryLimits


class DeliverySettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str
    deliveries_queue_url: str
    allow_local_webhooks: bool = False
    webhook_retry_seconds: int


@lru_cache(maxsize=1)
def deliverer() -> Deliverer:
    """Return the deliverer, wired on first use."""
    settings, dynamodb = DeliverySettings.load(), dynamodb_client()
    return Deliverer(
        WebhookStore(dynamodb, settings.webhooks_table),
        EventLog(dynamodb, settings.webhooks_table),
        DeliveryQueue(sqs_client(), settings.deliveries_queue_url),
        WebhookSender(allow_local=settings.allow_local_webhooks),
        utc_now,
        DeliveryLimits(retry_seconds=settings.webhook_retry_seconds),
    )


def deliver(request: DeliveryRequested, record: SQSRecord) -> None:
    """Deliver the new events of a webhook, or repeat one delivery."""
    deliverer().work(request, was_delivered_before=was_delivered_before(record))


handler = worker(DeliveryRequested, deliver)
