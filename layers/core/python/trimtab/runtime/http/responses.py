"""JSON responses of routes."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import ApiGatewayResolver, Response

from trimtab.runtime.http.cursors import encode_cursor
from trimtab.runtime.http.paths import relative_reference


def json_response(
    body: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """Return a JSON response; raises `TypeError` for values that JSON does not know, decimals among them."""
    return Response(
        int(status), "application/json", json.dumps(body, separators=(",", ":")), headers=dict(headers or {})
    )


def page_response(items: Sequence[Mapping[str, Any]], next_position: Any, *query: str) -> Response[str]:
    """Return a page of a list, with the cursor of the next page, which is bound to the `query`."""
    return json_response({"items": list(items), "next_cursor": encode_cursor(next_position, *query)})


def no_content() -> Response[str]:
    """Return 204 without a body."""
    return Response(int(HTTPStatus.NO_CONTENT), None, "")


def with_links(app: ApiGatewayResolver, view: Mapping[str, Any]) -> dict[str, Any]:
    """Return a view whose `links`, given as paths of the API, are relative to the URL of the current request."""
    return {**view, "links": {name: relative_location(app, path) for name, path in view["links"].items()}}


def relative_location(app: ApiGatewayResolver, path: str) -> str:
    """Return a path relative to the current request: right behind any stage or custom domain."""
    return relative_reference(app.current_event.raw_event, path)
