"""Requests and responses of webhooks and their deliveries."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictBool, WithJsonSchema

from trimtab.contracts.event_data import DATA
from trimtab.contracts.fields import Model
from trimtab.contracts.stored_form import to_attributes
from trimtab.webhooks.domain.addresses import MAX_URL_LENGTH
from trimtab.webhooks.domain.deliveries import Attempt, Delivery, DeliveryStatus
from trimtab.webhooks.domain.webhooks import ANY_TYPE, Webhook, WebhookStatus

SUBSCRIBABLE = (ANY_TYPE, *sorted(DATA))


def _known(text: str) -> str:
    if text not in SUBSCRIBABLE:
        raise ValueError("Use types of the reference of events, such as portfolio.created, or *.")
    return text


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        examples=["https://hooks.example.com/trimtab"],
        json_schema_extra={"pattern": "^https://[!-~]+$"},
    ),
]
SubscribedType = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(SUBSCRIBABLE)}, mode="validation")
]
Types = Annotated[list[SubscribedType], Field(min_length=1, max_length=len(SUBSCRIBABLE), examples=[["*"]])]


class CreateWebhook(Model):
    """A receiver of events."""

    url: Url
    """The URL of the receiver: https on port 443, at a public address, without credentials."""
    types: Types
    """The types of the events to deliver, or `*` for every type."""


class ChangeWebhook(Model):
    """The members of a webhook to change; absent members stay as they are."""

    url: Url | None = None
    """The new URL of the receiver; null or absent to keep the URL."""
    types: Types | None = None
    """The new types of the events to deliver; null or absent to keep the types."""
    enabled: StrictBool | None = None
    """False to stop deliveries, true to resume them with the events since; null or absent to keep the status.
    Example: `true`"""


class WebhookView(Model):
    """A webhook without the secret."""

    webhook_id: str
    url: str
    """The URL of the receiver. Example: `https://hooks.example.com/trimtab`"""
    types: list[str]
    """The types of the events that are delivered, or `*` for every type."""
    status: WebhookStatus
    """ENABLED, or DISABLED while events wait in the log. Example: `ENABLED`"""
    disabled_reason: str | None
    """The reason of the status DISABLED as a sentence; null while the webhook is enabled."""
    previous_secret_until: str | None
    """The time until which the secret before the newest rotation signs, too (UTC); null without a rotation. Example:
    `2026-11-21T15:30:00Z`"""
    created_at: str
    updated_at: str


class WebhookWithSecret(WebhookView):
    """A webhook with the secret; no other response has the secret."""

    secret: str
    """The secret that verifies signatures, in the form of Standard Webhooks. Example:
    `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=`"""


class WebhookList(Model):
    """All webhooks of a tenant, the oldest first."""

    items: list[WebhookView]
    """The webhooks, at most 20."""


class AttemptView(Model):
    """One request to the receiver."""

    at: str
    """The time of the request (UTC). Example: `2026-11-20T15:30:00Z`"""
    milliseconds: int
    """The duration in milliseconds. Example: `85`"""
    status: int | None
    """The HTTP status of the response; null without a response. 2xx is a success. Example: `204`"""
    error: str | None
    """The reason for which there is no response; null with a response."""


class DeliveryView(Model):
    """The delivery of one event."""

    delivery_id: str
    """The id of the delivery within the webhook. Example: `42`"""
    event_id: str
    """The id of the event, sent as `webhook-id`. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    type: str
    """The type of the event. Example: `portfolio.created`"""
    status: DeliveryStatus
    """PENDING between attempts, DELIVERED after a 2xx response, FAILED after the last attempt. Example: `DELIVERED`"""
    tries: int
    """The number of all attempts. Example: `1`"""
    attempts: list[AttemptView]
    """The newest attempts, at most 20, oldest first."""
    next_attempt_at: str | None
    """The time of the next attempt (UTC); null if there is none. Example: `2026-11-20T15:30:10Z`"""
    created_at: str
    """The time of the first attempt (UTC). Example: `2026-11-20T15:30:00Z`"""


class DeliveryPage(Model):
    """Deliveries of a webhook, the newest event first."""

    items: list[DeliveryView]
    next_cursor: str | None


def webhook_view(webhook: Webhook) -> dict[str, Any]:
    """Return the members of a `WebhookView`."""
    members = to_attributes(webhook)
    names = ("webhook_id", "url", "types", "status", "disabled_reason", "created_at", "updated_at")
    return {**{name: members.get(name) for name in names}, "previous_secret_until": members.get("previous_until")}


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """Return the members of an `AttemptView`."""
    return {"status": None, "error": None, **to_attributes(attempt)}


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """Return the members of a `DeliveryView`."""
    members = to_attributes(delivery)
    names = ("event_id", "type", "status", "tries", "next_attempt_at", "created_at")
    return {
        "delivery_id": str(delivery.sequence),
        **{name: members.get(name) for name in names},
        "attempts": [attempt_view(attempt) for attempt in delivery.attempts],
    }
