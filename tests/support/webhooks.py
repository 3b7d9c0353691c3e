"""Events of tenants for the tests of webhooks: put on the queue as the bus does, and read as clients do."""

import json
from collections.abc import Iterator
from typing import Any

import boto3

from tests.support.analytics import on_bus
from tests.support.system import System, authorized
from trimtab.contracts.events import Event, cloud_event
from trimtab.kernel.clock import utc_now
from trimtab.kernel.ids import derive_id


def an_event(number: int, *, user_id: str = "1", type: str = "portfolio.updated", tenant_id: str = "demo") -> Any:
    """Return a CloudEvent about a portfolio of a user; equal numbers give equal ids."""
    data = {"portfolio_id": f"p{number}", "user_id": user_id, "name": "default"}
    return cloud_event(Event(type, data), id=derive_id("event", number), tenant_id=tenant_id, time=utc_now())


def send_events(system: System, *events: Any) -> None:
    """Put events on the queue as the rule of the bus does."""
    for event in events:
        boto3.client("sqs").send_message(QueueUrl=system.webhook_events_url, MessageBody=json.dumps(on_bus(event)))


def log_events(system: System, *events: Any) -> None:
    """Put events on the queue and log them."""
    send_events(system, *events)
    system.process_webhook_events()


def read_pages(system: System, after: str | None = None, tenant_id: str = "demo", **query: Any) -> Iterator[Any]:
    """Yield the pages of the list of events to its end."""
    for _ in range(1000):
        cursor = {} if after is None else {"after": after}
        answer = system.http(
            "GET",
            "/events",
            query={**{name: str(value) for name, value in query.items()}, **cursor},
            authorizer=authorized(tenant_id),
        )
        assert answer.status == 200, answer.text
        yield answer.json
        after = answer.json["after"]
        if not answer.json["has_more"]:
            return
    raise AssertionError("the list does not end")


def read_ids(system: System, after: str | None = None, **options: Any) -> list[str]:
    """Return the ids of all events after a cursor."""
    return [event["id"] for page in read_pages(system, after, **options) for event in page["items"]]
