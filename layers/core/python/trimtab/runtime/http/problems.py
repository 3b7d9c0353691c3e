"""Problem documents (RFC 9457): the HTTP form of a refusal, of invalid fields and of failures."""

import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from botocore.exceptions import ClientError, HTTPClientError

from trimtab.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
)
from trimtab.runtime.observability import logger
from trimtab.runtime.tracing import current_trace_id

STATUS: Mapping[type[Refusal], HTTPStatus] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    Conflict: HTTPStatus.CONFLICT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
THROTTLES = {
    *("ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled"),
    *("Throttling", "ThrottlingError", "ThrottlingException"),
}
PROBLEM_TYPE = "urn:trimtab:problem:"
PROBLEM_MEDIA_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 20
INTERNAL_ERROR = (
    "internal_error",
    "Internal error. Retry the request; if the error persists, report the `trace_id`.",
)


def problem(refusal: Refusal, headers: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return a refusal, with further headers, in the form that API Gateway expects of a function."""
    response = refusal_response(refusal)
    response.headers.update(headers)
    return to_gateway(response)


def status_of(refusal: Refusal) -> HTTPStatus:
    """Return the HTTP status of a refusal."""
    return next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)


def refusal_response(refusal: Refusal) -> Response[str]:
    """Return the problem document of a refusal, with `Retry-After` and `WWW-Authenticate` where they apply."""
    status = status_of(refusal)
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    logger.info("refused", type=refusal.type, status=int(status))
    return _problem_response(status, refusal.type, refusal.detail, errors=refusal.errors, headers=headers)


def _problem_response(
    status: HTTPStatus,
    type: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE + type,
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "trace_id": current_trace_id(),
    }
    if errors:
        body["errors"] = list(errors)
    return Response(
        int(status), PROBLEM_MEDIA_TYPE, json.dumps(body, separators=(",", ":")), headers=dict(headers or {})
    )


def validation_response(error: RequestValidationError) -> Response[str]:
    """Return the problem document of a request whose fields are invalid."""
    return refusal_response(invalid_request((each["loc"][1:] or each["loc"], each["msg"]) for each in error.errors()))


def invalid_request(mistakes: Iterable[tuple[Sequence[Any], str]]) -> Invalid:
    """Return the refusal of a request with invalid fields, each given by its path and what is wrong; 20 at most."""
    errors = [
        {"field": ".".join(map(str, path)), "detail": message.removeprefix("Value error, ")}
        for path, message in islice(mistakes, MAX_FIELD_ERRORS)
    ]
    return Invalid("invalid_request", "Validation failed; see `errors`.", errors=errors)


def media_type_response(_: RequestUnsupportedContentType) -> Response[str]:
    """Return the problem document of a body with an unsupported media type."""
    return refusal_response(UnsupportedMedia("unsupported_media_type", "Send the body as application/json."))


def no_route_response(_: NotFoundError) -> Response[str]:
    """Return the problem document of a path that no route serves."""
    return refusal_response(NotFound("no_route", "No such route; see /openapi.json."))


def failure_response(error: Exception) -> Response[str]:
    """Return the problem document of an exception: 503 if a call to AWS may succeed when retried, else 500.

    The client learns nothing but the trace id; the log has the rest.
    """
    if unavailable := as_unavailable(error):
        return refusal_response(unavailable)
    return _problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, *INTERNAL_ERROR)


def as_unavailable(error: Exception) -> Unavailable | None:
    """Return the refusal for an error of a call to AWS that a retry may mend, None for any other error; log both."""
    if isinstance(error, ClientError) and _throttled(error):
        logger.warning("throttled", code=error.response["Error"]["Code"])
        return Unavailable("busy", "The service is busy. Retry the request.", retry_after_seconds=1)
    logger.exception("request failed")
    if isinstance(error, HTTPClientError):
        return Unavailable("no_answer", "A backing service did not respond. Retry the request.", retry_after_seconds=1)
    return None


def _throttled(error: ClientError) -> bool:
    reasons: Any = error.response.get("CancellationReasons", ())
    codes = {error.response["Error"]["Code"], *(reason.get("Code") for reason in reasons)}
    return bool(codes & THROTTLES)


def request_id_of(event: Mapping[str, Any]) -> str:
    """Return the request id of API Gateway."""
    return str((event.get("requestContext") or {}).get("requestId", ""))


def to_gateway(response: Response[str]) -> dict[str, Any]:
    """Return a response in the form that API Gateway expects of a function."""
    headers = {name: [value] for name, value in response.headers.items()}
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": headers,
    }
