"""Deliveries of one event to one webhook: attempts, and the times of further attempts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.webhooks.domain.event_log import RETENTION, LogEntry

MAX_TRIES = 10
RETRY_SECONDS = 10
RETRY_FACTOR = 3
"""Ten attempts after 10, 30, 90, … seconds: the last one is 27 hours after the first."""

MAX_NOTED_ATTEMPTS = 20
DELIVERY = "DELIVERY#"


class Attempt(Struct, frozen=True, omit_defaults=True):
    """One request to the receiver: the status of its response, or the error that left none."""

    at: datetime
    milliseconds: int
    status: int | None = None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        """Return True for a 2xx response; redirects are not followed."""
        return self.status is not None and HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_gone(self) -> bool:
        """Return True for 410, by which a receiver asks for no further events."""
        return self.status == HTTPStatus.GONE


class DeliveryStatus(StrEnum):
    """PENDING between attempts, DELIVERED after a 2xx response, FAILED after the last attempt."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class Delivery(Record, frozen=True, kw_only=True):
    """The delivery of the event with number `sequence`. `attempts` are the newest ones, `tries` counts all."""

    tenant_id: str
    webhook_id: str
    sequence: int
    event_id: str
    type: str
    created_at: datetime
    expires_at: int
    status: DeliveryStatus = DeliveryStatus.PENDING
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None

    def after(self, attempt: Attempt, retry_seconds: int) -> "Delivery":
        """Return the delivery after an attempt; a failed one is repeated after a pause that grows threefold."""
        tries, pause = self.tries + 1, timedelta(seconds=retry_seconds * RETRY_FACTOR**self.tries)
        status = DeliveryStatus.PENDING
        if attempt.is_success:
            status = DeliveryStatus.DELIVERED
        elif tries >= MAX_TRIES:
            status = DeliveryStatus.FAILED
        return replace(
            self,
            status=status,
            tries=tries,
            attempts=(*self.attempts, attempt)[-MAX_NOTED_ATTEMPTS:],
            next_attempt_at=attempt.at + pause if status is DeliveryStatus.PENDING else None,
            version=self.version + 1,
        )

    def fail(self) -> "Delivery":
        """Return the delivery without further attempts."""
        return replace(self, status=DeliveryStatus.FAILED, next_attempt_at=None, version=self.version + 1)

    def repeat(self, now: datetime) -> "Delivery":
        """Return the delivery with another attempt at once."""
        return replace(self, status=DeliveryStatus.PENDING, next_attempt_at=now, version=self.version + 1)

    def to_item(self) -> dict[str, Any]:
        """Return the item; DynamoDB deletes the item together with the event."""
        key = delivery_key(self.tenant_id, self.webhook_id, self.sequence)
        return {**to_attributes(self), **key, **self.record_attributes()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Delivery":
        """Return the delivery in an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return from_attributes({**item, "events": ()}, cls)
            case version:
                raise UnknownForm("delivery", version)


def first_delivery(webhook_id: str, entry: LogEntry, now: datetime) -> Delivery:
    """Return the delivery of an event before its first attempt; the first write has version 1."""
    return Delivery(
        tenant_id=entry.tenant_id,
        webhook_id=webhook_id,
        sequence=entry.sequence,
        event_id=str(entry.event["id"]),
        type=entry.type,
        created_at=now,
        expires_at=int((entry.logged_at + RETENTION).timestamp()),
        version=0,
    )


def delivery_key(tenant_id: str, webhook_id: str, sequence: int) -> dict[str, str]:
    """Return the key of a delivery; keys sort in the order of the events."""
    return {"pk": f"T#{tenant_id}#WEBHOOK#{webhook_id}", "sk": f"{DELIVERY}{sequence:016d}"}
