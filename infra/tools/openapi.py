"""The OpenAPI document of all API functions: their schemas merged, with the ids and the responses of operations."""

import importlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License, SecurityScheme, Server, Tag

from functions.portfolios_api.app import CASH_IMPORT, CSV, IMPORT
from infra.config import ROOT
from infra.tools import bounds, json_schema, member_docs
from infra.tools.responses import (
    SUCCESS_HEADERS,
    component_name,
    problem_components,
    problem_schemas,
    problem_statuses,
    sent_headers,
)
from trimtab import __version__
from trimtab.portfolios.ledger.trade_file import CASH_COLUMNS, COLUMNS, MAX_ROWS
from trimtab.runtime.http.problems import PROBLEM_MEDIA_TYPE

JsonObject = dict[str, Any]

API_FUNCTIONS = (
    "platform_api",
    "portfolios_api",
    "balancing_api",
    "market_api",
    "analytics_api",
    "notifications_api",
    "webhooks_api",
    "betting_api",
)
TITLE = "Trimtab"
DESCRIPTION = """Trimtab stores target allocations, detects drift, and returns or executes the trades that restore the
target. Every request except those to `/health`, `/openapi.json` and `/docs` carries a token
(`Authorization: Bearer …`). Decimals are JSON strings in responses, numbers or strings in requests. Errors are
`application/problem+json` with a stable `type`. HEAD is answered as GET, and OPTIONS with the methods of the resource;
another method gets 405 with `Allow`. Unknown query parameters and members are refused."""
TAGS = {
    "Platform": "Health and documentation.",
    "Portfolios": "Target allocations, policies and the life of a portfolio.",
    "Rebalances": "Drift reports, rebalances, their transactions, and withdrawals.",
    "Trades": "Trades, cash entries, and their files.",
    "Holdings": "Quantities, costs, values, income and profit.",
    "Operators": "Actions of operators: stale portfolios, quarantined symbols and halts.",
    "Market": "Quotes, assets, daily bars and splits.",
    "Analytics": "Drift, performance and risk, as figures and charts; alert rules, links and reports.",
    "Notifications": "Addresses that receive alerts and reports.",
    "Events": "The events of a tenant.",
    "Webhooks": "Receivers of events, and the deliveries to them.",
    "Orders": "Betting orders.",
    "Positions": "Betting positions and totals of a user.",
    "Markets": "Settlement of betting markets.",
}
SECURITY: dict[str, SecurityScheme] = {
    "bearer": HTTPBearer(bearerFormat="JWT", description="A token of the configured issuer.")
}


class ComponentCollision(Exception):
    """Two functions give different schemas to one component name."""


def document() -> JsonObject:
    """Return the OpenAPI 3.1 document of all API functions; raises `ComponentCollision`."""
    written = json_schema.standard(_merged())
    paths = written["paths"]
    paths[IMPORT]["post"]["requestBody"] = _csv_body("Trades as CSV", COLUMNS, "trades.csv")
    paths[CASH_IMPORT]["post"]["requestBody"] = _csv_body("Cash as CSV", CASH_COLUMNS, "cash.csv")
    functions = _route_functions()
    for path, methods in paths.items():
        for method, operation in methods.items():
            _complete(operation, method, path, functions)
    schemas = {**written["components"]["schemas"], **problem_schemas()}
    components = {**written["components"], "schemas": schemas, "responses": problem_components()}
    used = json_schema.without_unused({kind: components[kind] for kind in ("schemas", "responses")}, paths)
    member_docs.describe(used["schemas"])
    bounds.add_bounds(used["schemas"])
    return {**written, "components": {**components, **used}}


def _merged() -> JsonObject:
    """Return the schemas of all functions in one document, as Powertools writes them."""
    merge = OpenAPIMerge(
        title=TITLE,
        version=__version__,
        description=" ".join(DESCRIPTION.split()),
        # Relative to the document: correct behind every stage and domain.
        servers=[Server(url=".")],
        tags=[Tag(name=name, description=description) for name, description in TAGS.items()],
        license_info=License(name="Apache License 2.0", identifier="Apache-2.0"),
        security_schemes=SECURITY,
        on_conflict="error",
    )
    components: JsonObject = {}
    for name in API_FUNCTIONS:
        app = importlib.import_module(f"functions.{name}.handler").app
        schema = json.loads(app.get_openapi_json_schema(title=TITLE, version=__version__, security_schemes=SECURITY))
        add_components(components, schema["components"]["schemas"])
        merge.add_schema(schema)
    document: JsonObject = json.loads(merge.get_openapi_json_schema())
    return document


def add_components(components: JsonObject, further: Mapping[str, Any]) -> None:
    """Add further components to those of the functions before; raises `ComponentCollision`."""
    for name, schema in further.items():
        if components.setdefault(name, schema) != schema:
            raise ComponentCollision(f"{name} has two different schemas: give each class a name of its own.")


def _route_functions() -> dict[tuple[str, str], Any]:
    """Return the function of every route by method and path."""
    apps = [importlib.import_module(f"functions.{name}.handler").app for name in API_FUNCTIONS]
    return {
        (route.method.lower(), route.openapi_path): route.func
        for app in apps
        for route in (*app._static_routes, *app._dynamic_routes)
    }


def _complete(operation: JsonObject, method: str, path: str, functions: Mapping[tuple[str, str], Any]) -> None:
    """Give an operation its id, its description and the responses that the operation can have."""
    function = functions[method, path]
    full_path = max((other for (verb, other), each in functions.items() if each is function), key=len)
    alias = path != full_path
    operation["operationId"] = function.__name__ + ("_alias" if alias else "")
    operation.setdefault("security", [])  # Powertools leaves out that a route needs no token.
    text = inspect.cleandoc(function.__doc__)
    operation["description"] = text + (f"\n\nAn alias of `{method.upper()} {full_path}`." if alias else "")
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "header":  # Powertools writes the names in lower case.
            parameter["name"] = parameter["name"].title()
    responses = dict(_own_responses(operation))
    for status in problem_statuses(operation, method):
        responses.setdefault(str(int(status)), {"$ref": f"#/components/responses/{component_name(status)}"})
    operation["responses"] = dict(sorted(responses.items()))


def _own_responses(operation: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the responses that the route itself describes, with their headers; not those that are common to routes."""
    for status, response in operation["responses"].items():
        content = response.get("content") or {}
        is_common = PROBLEM_MEDIA_TYPE in content or status == "422"
        if not is_common:
            headers = {name: SUCCESS_HEADERS[name] for name in sent_headers(operation["operationId"], int(status))}
            yield status, {**response, "headers": headers}


def _csv_body(title: str, columns: Sequence[str], sample: str) -> JsonObject:
    """Describe the body of an import; its route parses the text, so the resolver has no model of the body."""
    schema = {
        "type": "string",
        "title": title,
        "description": f"Up to {MAX_ROWS} rows below a header with columns of: {', '.join(columns)}. The parameters "
        "`preset` and `map` describe files with other columns.",
        "examples": [(ROOT / "events" / "direct" / sample).read_text()],
    }
    return {"required": True, "content": {CSV: {"schema": schema}}}
