"""Webhooks of a tenant: created, changed, tested, and their deliveries repeated."""

import base64
import secrets
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from trimtab.contracts.events import Event, cloud_event
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, not_found
from trimtab.kernel.ids import derive_id, is_same_request, request_hash
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict
from trimtab.runtime.tracing import next_traceparent
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.sender import WebhookSender
from trimtab.webhooks.adapters.webhook_store import WebhookStore
from trimtab.webhooks.domain.deliveries import Attempt, Delivery, DeliveryStatus
from trimtab.webhooks.domain.webhooks import MAX_WEBHOOKS, Webhook

SECRET_BYTES = 32


def make_secret() -> str:
    """Return a new random secret in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class Webhooks(Struct, frozen=True):
    """The webhooks of the caller's tenant. Scopes keep end users out: a webhook receives the events of all users."""

    store: WebhookStore
    log: EventLog
    queue: DeliveryQueue
    sender: WebhookSender
    clock: Clock

    def create(self, caller: Caller, request_id: str, url: str, types: tuple[str, ...]) -> Webhook:
        """Create a webhook for the events from now on; a repeated request returns the same webhook.

        Raises `Conflict` for a request id with another body, or for more webhooks than a tenant may have.
        """
        webhook_id, now = derive_id(caller.tenant_id, "webhook", request_id), self.clock()

        def hash_of(version: int) -> str:
            return request_hash(version, {"url": url, "types": types})

        stored = self.store.get(caller.tenant_id, webhook_id)
        if stored is None:
            if len(self.store.all(caller.tenant_id)) >= MAX_WEBHOOKS:
                raise Conflict("too_many_webhooks", f"A tenant has at most {MAX_WEBHOOKS} webhooks. Delete one first.")
            stored = Webhook(
                tenant_id=caller.tenant_id,
                webhook_id=webhook_id,
                url=url,
                types=types,
                secret=make_secret(),
                request_hash=hash_of(1),
                created_at=now,
                updated_at=now,
            )
            try:
                self.store.create(stored, self.log.last(caller.tenant_id))
            except ConditionFailed:  # the same request at the same time
                stored = self.get(caller, webhook_id)
        if not is_same_request(stored.request_hash, hash_of):
            raise Conflict("request_id_reused", "The Idempotency-Key belongs to a request with another body.")
        return stored

    def list(self, caller: Caller) -> list[Webhook]:
        """Return the webhooks, the oldest first."""
        return sorted(self.store.all(caller.tenant_id), key=lambda webhook: (webhook.created_at, webhook.webhook_id))

    def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """Return a webhook; raises `NotFound`."""
        webhook = self.store.get(caller.tenant_id, webhook_id)
        if webhook is None:
            raise not_found("webhook")
        return webhook

    def change(
        self, caller: Caller, webhook_id: str, url: str | None, types: tuple[str, ...] | None, enabled: bool | None
    ) -> Webhook:
        """Change the members that are not None. An enabled webhook gets the events since it was disabled."""
        changed = self._write(caller, webhook_id, lambda webhook: webhook.change(self.clock(), url, types, enabled))
        if enabled:
            self.queue.request_new(caller.tenant_id, webhook_id)
        return changed

    def rotate(self, caller: Caller, webhook_id: str) -> Webhook:
        """Give a webhook a new secret; the one before signs for another 24 hours."""
        return self._write(caller, webhook_id, lambda webhook: webhook.rotate(make_secret(), self.clock()))

    def delete(self, caller: Caller, webhook_id: str) -> None:
        """Delete a webhook; an unknown one is not an error, as after a repeated request."""

        def attempt() -> None:
            webhook = self.store.get(caller.tenant_id, webhook_id)
            if webhook is not None:
                self.store.delete(webhook)

        retry_on_conflict(attempt)

    def test(self, caller: Caller, webhook_id: str, request_id: str) -> Attempt:
        """Send an event of the type `webhook.tested` at once, and return the outcome."""
        webhook, now = self.get(caller, webhook_id), self.clock()
        event = cloud_event(
            Event("webhook.tested", {"webhook_id": webhook_id}),
            id=derive_id(webhook_id, "test", request_id),
            tenant_id=caller.tenant_id,
            time=now,
            traceparent=next_traceparent(),
        )
        return self.sender.send(webhook.url, webhook.secrets(now), event, now)

    def deliveries(self, caller: Caller, webhook_id: str, limit: int, after: Any) -> Page[Delivery]:
        """Return a page of the deliveries of a webhook, the newest event first."""
        self.get(caller, webhook_id)
        return self.store.deliveries(caller.tenant_id, webhook_id, limit, after)

    def redeliver(self, caller: Caller, webhook_id: str, sequence: int) -> Delivery:
        """Request another attempt of a delivery at once; raises `Conflict` while the webhook is disabled."""
        webhook = self.get(caller, webhook_id)
        if not webhook.is_enabled:
            raise Conflict("webhook_disabled", "The webhook is disabled. Enable the webhook first.")

        def attempt() -> Delivery:
            delivery = self.store.delivery(caller.tenant_id, webhook_id, sequence)
            if delivery is None:
                raise not_found("delivery")
            repeated = delivery.repeat(self.clock())
            if delivery.status is not DeliveryStatus.PENDING:
                self.store.put(repeated)
            self.queue.request_attempt(caller.tenant_id, webhook_id, sequence, delivery.tries + 1)
            return repeated

        return retry_on_conflict(attempt)

    def _write(self, caller: Caller, webhook_id: str, change: Callable[[Webhook], Webhook]) -> Webhook:
        def attempt() -> Webhook:
            before = self.get(caller, webhook_id)
            after = change(before)
            if after is not before:
                self.store.put(after)
            return after

        return retry_on_conflict(attempt)
