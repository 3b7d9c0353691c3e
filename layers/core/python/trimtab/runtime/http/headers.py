"""Headers of requests and responses."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

SAFE_HEADERS: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
"""The headers of every response that does not set its own: no cache keeps it, no browser guesses its media type."""


def request_headers(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers of an event of API Gateway by lower-case name."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def with_safe_headers(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a response in the form of API Gateway with `SAFE_HEADERS`, where it does not have these headers."""
    if "multiValueHeaders" in answer:
        given = {**{name: [value] for name, value in SAFE_HEADERS.items()}, **answer["multiValueHeaders"]}
        return {**answer, "multiValueHeaders": given}
    return {**answer, "headers": {**SAFE_HEADERS, **answer.get("headers", {})}}
