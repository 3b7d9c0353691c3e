"""The default responses of API Gateway, in the format of the functions: `application/problem+json` (RFC 9457)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from trimtab.runtime.http.headers import SAFE_HEADERS

_Type = apigateway.ResponseType


@dataclass(frozen=True)
class GatewayProblem:
    """One problem document; without a `detail` the message of API Gateway is used."""

    status: int
    type: str
    title: str
    detail: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def template(self) -> str:
        """The response template. API Gateway replaces `$context…`; `messageString` includes the quotes."""
        fixed = json.dumps({"type": f"urn:trimtab:problem:{self.type}", "title": self.title, "status": self.status})
        detail = json.dumps(self.detail) if self.detail else "$context.error.messageString"
        return f'{fixed[:-1]}, "detail": {detail}, "trace_id": "$context.requestId"}}'


_NEEDS_TOKEN = (("WWW-Authenticate", "Bearer"),)
_UNAUTHORIZED = GatewayProblem(
    401, "invalid_token", "Unauthorized", "Send the header Authorization: Bearer with a valid token.", _NEEDS_TOKEN
)
_FORBIDDEN = GatewayProblem(403, "forbidden", "Forbidden", "The token does not allow this request.")
_BAD_REQUEST = GatewayProblem(400, "invalid_request", "Bad Request")
_NO_ROUTE = GatewayProblem(404, "no_route", "Not Found", "No such route; see /openapi.json.")
_TOO_LARGE = GatewayProblem(413, "body_too_large", "Content Too Large", "Send at most 10 MB; most routes accept less.")
_MEDIA = GatewayProblem(415, "unsupported_media_type", "Unsupported Media Type", "Send the body as application/json.")
_TOO_MANY = GatewayProblem(
    429, "too_many_requests", "Too Many Requests", "Wait, then retry the request.", (("Retry-After", "1"),)
)
_INTERNAL = GatewayProblem(
    500,
    "internal_error",
    "Internal Server Error",
    "The server failed. Retry the request; if the error persists, report the trace_id.",
)
_BAD_GATEWAY = GatewayProblem(502, "bad_gateway", "Bad Gateway", _INTERNAL.detail)
_TIMEOUT = GatewayProblem(504, "timeout", "Gateway Timeout", "The response took too long. Retry the request.")

GATEWAY_PROBLEMS: dict[str, tuple[apigateway.ResponseType, GatewayProblem]] = {
    "Unauthorized": (_Type.UNAUTHORIZED, _UNAUTHORIZED),
    # The authorizer denies only refused tokens: scopes are checked by the functions.
    "AccessDenied": (_Type.ACCESS_DENIED, _UNAUTHORIZED),
    "WafFiltered": (_Type.WAF_FILTERED, _FORBIDDEN),
    # API Gateway reports "missing authentication token" for every unknown path.
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
    # The only remaining 4XX is an unknown path with a bearer token, which API Gateway reads as a broken AWS signature:
    # no method of this API uses AWS signatures.
    "Default4xx": (_Type.DEFAULT_4_XX, _NO_ROUTE),
    "Default5xx": (_Type.DEFAULT_5_XX, _INTERNAL),
}


def cors_headers(allowed_origins: Sequence[str]) -> dict[str, str]:
    """Return the headers that let web pages read the problems.

    A header of a gateway response is a fixed text, so that several origins need `*`. The problems hold no data of any
    tenant, and no page can send credentials with a request that is answered with `*`.
    """
    if not allowed_origins:
        return {}
    origin = allowed_origins[0] if len(allowed_origins) == 1 else "*"
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After, WWW-Authenticate"}


def add_gateway_problems(
    scope: Construct, api: apigateway.IRestApi, allowed_origins: Sequence[str]
) -> list[apigateway.GatewayResponse]:
    """Replace the default responses of API Gateway with problem documents."""
    fixed = {"Content-Type": "application/problem+json", **SAFE_HEADERS, **cors_headers(allowed_origins)}
    return [
        apigateway.GatewayResponse(
            scope,
            name,
            rest_api=api,
            type=response_type,
            status_code=str(problem.status),
            response_headers={header: f"'{value}'" for header, value in {**fixed, **dict(problem.headers)}.items()},
            templates={"application/json": problem.template},
        )
        for name, (response_type, problem) in GATEWAY_PROBLEMS.items()
    ]
