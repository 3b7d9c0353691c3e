"""Log the domain events of tenants, and request their delivery to webhooks and their push to WebSocket connections."""

from collections import defaultdict
from functools import lru_cache
from typing import Any

from trimtab.contracts.events import PLATFORM
from trimtab.contracts.messages import BusEvent
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import batch_worker
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.push_queue import PushQueue
from trimtab.webhooks.adapters.webhook_store import WebhookStore
from trimtab.webhooks.domain.event_log import event_of_bus
from trimtab.webhooks.service.event_logger import EventLogger


class EventLoggerSettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str
    deliveries_queue_url: str
    pushes_queue_url: str = ""


@lru_cache(maxsize=1)
def event_logger() -> EventLogger:
    """Return the logger of events, wired on first use."""
    settings, dynamodb = EventLoggerSettings.load(), dynamodb_client()
    pushes = PushQueue(sqs_client(), settings.pushes_queue_url) if settings.pushes_queue_url else None
    return EventLogger(
        EventLog(dynamodb, settings.webhooks_table),
        WebhookStore(dynamodb, settings.webhooks_table),
        DeliveryQueue(sqs_client(), settings.deliveries_queue_url),
        utc_now,
        ConnectionStore(dynamodb, settings.webhooks_table),
        pushes,
    )


def log_events(messages: list[BusEvent]) -> None:
    """Log the events by tenant; events of the platform belong to no tenant and are left out."""
    by_tenant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        if message.detail.tenantid != PLATFORM:
            by_tenant[message.detail.tenantid].append(event_of_bus(message.detail))
    new = sum(event_logger().log_events(tenant_id, events) for tenant_id, events in by_tenant.items())
    count("EventsLogged", new)
    logger.info("events logged", received=len(messages), new=new)


handler = batch_worker(BusEvent, log_events)
