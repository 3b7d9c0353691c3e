"""Write the descriptions that are generated from the code: `python -m infra.tools.descriptions` (or `make describe`).

The descriptions are the OpenAPI document of all functions, the texts of problem types, the JSON Schemas of queue
messages and events, and the AsyncAPI document. A test compares the files in the repository with the output of this
module.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.config import ROOT
from infra.tools import json_schema, member_docs, openapi, postman
from infra.tools.openapi import TITLE
from infra.tools.problem_types import problem_pages
from trimtab import __version__
from trimtab.contracts import event_data, messages
from trimtab.contracts.events import CloudEvent

POSTMAN = Path("docs/examples/trimtab.postman_collection.json")
DUPLICATE_DELIVERY = {
    "rebalance-requests": "idempotent by tenant_id, user_id, name and request_id",
    "insights": "the newest insight of each selection is kept, in any order of arrival",
    "quotes": "the newest quote of each symbol is kept, in any order of arrival",
}
"""The effect of a message that is delivered more than once, by public queue."""

EVENT_CHANNELS: Mapping[str, tuple[str | None, str]] = {
    "events": ("trimtab", "EventBridge. Delivery is at least once; deduplicate by `id`."),
    "webhooks": (
        None,
        "HTTPS requests to the URLs registered by POST /webhooks, signed as Standard Webhooks asks. Delivery is at "
        "least once; deduplicate by the header `webhook-id`.",
    ),
    "socket": (
        None,
        "A WebSocket connection, with the token at the connect. A client sends `subscribe` and gets the events of its "
        "subscriptions. Delivery is best effort; `GET /events` has every event.",
    ),
    "event-list": ("/events", "GET /events: the events of a tenant of the last 30 days, oldest first, with a cursor."),
}
"""Address and description of each channel of the events."""


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the public queues, and of the ways in which events reach clients."""
    queues = [queue for queue, _ in messages.PUBLIC.values()]
    event_schemas = event_data.schemas()
    names = {**messages.schemas(), **event_schemas}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": TITLE, "version": __version__, "description": "Public queues in, domain events out."},
        "channels": {
            **{queue: _queue_channel(queue) for queue in queues},
            **{
                name: {
                    "address": address,
                    "description": text,
                    "messages": {each: _message_ref(each) for each in event_schemas},
                }
                for name, (address, text) in EVENT_CHANNELS.items()
            },
        },
        "operations": {
            **{_operation(queue): {"action": "receive", "channel": _channel_ref(queue)} for queue in queues},
            "publishEvents": {"action": "send", "channel": _channel_ref("events")},
            "deliverEvents": {"action": "send", "channel": _channel_ref("webhooks")},
            "pushEvents": {"action": "send", "channel": _channel_ref("socket")},
            "listEvents": {"action": "send", "channel": _channel_ref("event-list")},
        },
        "components": {
            "messages": {
                name: {"contentType": "application/json", "payload": {"$ref": f"schemas/{name}.json"}} for name in names
            }
        },
    }


def _queue_channel(queue: str) -> dict[str, Any]:
    return {
        "address": queue,
        "description": f"SQS. Delivery is at least once; {DUPLICATE_DELIVERY[queue]}.",
        "messages": {name: _message_ref(name) for name, (target, _) in messages.PUBLIC.items() if target == queue},
    }


def _operation(queue: str) -> str:
    return "receive" + "".join(part.title() for part in queue.split("-"))


def _channel_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{name}"}


def _message_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}


def generated_files() -> dict[Path, str]:
    """Return the text of every generated file by its path relative to the repository."""
    generated, document = Path("functions/platform_api/generated"), openapi.document()
    texts = {generated / "openapi.json": _json(document), generated / "problems.json": _json(problem_pages())}
    texts[POSTMAN] = _json(postman.collection(document))
    for name, schema in messages.schemas().items():
        texts[Path(f"events/schemas/{name}.json")] = _json(_described(schema))
    for name, schema in event_data.schemas().items():
        texts[Path(f"events/schemas/{name}.json")] = _json(_described(schema, CloudEvent.__name__))
    texts[Path("events/asyncapi.yaml")] = yaml.safe_dump(asyncapi(), sort_keys=False, width=120)
    return texts


def _described(schema: dict[str, Any], title: str | None = None) -> dict[str, Any]:
    """Return a JSON Schema in standard keywords, with the descriptions of its members."""
    written: dict[str, Any] = json_schema.standard(schema)
    member_docs.describe(written, title)
    return written


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every generated file."""
    for path, text in generated_files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
