"""Delivery of events to webhooks: new events in their order, failed ones again with growing pauses.

* One worker at a time attempts the new events of a webhook in the order of the log, under a lease with a fencing token.
* A failed event is repeated on its own, and the new events behind it wait for a while: a receiver that is down costs a
  few attempts, and its events stay in the log in their order.
* A worker that finds the lease taken ends, because the holder reads the log again after it has given the lease up. Of a
  message that was delivered before, the holder may have been an earlier, crashed delivery: it is sent again.
* Messages are sent before the write that they belong to. Without the write, they find nothing to do.
"""

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.messages import DeliveryRequested
from trimtab.contracts.traces import TRACEPARENT
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.tracing import continue_trace
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.sender import WebhookSender
from trimtab.webhooks.adapters.webhook_store import WebhookStore
from trimtab.webhooks.domain.deliveries import (
    RETRY_FACTOR,
    RETRY_SECONDS,
    Attempt,
    Delivery,
    DeliveryStatus,
    first_delivery,
)
from trimtab.webhooks.domain.event_log import LogEntry
from trimtab.webhooks.domain.webhooks import Progress, Webhook

PAGE_SIZE = 100
MAX_PAUSE_SECONDS = 900
"""The longest wait of new events after a failure: the longest delay of a message."""


class DeliveryLimits(Struct, frozen=True):
    """Times of a worker in seconds: the lease, no new attempt after `work_seconds`, and the first pause of a retry."""

    lease_seconds: int = 60
    work_seconds: int = 15
    retry_seconds: int = RETRY_SECONDS


