"""Routes for events and webhooks."""

from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import Field

from trimtab.contracts.fields import Identifier
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import Cursor, IdempotencyKey, Limit
from trimtab.runtime.http.problems import invalid_request
from trimtab.runtime.http.responses import json_response, no_content, page_response, relative_location
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.webhooks.adapters.delivery_queue import DeliveryQueue
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.sender import WebhookSender
from trimtab.webhooks.adapters.webhook_store import WebhookStore
from trimtab.webhooks.domain.addresses import to_target
from trimtab.webhooks.domain.webhooks import Webhook
from trimtab.webhooks.schemas import webhooks as views
from trimtab.webhooks.schemas.events import EventPage, EventType, to_sequence
from trimtab.webhooks.service.event_feed import EventFeed
from trimtab.webhooks.service.webhooks import Webhooks


class WebhooksApiSettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str
    deliveries_queue_url: str
    allow_local_webhooks: bool = False
    auth: str


@lru_cache(maxsize=1)
def settings() -> WebhooksApiSettings:
    """Return the settings, read on first use."""
    return WebhooksApiSettings.load()


@lru_cache(maxsize=1)
def event_feed() -> EventFeed:
    """Return the reader of events, wired on first use."""
    return EventFeed(EventLog(dynamodb_client(), settings().webhooks_table), utc_now)


@lru_cache(maxsize=1)
def webhooks() -> Webhooks:
    """Return the service of webhooks, wired on first use."""
    table = settings().webhooks_table
    return Webhooks(
        WebhookStore(dynamodb_client(), table),
        EventLog(dynamodb_client(), table),
        DeliveryQueue(sqs_client(), settings().deliveries_queue_url),
        WebhookSender(allow_local=settings().allow_local_webhooks),
        utc_now,
    )


app = Api(auth=lambda: settings().auth)
READ, WRITE = "webhooks:read", "webhooks:write"
webhook_route = partial(route, tag="Webhooks")

After = Annotated[str | None, Query(description="The `after` of the last response; without it, the oldest events.")]
TypeFilter = Annotated[EventType | None, Query(alias="type", description="Only events of this type.")]
WebhookId = Annotated[Identifier, Path(description="The `webhook_id` of a webhook.")]
DeliveryId = Annotated[
    str, Field(pattern="^[0-9]{1,15}$"), Path(description="The `delivery_id` of a delivery of the webhook.")
]


@app.get("/events", **route("List events", "events:read", EventPage, tag="Events"))
def list_events(after: After = None, limit: Limit = 50, type: TypeFilter = None) -> Response[Any]:
    """List the events of the last 30 days, oldest first; the token of an end user lists events about that user only.

    A page may have fewer than `limit` items although more follow: read pages until `has_more` is false. Later, `after`
    of the last page returns the events since then, so that polling misses no event and gets each event once.
    """
    query = (app.caller.tenant_id, "events")
    page = event_feed().read(app.caller, to_sequence(decode_cursor(after, *query)), limit, type)
    cursor = encode_cursor([page.position], *query)
    return json_response({"items": page.events, "after": cursor, "has_more": page.has_more})


@app.post("/webhooks", **webhook_route("Create a webhook", WRITE, views.WebhookWithSecret, HTTPStatus.CREATED))
def create_webhook(body: views.CreateWebhook, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Create a webhook for the events from now on. The secret is in this response only.

    Deliveries are signed as Standard Webhooks asks. Each event is delivered at least once: deduplicate by `webhook-id`.
    """
    _check_url(body.url)
    key = idempotency_key or app.request_id
    webhook = webhooks().create(app.caller, key, body.url, _distinct(body.types))
    headers = {"Location": relative_location(app, f"webhooks/{webhook.webhook_id}")}
    return json_response(_with_secret(webhook), HTTPStatus.CREATED, headers)


@app.get("/webhooks", **webhook_route("List webhooks", READ, views.WebhookList))
def list_webhooks() -> Response[Any]:
    """List all webhooks of the tenant, the oldest first."""
    return json_response({"items": [views.webhook_view(webhook) for webhook in webhooks().list(app.caller)]})


@app.get("/webhooks/<webhook_id>", **webhook_route("Read a webhook", READ, views.WebhookView))
def get_webhook(webhook_id: WebhookId) -> Response[Any]:
    """Read a webhook, without the secret."""
    return json_response(views.webhook_view(webhooks().get(app.caller, webhook_id)))


@app.patch("/webhooks/<webhook_id>", **webhook_route("Change a webhook", WRITE, views.WebhookView))
def change_webhook(webhook_id: WebhookId, body: views.ChangeWebhook) -> Response[Any]:
    """Change URL, types or status. Events that were logged while the webhook was disabled are delivered afterwards."""
    if body.url is not None:
        _check_url(body.url)
    types = None if body.types is None else _distinct(body.types)
    return json_response(views.webhook_view(webhooks().change(app.caller, webhook_id, body.url, types, body.enabled)))


@app.delete("/webhooks/<webhook_id>", **webhook_route("Delete a webhook", WRITE, status=HTTPStatus.NO_CONTENT))
def delete_webhook(webhook_id: WebhookId) -> Response[Any]:
    """Delete a webhook. A repeated request returns 204, too."""
    webhooks().delete(app.caller, webhook_id)
    return no_content()


@app.post("/webhooks/<webhook_id>/rotate", **webhook_route("Rotate the secret", WRITE, views.WebhookWithSecret))
def rotate_webhook_secret(webhook_id: WebhookId) -> Response[Any]:
    """Give a webhook a new secret. For 24 hours deliveries also have a signature of the secret before."""
    return json_response(_with_secret(webhooks().rotate(app.caller, webhook_id)))


@app.post("/webhooks/<webhook_id>/test", **webhook_route("Test a webhook", WRITE, views.AttemptView))
def test_webhook(webhook_id: WebhookId) -> Response[Any]:
    """Send an event of the type `webhook.tested` to the receiver at once, and return the outcome."""
    return json_response(views.attempt_view(webhooks().test(app.caller, webhook_id, app.request_id)))


@app.get("/webhooks/<webhook_id>/deliveries", **webhook_route("List deliveries", READ, views.DeliveryPage))
def list_deliveries(webhook_id: WebhookId, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List the deliveries of the last 30 days with their attempts, the newest event first."""
    query = (app.caller.tenant_id, "deliveries", webhook_id)
    page = webhooks().deliveries(app.caller, webhook_id, limit, decode_cursor(cursor, *query))
    return page_response([views.delivery_view(delivery) for delivery in page.items], page.next_position, *query)


@app.post(
    "/webhooks/<webhook_id>/deliveries/<delivery_id>/redeliver",
    **webhook_route("Redeliver an event", WRITE, views.DeliveryView, HTTPStatus.ACCEPTED),
)
def redeliver_event(webhook_id: WebhookId, delivery_id: DeliveryId) -> Response[Any]:
    """Attempt a delivery once more, whatever its status. A worker sends the event after the response."""
    repeated = webhooks().redeliver(app.caller, webhook_id, int(delivery_id))
    return json_response(views.delivery_view(repeated), HTTPStatus.ACCEPTED)


def _check_url(url: str) -> None:
    try:
        to_target(url, allow_local=settings().allow_local_webhooks)
    except ValueError as error:
        raise invalid_request([(("url",), str(error))]) from None


def _distinct(types: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(types))


def _with_secret(webhook: Webhook) -> dict[str, Any]:
    return {**views.webhook_view(webhook), "secret": webhook.secret}


handler = lambda_handler(app)
