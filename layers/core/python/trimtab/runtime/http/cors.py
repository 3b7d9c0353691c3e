"""Cross-origin requests of browsers (CORS), for the origins in the setting ALLOWED_ORIGINS; none by default."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from trimtab.runtime.http.headers import request_headers
from trimtab.runtime.settings import Settings

EXPOSED_HEADERS = (
    "Allow, ETag, Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin, Link, Location, Retry-After, WWW-Authenticate"
)
"""The response headers that scripts may read, besides those that every script may."""

ACCEPTED_HEADERS = (
    "Accept, Authorization, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Type, Grpc-Timeout, Idempotency-Key, "
    "If-Match, Traceparent, X-Grpc-Web, X-User-Agent"
)
PREFLIGHT_VALID_SECONDS = 3600


class CorsSettings(Settings):
    """The origins of web pages that may call the API, separated by commas, or `*`."""

    allowed_origins: str = ""


@lru_cache(maxsize=1)
def allowed_origins() -> frozenset[str]:
    """Return the origins of web pages that may call the API, read on first use."""
    return frozenset(CorsSettings.load().allowed_origins.split(",")) - {""}


def options_answer(event: Mapping[str, Any], methods: Iterable[str]) -> dict[str, Any]:
    """Return the response to OPTIONS: the methods of the resource, and for a preflight the permission to use them."""
    allowed = ", ".join(sorted(methods))
    headers = {"Allow": allowed}
    if "access-control-request-method" in request_headers(event) and _origin_headers(event):
        headers |= {
            "Access-Control-Allow-Methods": allowed,
            "Access-Control-Allow-Headers": ACCEPTED_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_VALID_SECONDS),
        }
    return {
        "statusCode": int(HTTPStatus.NO_CONTENT),
        "body": "",
        "isBase64Encoded": False,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
    }


def with_cors(event: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Return a response with the headers that let a web page of an allowed origin read the response.

    Credentials are not allowed: the API takes bearer tokens, never cookies.
    """
    if not allowed_origins():
        return answer
    headers = _origin_headers(event)
    if "multiValueHeaders" not in answer:
        return {**answer, "headers": {**answer.get("headers", {}), **headers, "Vary": "Origin"}}
    given: Mapping[str, list[str]] = answer["multiValueHeaders"]
    more = {name: [value] for name, value in headers.items()}
    return {**answer, "multiValueHeaders": {**given, **more, "Vary": [*given.get("Vary", ()), "Origin"]}}


def _origin_headers(event: Mapping[str, Any]) -> dict[str, str]:
    origin = request_headers(event).get("origin")
    if origin and allowed_origins() & {origin, "*"}:
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
    return {}
