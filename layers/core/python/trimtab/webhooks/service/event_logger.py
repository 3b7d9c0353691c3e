"""Logging of events, and requests to deliver them."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.webhook_store import WebhookStore


class EventLogger(Struct, frozen=True):
    """Logs events, then requests their delivery. A repeat requests the delivery again, as after a crash."""

    log: EventLog
    store: WebhookStore
    queue: DeliveryQueue
    clock: Clock

    def log_events(self, tenant_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        """Log the events of a tenant once, and return how many are new."""
        new = self.log.append(tenant_id, events, self.clock())
        for webhook in self.store.all(tenant_id):
            if webhook.is_enabled and any(webhook.wants(event["type"]) for event in events):
                self.queue.request_new(tenant_id, webhook.webhook_id)
        return new
