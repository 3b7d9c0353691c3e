"""Writes the descriptions that are generated from the code: `python -m infra.descriptions` (or `make describe`).

The OpenAPI document of all functions, the JSON Schemas of queue messages and events, and the AsyncAPI document. A test
holds the written files equal to the code.
"""

import importlib
import json
from pathlib import Path
from typing import Any

import yaml
from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, SecurityScheme, Server

from functions.portfolios_api.app import IMPORT
from trimtab.contracts import events, messages
from trimtab.portfolios.ledger.trade_file import COLUMNS, MAX_ROWS

ROOT = Path(__file__).parents[1]
API_FUNCTIONS = (
    "platform_api",
    "portfolios_api",
    "balancing_api",
    "market_api",
    "analytics_api",
    "notifications_api",
    "betting_api",
)
VERSION = "1.0.0"
TITLE = "Trimtab"
DESCRIPTION = """Keeps portfolios on course: store a target allocation, report what the markets made of it, read the
transactions that lead back. Every request carries a token (`Authorization: Bearer …`) but those to `/health`,
`/openapi.json` and `/docs`. Decimals are JSON strings in answers, numbers or strings in requests. Errors are
`application/problem+json` with a stable `type`."""

IDEMPOTENCY = {
    "rebalance-requests": "idempotent by tenant_id, user_id, name and request_id",
    "insights": "of each selection the newest insight counts, in whatever order they come",
    "quotes": "of each symbol the newest quote wins, in whatever order they come",
}
"""What a delivery more than once comes to, by public queue."""

SECURITY: dict[str, SecurityScheme] = {
    "bearer": HTTPBearer(bearerFormat="JWT", description="A token of the configured issuer.")
}


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document over all API functions."""
    merge = OpenAPIMerge(
        title=TITLE,
        version=VERSION,
        description=" ".join(DESCRIPTION.split()),
        # Relative to the document, so that it is right behind every stage and domain.
        servers=[Server(url=".")],
        security_schemes=SECURITY,
        on_conflict="error",
    )
    for name in API_FUNCTIONS:
        app = importlib.import_module(f"functions.{name}.handler").app
        schema = json.loads(app.get_openapi_json_schema(title=TITLE, version=VERSION, security_schemes=SECURITY))
        merge.add_schema(schema)
    document: dict[str, Any] = json.loads(merge.get_openapi_json_schema())
    document["paths"][IMPORT]["post"]["requestBody"] = _csv_body()
    return document


def _csv_body() -> dict[str, Any]:
    """The body of the import: its route reads the text itself, so the resolver cannot describe it."""
    schema = {
        "type": "string",
        "title": "Trades as CSV",
        "description": f"Up to {MAX_ROWS} rows below a header with columns of: {', '.join(COLUMNS)}.",
        "examples": [(ROOT / "events" / "direct" / "trades.csv").read_text()],
    }
    return {"required": True, "content": {"text/csv": {"schema": schema}}}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: the public queues and the event bus."""
    queues = [queue for queue, _ in messages.PUBLIC.values()]
    event_schemas = events.schemas()
    names = {**messages.schemas(), **event_schemas}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": TITLE, "version": VERSION, "description": "Public queues in, domain events out."},
        "channels": {
            **{queue: _queue_channel(queue) for queue in queues},
            "events": {
                "address": "trimtab",
                "description": "EventBridge. At least once; the id of an event is the same at each delivery.",
                "messages": {name: _message_ref(name) for name in event_schemas},
            },
        },
        "operations": {
            **{_operation(queue): {"action": "receive", "channel": _channel_ref(queue)} for queue in queues},
            "publishEvents": {"action": "send", "channel": _channel_ref("events")},
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
        "description": f"SQS. At least once; {IDEMPOTENCY[queue]}.",
        "messages": {name: _message_ref(name) for name, (it, _) in messages.PUBLIC.items() if it == queue},
    }


def _operation(queue: str) -> str:
    return "receive" + "".join(part.title() for part in queue.split("-"))


def _channel_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{name}"}


def _message_ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{name}"}


def files() -> dict[Path, str]:
    """Every generated file, by its path below the repository."""
    written = {Path("functions/platform_api/openapi.json"): _json(openapi())}
    for name, schema in {**messages.schemas(), **events.schemas()}.items():
        written[Path(f"events/schemas/{name}.json")] = _json(schema)
    written[Path("events/asyncapi.yaml")] = yaml.safe_dump(asyncapi(), sort_keys=False, width=120)
    return written


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes them all."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
