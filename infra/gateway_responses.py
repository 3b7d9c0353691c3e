"""What the gateway answers by itself, as the functions would: `application/problem+json` (RFC 9457)."""

import json
from dataclasses import dataclass

from aws_cdk import aws_apigateway as apigateway

_Type = apigateway.ResponseType


@dataclass(frozen=True)
class Problem:
    """One answer, in the words of the functions' own; without a `detail` the gateway's message is given."""

    status: int
    type: str
    title: str
    detail: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def template(self) -> str:
        """The gateway fills in `$context…`; `messageString` brings its own quotes."""
        fixed = json.dumps({"type": f"urn:trimtab:problem:{self.type}", "title": self.title, "status": self.status})
        detail = json.dumps(self.detail) if self.detail else "$context.error.messageString"
        return f'{fixed[:-1]}, "detail": {detail}, "trace_id": "$context.requestId"}}'


_NEEDS_TOKEN = (("WWW-Authenticate", "Bearer"),)
_UNAUTHORIZED = Problem(
    401, "invalid_token", "Unauthorized", "Send the header Authorization: Bearer with a valid token.", _NEEDS_TOKEN
)
_FORBIDDEN = Problem(403, "forbidden", "Forbidden", "This token may not do this.")
_BAD_REQUEST = Problem(400, "invalid_request", "Bad Request")
_NO_ROUTE = Problem(404, "no_route", "Not Found", "There is no such route; see /openapi.json.")
_TOO_LARGE = Problem(413, "body_too_large", "Content Too Large", "Send at most 10 MB; most routes take less.")
_MEDIA = Problem(415, "unsupported_media_type", "Unsupported Media Type", "Send the body as application/json.")
_TOO_MANY = Problem(
    429, "too_many_requests", "Too Many Requests", "Wait, then send the same request again.", (("Retry-After", "1"),)
)
_INTERNAL = Problem(
    500,
    "internal_error",
    "Internal Server Error",
    "Something failed on our side. Send the same request again; if it goes on, tell us the trace_id.",
)
_BAD_GATEWAY = Problem(502, "bad_gateway", "Bad Gateway", _INTERNAL.detail)
_TIMEOUT = Problem(504, "timeout", "Gateway Timeout", "The answer took too long. Send the same request again.")

GATEWAY_PROBLEMS: dict[str, tuple[apigateway.ResponseType, Problem]] = {
    "Unauthorized": (_Type.UNAUTHORIZED, _UNAUTHORIZED),
    "AccessDenied": (_Type.ACCESS_DENIED, _FORBIDDEN),
    "WafFiltered": (_Type.WAF_FILTERED, _FORBIDDEN),
    # The gateway says "missing authentication token" for every path that it does not know.
    "MissingAuthenticationToken": (_Type.MISSING_AUTHENTICATION_TOKEN, _NO_ROUTE),
    "ResourceNotFound": (_Type.RESOURCE_NOT_FOUND, _NO_ROUTE),
    "InvalidSignature": (_Type.INVALID_SIGNATURE, _NO_ROUTE),
    "BadRequestBody": (_Type.BAD_REQUEST_BODY, _BAD_REQUEST),
    "BadRequestParameters": (_Type.BAD_REQUEST_PARAMETERS, _BAD_REQUEST),
    "RequestTooLarge": (_Type.REQUEST_TOO_LARGE, _TOO_LARGE),
    "UnsupportedMediaType": (_Type.UNSUPPORTED_MEDIA_TYPE, _MEDIA),
    "Throttled": (_Type.THROTTLED, _TOO_MANY),
    "QuotaExceeded": (_Type.QUOTA_EXCEEDED, _TOO_MANY),
    "IntegrationTimeout": (_Type.INTEGRATION_TIMEOUT, _TIMEOUT),
    "IntegrationFailure": (_Type.INTEGRATION_FAILURE, _BAD_GATEWAY),
    # What is left of 4XX: an unknown path with a bearer token, which the gateway takes for a broken AWS signature.
    # No method of ours is signed, so it is never anything else.
    "Default4xx": (_Type.DEFAULT_4_XX, _NO_ROUTE),
    "Default5xx": (_Type.DEFAULT_5_XX, _INTERNAL),
}


def add_gateway_problems(api: apigateway.RestApi) -> None:
    """Replaces every answer that the gateway makes by itself."""
    for name, (response_type, problem) in GATEWAY_PROBLEMS.items():
        headers = {"Content-Type": "application/problem+json", **dict(problem.headers)}
        api.add_gateway_response(
            name,
            type=response_type,
            status_code=str(problem.status),
            response_headers={header: f"'{value}'" for header, value in headers.items()},
            templates={"application/json": problem.template},
        )
