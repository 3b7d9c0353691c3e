"""Routes for events."""

from functools import lru_cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import Limit
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.settings import Settings
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.schemas.events import EventPage, EventType, to_sequence
from trimtab.webhooks.service.event_feed import EventFeed


class WebhooksApiSettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> WebhooksApiSettings:
    """Return the settings, read on first use."""
    return WebhooksApiSettings.load()


@lru_cache(maxsize=1)
def event_feed() -> EventFeed:
    """Return the reader of events, wired on first use."""
    return EventFeed(EventLog(dynamodb_client(), settings().webhooks_table), utc_now)


app = Api(auth=lambda: settings().auth)

After = Annotated[str | None, Query(description="The `after` of the last response; without it, the oldest events.")]
TypeFilter = Annotated[EventType | None, Query(alias="type", description="Only events of this type.")]


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


handler = lambda_handler(app)
