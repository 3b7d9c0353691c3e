"""Webhooks of a tenant: where events are sent, with which secret, and how far deliveries have come."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, from_attributes, to_attributes

ANY_TYPE = "*"
MAX_WEBHOOKS = 20
OVERLAP = timedelta(hours=24)
"""The time for which the secret before a rotation signs beside the new secret."""

WEBHOOK, PROGRESS = "WEBHOOK#", "PROGRESS#"


class WebhookStatus(StrEnum):
    """ENABLED: events are delivered. DISABLED: events wait in the log, up to its retention."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class Webhook(Record, frozen=True, kw_only=True):
    """A receiver of the events of a tenant. `types` are event types, or `*` for every type.

    `disabled_reason` says why deliveries stopped. Until `previous_until` the secret before the newest rotation signs,
    too.
    """

    tenant_id: str
    webhook_id: str
    url: str
    types: tuple[str, ...]
    secret: str
    request_hash: str
    created_at: datetime
    updated_at: datetime
    status: WebhookStatus = WebhookStatus.ENABLED
    disabled_reason: str | None = None
    previous_secret: str | None = None
    previous_until: datetime | None = None

    @property
    def is_enabled(self) -> bool:
        """Return True while events are delivered."""
        return self.status is WebhookStatus.ENABLED

    def wants(self, type: str) -> bool:
        """Return True if events of this type are delivered."""
        return type in self.types or ANY_TYPE in self.types

    def secrets(self, now: datetime) -> list[str]:
        """Return the signing secrets of a delivery, the newest first."""
        before = self.previous_secret if self.previous_until is not None and now < self.previous_until else None
        return [self.secret, *([before] if before else [])]

    def rotate(self, secret: str, now: datetime) -> "Webhook":
        """Return the webhook with a new secret; the one before signs for another 24 hours."""
        return self._changed(now, secret=secret, previous_secret=self.secret, previous_until=now + OVERLAP)

    def change(self, now: datetime, url: str | None, types: tuple[str, ...] | None, enabled: bool | None) -> "Webhook":
        """Return the webhook with the members that are not None; the same webhook if nothing changes."""
        status = {None: self.status, True: WebhookStatus.ENABLED, False: WebhookStatus.DISABLED}[enabled]
        is_same_status = status is self.status
        off = None if status is WebhookStatus.ENABLED else "Disabled by a request."
        reason = self.disabled_reason if is_same_status else off
        changed = replace(self, url=url or self.url, types=types or self.types, status=status, disabled_reason=reason)
        return self if changed == self else changed._changed(now)

    def disable(self, reason: str, now: datetime) -> "Webhook":
        """Return the webhook after deliveries failed for good, with the event `webhook.disabled`."""
        data = {"webhook_id": self.webhook_id, "url": self.url, "reason": reason}
        events = (Event("webhook.disabled", data),)
        return self._changed(now, status=WebhookStatus.DISABLED, disabled_reason=reason, events=events)

    def _changed(self, now: datetime, events: tuple[Event, ...] = (), **members: Any) -> "Webhook":
        return replace(self, updated_at=now, version=self.version + 1, events=events, **members)

    def to_item(self) -> dict[str, Any]:
        """Return the item."""
        key = webhook_key(self.tenant_id, self.webhook_id)
        return {**to_attributes(self), **key, **self.record_attributes()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Webhook":
        """Return the webhook in an item; the events of the newest write are left out. Raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return from_attributes({**item, "events": ()}, cls)
            case version:
                raise UnknownForm("webhook", version)


class Progress(Struct, frozen=True):
    """The progress of a webhook in the log: `position` is the number of the last event that was attempted.

    Until `leased_until` (seconds since 1970) one worker attempts events, or waits after a failure. Each lease raises
    `fence`, and progress is written on the own fence only. `failures` counts the events since the last success whose
    first attempt failed. `succeeded_at` is the time of the last success in seconds since 1970, 0 before the first.
    """

    position: int
    fence: int = 0
    leased_until: int = 0
    failures: int = 0
    succeeded_at: int = 0

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Progress":
        """Return the progress in an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return from_attributes(item, cls)
            case version:
                raise UnknownForm("progress", version)

    def to_item(self, tenant_id: str, webhook_id: str) -> dict[str, Any]:
        """Return the item of the progress of a webhook."""
        return {**progress_key(tenant_id, webhook_id), **to_attributes(self), FORM: 1}


def webhook_key(tenant_id: str, webhook_id: str) -> dict[str, str]:
    """Return the key of a webhook."""
    return {"pk": f"T#{tenant_id}#WEBHOOKS", "sk": f"{WEBHOOK}{webhook_id}"}


def progress_key(tenant_id: str, webhook_id: str) -> dict[str, str]:
    """Return the key of the progress of a webhook."""
    return {"pk": f"T#{tenant_id}#WEBHOOKS", "sk": f"{PROGRESS}{webhook_id}"}
