"""Write the descriptions that are generated from the code: `python -m infra.tools.descriptions` (or `make describe`).

The descriptions are the OpenAPI document of all functions, the JSON Schemas of queue messages and events, and the
AsyncAPI document. A test compares the files in the repository with the output of this module.
"""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, SecurityScheme, Server

from functions.portfolios_api.app import CASH_IMPORT, CSV, IMPORT
from infra.config import ROOT
from trimtab import __version__
from trimtab.contracts import events, messages
from trimtab.portfolios.ledger.trade_file import CASH_COLUMNS, COLUMNS, MAX_ROWS

API_FUNCTIONS = (
    "platform_api",
    "portfolios_api",
    "balancing_api",
    "market_api",
    "analytics_api",
    "notifications_api",
    "betting_api",
)
TITLE = "Trimtab"
DESCRIPTION = """Trimtab stores target allocations, detects drift, and returns or executes the trades that restore the
target. Every request except those to `/health`, `/openapi.json` and `/docs` carries a token
(`Authorization: Bearer …`). Decimals are JSON strings in responses, numbers or strings in requests. Errors are
`application/problem+json` with a stable `type`."""

DUPLICATE_DELIVERY = {
    "rebalance-requests": "idempotent by tenant_id, user_id, name and request_id",
    "insights": "the newest insight of each selection is kept, in any order of arrival",
    "quotes": "the newest quote of each symbol is kept, in any order of arrival",
}
"""The effect of a message that is delivered more than once, by public queue."""

SECURITY: dict[str, SecurityScheme] = {
    "bearer": HTTPBearer(bearerFormat="JWT", description="A token of the configured issuer.")
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of all API functions."""
    merge = OpenAPIMerge(
        title=TITLE,
        version=__version__,
        description=" ".join(DESCRIPTION.split()),
        # Relative to the document: correct behind every stage and domain.
        servers=[Server(url=".")],
        security_schemes=SECURITY,
        on_conflict="error",
    )
    for name in API_FUNCTIONS:
        app = importlib.import_module(f"functions.{name}.handler").app
        schema = json.loads(app.get_openapi_json_schema(title=TITLE, version=__version__, security_schemes=SECURITY))
        merge.add_schema(schema)
    document: dict[str, Any] = json.loads(merge.get_openapi_json_schema())
    document["paths"][IMPORT]["post"]["requestBody"] = _csv_body("Trades as CSV", COLUMNS, "trades.csv")
    document["paths"][CASH_IMPORT]["post"]["requestBody"] = _csv_body("Cash as CSV", CASH_COLUMNS, "cash.csv")
    return document


def _csv_body(title: str, columns: Sequence[str], sample: str) -> dict[str, Any]:
    """Describe the body of an import; its route parses the text, so the resolver has no model of the body."""
    schema = {
        "type": "string",
        "title": title,
        "description": f"Up to {MAX_ROWS} rows below a header with columns of: {', '.join(columns)}. The parameters "
        "`preset` and `map` describe files with other columns.",
        "examples": [(ROOT / "events" / "direct" / sample).read_text()],
    }
    return {"required": True, "content": {CSV: {"schema": schema}}}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the public queues and the event bus."""
    queues = [queue for queue, _ in messages.PUBLIC.values()]
    event_schemas = events.schemas()
    names = {**messages.schemas(), **event_schemas}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": TITLE, "version": __version__, "description": "Public queues in, domain events out."},
        "channels": {
            **{queue: _queue_channel(queue) for queue in queues},
            "events": {
                "address": "trimtab",
                "description": "EventBridge. Delivery is at least once; deduplicate by `id`.",
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
    texts = {Path("functions/platform_api/generated/openapi.json"): _json(openapi())}
    for name, schema in {**messages.schemas(), **events.schemas()}.items():
        texts[Path(f"events/schemas/{name}.json")] = _json(schema)
    texts[Path("events/asyncapi.yaml")] = yaml.safe_dump(asyncapi(), sort_keys=False, width=120)
    return texts


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every generated file."""
    for path, text in generated_files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
