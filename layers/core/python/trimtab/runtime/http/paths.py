"""Paths of requests: parameters as the gateway passes them, and references relative to the request."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote


def path_parameters(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the path parameters of an event of API Gateway, decoded exactly once.

    A REST API passes paths and path parameters as the client sent them, percent-encoded. An HTTP API decodes them; its
    events, other than those of a REST API, have a `version`.

    >>> path_parameters({"pathParameters": {"user_id": "auth0%7C1"}})
    {'user_id': 'auth0|1'}
    >>> path_parameters({"version": "1.0", "pathParameters": {"user_id": "auth0|1"}})
    {'user_id': 'auth0|1'}
    """
    parameters: Mapping[str, str] = event.get("pathParameters") or {}
    if "version" in event:
        return dict(parameters)
    return {name: unquote(value) for name, value in parameters.items()}


def relative_reference(event: Mapping[str, Any], path: str) -> str:
    """Return a percent-encoded path of the API relative to the URL of the request (RFC 3986).

    A relative reference stays right behind any stage or base path.
    The depth of the request is that of its resource, because the path may begin with the base path of a custom domain.

    >>> relative_reference({"resource": "/portfolios/{portfolio_id}", "path": "/api/v1/portfolios/1"}, "/orders/a%7Cb")
    '../orders/a%7Cb'
    """
    depth = str(event["resource"]).strip("/").count("/") + str(event["path"]).endswith("/")
    return "../" * depth + path.lstrip("/")
