"""Log the domain events of tenants, so that clients can list them."""

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
from trimtab.runtime.sqs.worker import batch_worker
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.domain.event_log import event_of_bus


class EventLoggerSettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str


@lru_cache(maxsize=1)
def event_log() -> EventLog:
    """Return the log of events, wired on first use."""
    return EventLog(dynamodb_client(), EventLoggerSettings.load().webhooks_table)


def log_events(messages: list[BusEvent]) -> None:
    """Log the events by tenant; events of the platform belong to no tenant and are left out."""
    by_tenant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        if message.detail.tenantid != PLATFORM:
            by_tenant[message.detail.tenantid].append(event_of_bus(message.detail))
    new = sum(event_log().append(tenant_id, events, utc_now()) for tenant_id, events in by_tenant.items())
    count("EventsLogged", new)
    logger.info("events logged", received=len(messages), new=new)


handler = batch_worker(BusEvent, log_events)
