"""Responses of operations in the OpenAPI document: the headers that they send, and the problems that they can have."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from infra.tools.problem_types import problem_types
from trimtab.runtime.http.headers import SAFE_HEADERS
from trimtab.runtime.http.problems import PROBLEM_MEDIA_TYPE, PROBLEM_TYPE

JsonObject = dict[str, Any]

_REASONS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "Validation failed; `errors` names the invalid fields.",
    HTTPStatus.UNAUTHORIZED: "The token is missing, invalid or expired.",
    HTTPStatus.FORBIDDEN: "The token lacks the required scope, or belongs to another user.",
    HTTPStatus.NOT_FOUND: "The resource does not exist, or belongs to another tenant or user.",
    HTTPStatus.CONFLICT: "The state of the resource forbids the request, or the id belongs to another request.",
    HTTPStatus.PRECONDITION_FAILED: "`If-Match` does not name the current revision.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body exceeds the size limit.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The media type of the body is not supported.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request is well-formed but violates a rule.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests; retry after `Retry-After` seconds.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal error; `trace_id` identifies the log lines.",
    HTTPStatus.BAD_GATEWAY: "The gateway got no valid response of the function.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Temporarily unavailable; retry after `Retry-After` seconds.",
    HTTPStatus.GATEWAY_TIMEOUT: "The response took longer than the gateway waits.",
}

_RETRY_AFTER = {
    "description": "Seconds to wait before the request is sent again, or before the result is read.",
    "schema": {"type": "integer", "minimum": 0, "examples": [1]},
}
SUCCESS_HEADERS: Mapping[str, JsonObject] = {
    "ETag": {
        "description": "The revision of the portfolio, for `If-Match`.",
        "schema": {"type": "string", "examples": ['"3"']},
    },
    "Location": {
        "description": "The address of the resource, relative to the request.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": _RETRY_AFTER,
    "Link": {
        "description": "The address of the next file, relative to the request (RFC 8288); absent in the last file.",
        "schema": {"type": "string", "examples": ['<?cursor=WyJiIl0>; rel="next"']},
    },
    "Vary": {
        "description": "`Accept`: the response depends on the header `Accept` of the request.",
        "schema": {"type": "string", "examples": ["Accept"]},
    },
    "Cache-Control": {
        "description": "The caches that may keep the response, and for how long: by default none (`no-store`).",
        "schema": {"type": "string", "examples": ["private, max-age=60"]},
    },
    "Content-Security-Policy": {
        "description": "Sent with charts: the chart loads nothing and runs no scripts.",
        "schema": {"type": "string", "examples": ["default-src 'none'; style-src 'unsafe-inline'"]},
    },
    "X-Content-Type-Options": {
        "description": "`nosniff`, with every response: the media type must not be guessed.",
        "schema": {"type": "string", "examples": ["nosniff"]},
    },
}
"""The headers of responses by name."""

_LATER = ("Location", "Retry-After")
_CHART = ("Content-Security-Policy",)
_SENT: Mapping[tuple[str, int], tuple[str, ...]] = {
    **dict.fromkeys((("create_portfolio", 201), ("create_portfolio_alias", 201)), ("ETag", "Location")),
    **dict.fromkeys(
        [(name, 200) for name in ("get_portfolio", "change_portfolio", "set_allocation", "set_cash_tracking")],
        ("ETag",),
    ),
    **dict.fromkeys([(name, 202) for name in ("request_rebalance", "run_rebalance", "withdraw_cash")], _LATER),
    **dict.fromkeys([(name, 202) for name in ("record_trade", "correct_trade", "correct_fill")], _LATER),
    **dict.fromkeys([(name, 202) for name in ("import_trades", "import_cash", "undo_import")], _LATER),
    **dict.fromkeys((("settle_market", 202), ("resettle_market", 202), ("read_settlement", 200)), _LATER),
    **dict.fromkeys((("place_order", 201), ("create_webhook", 201)), ("Location",)),
    **dict.fromkeys((("export_trades", 200), ("export_cash", 200)), ("Link",)),
    **dict.fromkeys(
        [(f"read_{name}", 200) for name in ("sectors", "drift", "performance", "risk", "history")], ("Vary", *_CHART)
    ),
    ("open_link", 200): _CHART,
    **dict.fromkeys(
        [(name, 200) for name in ("check_health", "read_openapi", "read_docs", "read_problem")], ("Cache-Control",)
    ),
}

_NOT_FOUND_WITHOUT_ID = {"request_rebalance", "read_summary", "list_orders"}
_ALWAYS_FOUND = {"enter_asset", "settle_market", "resettle_market", "read_market", "change_market"}
_READS_WITH_RULES = {"read_performance", "read_risk", "read_history", "list_user_transactions"}
_NEVER_CONFLICT = {"halt_orders", "lift_halt"}
_NO_RULES = {
    *("create_webhook", "change_webhook", "delete_webhook", "rotate_webhook_secret", "test_webhook", "redeliver_event"),
    *("halt_orders", "lift_halt", "close_portfolio", "cancel_rebalance", "cancel_order", "lift_quarantine"),
    *("release_price", "withdraw_price", "enter_asset", "replace_contacts", "replace_alert_rules"),
    *("change_portfolio", "set_allocation", "change_market"),
}


def sent_headers(operation_id: str, status: int) -> tuple[str, ...]:
    """Return the names of the headers that a successful response of an operation has."""
    return tuple(sorted({*_SENT.get((operation_id, status), ()), *SAFE_HEADERS}))


def problem_statuses(operation: JsonObject, method: str) -> Iterator[HTTPStatus]:
    """Yield the status of every problem that the operation can have."""
    name, parameters = operation["operationId"], operation.get("parameters", ())
    in_path = [each for each in parameters if each["in"] == "path"]
    has_body, writes = "requestBody" in operation, method != "get"
    if parameters or has_body:
        yield HTTPStatus.BAD_REQUEST
    if operation.get("security"):
        yield HTTPStatus.UNAUTHORIZED
    if operation.get("security") or name == "open_link":
        yield HTTPStatus.FORBIDDEN
    if (in_path and name not in _ALWAYS_FOUND) or name in _NOT_FOUND_WITHOUT_ID:
        yield HTTPStatus.NOT_FOUND
    if writes and name not in _NEVER_CONFLICT:
        yield HTTPStatus.CONFLICT
    if any(each["name"] == "If-Match" for each in parameters):
        yield HTTPStatus.PRECONDITION_FAILED
    if has_body:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    if (writes and name not in _NO_RULES) or name in _READS_WITH_RULES:
        yield HTTPStatus.UNPROCESSABLE_ENTITY
    yield HTTPStatus.TOO_MANY_REQUESTS
    yield HTTPStatus.INTERNAL_SERVER_ERROR
    yield HTTPStatus.BAD_GATEWAY
    if operation.get("security") or name == "open_link":
        yield HTTPStatus.SERVICE_UNAVAILABLE
    yield HTTPStatus.GATEWAY_TIMEOUT


class FieldError(BaseModel):
    """An invalid field of a request."""

    field: str
    """The path of the field in the body, or the name of the parameter. Example: `allocation.AAPL`"""

    detail: str
    """The rule that the value breaks. Example: `Use a number, or a number as text.`"""


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    """The stable name of the problem, a URN; programs decide by this member. `GET /problems/{name}` explains
    `urn:trimtab:problem:{name}`."""

    title: str
    """The phrase of the HTTP status. Example: `Bad Request`"""

    status: int
    """The HTTP status. Example: `400`"""

    detail: str
    """A sentence for people: what is wrong, and what to do. Example: `The token has expired.`"""

    trace_id: str
    """The id of the request, which finds the request in the logs. Example: `c6af9ac6-7b61-11e6-9a41-93e8deadbeef`"""

    errors: list[FieldError] = []
    """The invalid fields, at most 20; absent if the problem is not about fields."""


def problem_schemas() -> JsonObject:
    """Return the schemas of a problem document by component name."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["properties"]["errors"].pop("default")
    schema["properties"]["type"] |= {"enum": [PROBLEM_TYPE + each.name for each in problem_types()]}
    return {**schema.pop("$defs"), "Problem": schema}


def component_name(status: HTTPStatus) -> str:
    """Return the name of the component that describes a problem.

    >>> component_name(HTTPStatus.NOT_FOUND)
    'NotFound'
    """
    return status.name.title().replace("_", "")


def problem_components() -> dict[str, JsonObject]:
    """Return the response of every problem status by the name of its component."""
    return {component_name(status): _problem(status, reason) for status, reason in _REASONS.items()}


def _problem(status: HTTPStatus, reason: str) -> JsonObject:
    headers = {name: SUCCESS_HEADERS[name] for name in SAFE_HEADERS}
    if status is HTTPStatus.UNAUTHORIZED:
        challenge = {"type": "string", "examples": ["Bearer"]}
        headers["WWW-Authenticate"] = {"description": "The scheme of the credentials.", "schema": challenge}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT}:
        headers["Retry-After"] = _RETRY_AFTER
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": reason, "headers": headers, "content": content}
