"""Logging of events, and requests to deliver and to push them."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.push_queue import PushQueue
from trimtab.webhooks.adapters.webhook_store import WebhookStore


class EventLogger(Struct, frozen=True):
    """Logs events, then requests their delivery. A repeat requests the delivery again, as after a crash.

    A push of the new events is requested afterwards, once and only for a tenant with connections: a client that
    subscribes and then lists the events misses none, because an event that was pushed before is in the list. `pushes`
    is None where the cloud has no WebSocket API.
    """

    log: EventLog
    store: WebhookStore
    queue: DeliveryQueue
    clock: Clock
    connections: ConnectionStore
    pushes: PushQueue | None = None

    def log_events(self, tenant_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        """Log the events of a tenant once, and return how many are new."""
        new = self.log.append(tenant_id, events, self.clock())
        for webhook in self.store.all(tenant_id):
            if webhook.is_enabled and any(webhook.wants(event["type"]) for event in events):
                self.queue.request_new(tenant_id, webhook.webhook_id)
        if self.pushes and new and self.connections.all(tenant_id, limit=1):
            self.pushes.request(tenant_id, [entry.sequence for entry in new])
        return len(new)