class Deliverer(Struct, frozen=True):
    """Works on the requests of the queue of deliveries."""

    store: WebhookStore
    log: EventLog
    queue: DeliveryQueue
    sender: WebhookSender
    clock: Clock
    limits: DeliveryLimits = DeliveryLimits()

    def work(self, request: DeliveryRequested, *, was_delivered_before: bool) -> None:
        """Deliver the new events of a webhook, or repeat one delivery."""
        webhook = self.store.get(request.tenant_id, request.webhook_id)
        if webhook is None:
            return
        if request.sequence is not None:
            self._repeat(webhook, request.sequence, request.attempt or 0)
        elif webhook.is_enabled:
            self._deliver_new(webhook, request.fence, was_delivered_before=was_delivered_before)

    def _deliver_new(self, webhook: Webhook, fence: int | None, *, was_delivered_before: bool) -> None:
        now = int(self.clock().timestamp())
        progress = self.store.lease(webhook, now, now + self.limits.lease_seconds, fence)
        if progress is None:
            if was_delivered_before:
                self._request(webhook, delay_seconds=self.limits.lease_seconds)
            return
        try:
            self._follow_log(webhook, progress)
        except ConditionFailed:
            logger.info("lease lost", webhook_id=webhook.webhook_id)  # another worker goes on

    def _follow_log(self, webhook: Webhook, progress: Progress) -> None:
        """Attempt the events after the position until the log ends, one fails, or the time of the worker is over."""
        started = self.clock()
        while True:
            page = self.log.read(webhook.tenant_id, progress.position, PAGE_SIZE, self.clock())
            for entry in page.entries:
                if (self.clock() - started).total_seconds() > self.limits.work_seconds:
                    self.store.advance(webhook, progress)
                    return self._request(webhook, progress.fence)
                progress = replace(progress, position=entry.sequence)
                if webhook.wants(entry.type) and not entry.is_expired(self.clock()):
                    progress = self._attempt_first(webhook, progress, entry)
                    if progress.failures:
                        return None
            if not page.entries or not page.has_more:
                break
        self.store.advance(webhook, replace(progress, leased_until=0))
        # An event logged after the last read, whose message met the lease, is found here.
        if page.has_more or self.log.read(webhook.tenant_id, progress.position, 1, self.clock()).entries:
            self._request(webhook, delay_seconds=1)
        return None

    def _attempt_first(self, webhook: Webhook, progress: Progress, entry: LogEntry) -> Progress:
        """Attempt a new event; after a failure new events wait, and `failures` of the progress is above 0."""
        now = self.clock()
        attempt = self._send(webhook, entry)
        delivery = first_delivery(webhook.webhook_id, entry, now).after(attempt, self.limits.retry_seconds)
        if attempt.is_success:
            after = replace(progress, failures=0, succeeded_at=int(now.timestamp()))
        else:
            pause = min(self.limits.retry_seconds * RETRY_FACTOR ** min(progress.failures, 9), MAX_PAUSE_SECONDS)
            self._request_attempt(delivery)
            self._request(webhook, progress.fence, delay_seconds=pause)
            until = int(self.clock().timestamp()) + pause
            after = replace(progress, failures=progress.failures + 1, leased_until=until)
        self.store.advance(webhook, after, delivery)
        if attempt.is_gone:
            self._disable(webhook, "The receiver answered 410 (gone).")
        return after

    def _repeat(self, webhook: Webhook, sequence: int, attempt_number: int) -> None:
        delivery = self.store.delivery(webhook.tenant_id, webhook.webhook_id, sequence)
        if delivery is None or delivery.status is not DeliveryStatus.PENDING or delivery.tries >= attempt_number:
            return None
        entry, now = self.log.entry(webhook.tenant_id, sequence), self.clock()
        if entry is None or not webhook.is_enabled:
            return self.store.put(delivery.fail())
        if delivery.next_attempt_at and delivery.next_attempt_at > now:
            return self._request_attempt(delivery)
        attempt = self._send(webhook, entry)
        after = delivery.after(attempt, self.limits.retry_seconds)
        match after.status:
            case DeliveryStatus.PENDING:
                self._request_attempt(after)
            case DeliveryStatus.DELIVERED:
                self.store.note_success(webhook, now)
            case DeliveryStatus.FAILED:
                self._disable_unless_succeeded(webhook, delivery)
        self.store.put(after)
        if attempt.is_gone:
            self._disable(webhook, "The receiver answered 410 (gone).")
        return None

    def _send(self, webhook: Webhook, entry: LogEntry) -> Attempt:
        now = self.clock()
        event_id = entry.event["id"]
        with continue_trace(entry.event.get(TRACEPARENT), event_id):
            attempt = self.sender.send(webhook.url, webhook.secrets(now), entry.event, now)
            logger.info("attempted", webhook_id=webhook.webhook_id, event_id=event_id, status=attempt.status)
        count("WebhookAttempts" if attempt.is_success else "WebhookFailures")
        return attempt

    def _disable_unless_succeeded(self, webhook: Webhook, delivery: Delivery) -> None:
        """Disable the webhook if nothing was delivered since the first attempt of a delivery that failed for good."""
        progress = self.store.progress(webhook.tenant_id, webhook.webhook_id)
        if progress is not None and progress.succeeded_at < int(delivery.created_at.timestamp()):
            self._disable(webhook, f"No delivery succeeded while an event was attempted {delivery.tries + 1} times.")

    def _disable(self, webhook: Webhook, reason: str) -> None:
        def attempt() -> None:
            stored = self.store.get(webhook.tenant_id, webhook.webhook_id)
            if stored is not None and stored.is_enabled:
                self.store.put(stored.disable(reason, self.clock()))

        retry_on_conflict(attempt)

    def _request(self, webhook: Webhook, fence: int | None = None, delay_seconds: int = 0) -> None:
        self.queue.request_new(webhook.tenant_id, webhook.webhook_id, fence=fence, delay_seconds=delay_seconds)

    def _request_attempt(self, delivery: Delivery) -> None:
        """Request the next attempt of a pending delivery at its time, or as soon after as messages can wait."""
        if delivery.next_attempt_at is not None:
            seconds = max(0, int((delivery.next_attempt_at - self.clock()).total_seconds()) + 1)
            names = (delivery.tenant_id, delivery.webhook_id, delivery.sequence, delivery.tries + 1)
            self.queue.request_attempt(*names, delay_seconds=seconds)
