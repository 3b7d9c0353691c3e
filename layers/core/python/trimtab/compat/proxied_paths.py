"""Paths below a resource of the gateway that has a whole tree of paths (`{proxy+}`)."""

from collections.abc import Iterable, Mapping
from typing import Any

PROXY = "{proxy+}"


def proxied_path(event: Mapping[str, Any]) -> str:
    """Return the path of a request as the client sent it, percent-encoded, without stage or base path.

    >>> proxied_path({"resource": "/api/v1/{proxy+}", "pathParameters": {"proxy": "trade/a%7C1"}})
    '/api/v1/trade/a%7C1'
    """
    parameters: Mapping[str, str] = event.get("pathParameters") or {}
    return str(event.get("resource")).replace(PROXY, parameters.get("proxy", ""))


def match_resource(path: str, resources: Iterable[str]) -> tuple[str, dict[str, str]] | None:
    """Return the resource that a path names, and its parameters; None where there is no such resource.

    A resource that is written out is preferred. A slash at the end of the path has no meaning.

    >>> match_resource("/orders/open/7/", ["/orders/{order_id}/settle", "/orders/open/{user_id}"])
    ('/orders/open/{user_id}', {'user_id': '7'})
    """
    given = path.strip("/").split("/")
    found = []
    for resource in resources:
        parts = resource.strip("/").split("/")
        pairs = list(zip(parts, given, strict=False))
        if len(parts) == len(given) and all(part == each or part[0] == "{" for part, each in pairs):
            found.append((resource, {part.strip("{}"): each for part, each in pairs if part[0] == "{"}))
    return min(found, key=lambda match: len(match[1]), default=None)
