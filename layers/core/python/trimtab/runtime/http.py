"""HTTP for every API function: admission, problem documents, answers, cursors and their documentation."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from http import HTTPStatus
from itertools import islice
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from botocore.exceptions import ClientError, HTTPClientError
from msgspec import Struct
from pydantic import BaseModel

from trimtab.kernel import ids, strict_json
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock, utc_now
from trimtab.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
    invalid_cursor,
)
from trimtab.runtime import authorizer_context
from trimtab.runtime.observability import logger

STATUS: Mapping[type[Refusal], HTTPStatus] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
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
    "Something failed on our side. Send the same request again; if it goes on, tell us the trace_id.",
)


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    detail: str


class Problem(BaseModel):
    """An error as RFC 9457 writes it. `type` is stable; `detail` says what to do; `trace_id` finds it in the log."""

    type: str
    title: str
    status: int
    detail: str
    trace_id: str
    errors: list[FieldError] | None = None


class Body(Struct, frozen=True):
    """What a route takes as its body: the media type, and how many bytes at most."""

    media_type: str = "application/json"
    max_bytes: int = strict_json.MAX_BYTES


JSON_BODY = Body()


class Api(APIGatewayRestResolver):
    """An API function's routes behind one gate.

    A request is admitted when its size and type fit and, unless the API is public, a token is verified: by the
    gateway's authorizer where there is one, by the function itself where not (`auth` gives the setting AUTH).
    `open_paths` need none: who may see what, they check by themselves. A route's `security` names the scopes that it
    needs, for the documentation and for the check alike. Every error leaves as a problem document.
    """

    def __init__(
        self,
        *,
        auth: Callable[[], str] | None,
        clock: Clock = utc_now,
        bodies: Mapping[str, Body] | None = None,
        open_paths: Set[str] = frozenset(),
    ) -> None:
        self._bodies = bodies or {}
        largest = max(body.max_bytes for body in (JSON_BODY, *self._bodies.values()))
        super().__init__(
            enable_validation=True, json_body_deserializer=lambda text: _object(strict_json.loads(text, largest))
        )
        self._auth = auth
        self._clock = clock
        self.open_paths = open_paths
        self.use([_check_scopes])
        self.exception_handler(Refusal)(_refused)
        self.exception_handler(RequestValidationError)(_invalid)
        self.exception_handler(RequestUnsupportedContentType)(_unsupported)
        self.exception_handler(NotFoundError)(_no_route)
        self.exception_handler(Exception)(_failed)

    @property
    def caller(self) -> Caller:
        """Who sent the request that is being answered."""
        caller: Caller = self.context["caller"]
        return caller

    @property
    def request_id(self) -> str:
        """The gateway's id of the request that is being answered."""
        return str(self.current_event.request_context.request_id)

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        """The gateway's answer to its event; never raises for what a client can cause."""
        logger.append_keys(trace_id=trace_id_of(event))
        logger.info("request", method=event.get("httpMethod"), resource=event.get("resource"))
        try:
            _check_body(event, self._bodies.get(str(event.get("resource")), JSON_BODY))
            if self._auth is not None and event.get("resource") not in self.open_paths:
                self.context["caller"] = authenticate(event, self._auth, self._clock)
        except Refusal as refusal:
            return problem(refusal, trace_id_of(event))
        except Exception as error:  # noqa: BLE001 - a client is told nothing but the trace id; the log has the rest
            return _as_gateway_answer(_failed(error, trace_id_of(event)))
        # The media type is settled; Powertools would compare it again, by its letter case.
        headers = {
            name: value for name, value in (event.get("headers") or {}).items() if name.lower() != "content-type"
        }
        return super().resolve({**event, "headers": headers}, context)


def authenticate(event: Mapping[str, Any], auth: Callable[[], str], clock: Clock) -> Caller:
    """Who sent the gateway's event: as its authorizer found, else as the token says that is verified here."""
    context = (event.get("requestContext") or {}).get("authorizer") or {}
    if "tenant_id" in context:
        return authorizer_context.from_context(context, clock().timestamp())
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    # Behind a gateway that authorizes, no cold start pays for this import.
    from trimtab.runtime.auth import verifier  # noqa: PLC0415

    return verifier(auth()).verify(headers.get("authorization"))[0]


def _check_body(event: Mapping[str, Any], wanted: Body) -> None:
    body = event.get("body")
    if not body:
        return
    # Base64 is four characters for three bytes: this bound is checked before anything is decoded.
    most = wanted.max_bytes * 4 // 3 + 4 if event.get("isBase64Encoded") else wanted.max_bytes
    if len(body) > most or len(body.encode("utf-8", "surrogatepass")) > most:
        raise TooLarge("body_too_large", f"Send at most {wanted.max_bytes} bytes.")
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    media_type = str(headers.get("content-type") or wanted.media_type).partition(";")[0].strip().lower()
    json_like = wanted is JSON_BODY and media_type.startswith("application/") and media_type.endswith("+json")
    if media_type != wanted.media_type and not json_like:
        raise UnsupportedMedia("unsupported_media_type", f"Send the body as {wanted.media_type}.")
    if event.get("isBase64Encoded"):
        _check_text(body, wanted.max_bytes)


def _check_text(body: str, max_bytes: int) -> None:
    try:
        decoded = base64.b64decode(body, validate=True)
        decoded.decode()
    except ValueError:
        raise Invalid("invalid_body", "Send the body as text in UTF-8.") from None
    if len(decoded) > max_bytes:
        raise TooLarge("body_too_large", f"Send at most {max_bytes} bytes.")


def _object(value: Any) -> Any:
    # Powertools would take the only member of a list for the body.
    if not isinstance(value, dict):
        raise Invalid("invalid_request", "Send a JSON object.")
    return value


def _check_scopes(app: Api, next_middleware: Callable[[Api], Response[Any]]) -> Response[Any]:
    for requirement in app.context["_route"].security or ():
        for scopes in requirement.values():
            for scope in scopes:
                app.caller.require(scope)
    return next_middleware(app)


# Answers ---------------------------------------------------------------------------------------------------------


def answer(
    body: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """A JSON answer. Decimals must already be text; anything that JSON does not know is a mistake and raises."""
    return Response(
        int(status), "application/json", json.dumps(body, separators=(",", ":")), headers=dict(headers or {})
    )


def page(items: Sequence[Mapping[str, Any]], next_position: Any, *query: str) -> Response[str]:
    """A page of a list, with the cursor of the next one."""
    return answer({"items": list(items), "next_cursor": encode_cursor(next_position, *query)})


def no_content() -> Response[str]:
    """204."""
    return Response(int(HTTPStatus.NO_CONTENT), None, "")


def location(app: Api, path: str) -> str:
    """A reference to a path of this API, relative to the request: right behind any stage or custom domain."""
    depth = str(app.current_event.path).lstrip("/").count("/")
    return "../" * depth + path.lstrip("/")


def one_request_id(header: str | None, member: str | None) -> str | None:
    """The id of a request that may stand in the header Idempotency-Key, in the body, or in both if it is the same."""
    if header and member and header != member:
        raise Invalid("two_request_ids", "Idempotency-Key and the body give different ids; give one of them.")
    return header or member


def require_revision(if_match: str | None, revision: int) -> None:
    """`PreconditionFailed` where an If-Match header names other revisions than this one."""
    if if_match is None or if_match.strip() == "*":
        return
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(",")]
    if str(revision) not in tags:
        raise PreconditionFailed(
            "revision_mismatch", f"It is at revision {revision} now: read it again, then decide whether to change it."
        )


def problem(refusal: Refusal, trace_id: str) -> dict[str, Any]:
    """A refusal as the gateway's answer."""
    return _as_gateway_answer(_problem(refusal, trace_id))


def status_of(refusal: Refusal) -> HTTPStatus:
    """The status that tells a refusal."""
    return next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)


def _problem(refusal: Refusal, trace_id: str) -> Response[str]:
    status = status_of(refusal)
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    logger.info("refused", type=refusal.type, status=int(status))
    return _problem_response(
        status, refusal.type, refusal.detail, trace_id=trace_id, errors=refusal.errors, headers=headers
    )


def _problem_response(
    status: HTTPStatus,
    type: str,
    detail: str,
    *,
    trace_id: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE + type,
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "trace_id": trace_id,
    }
    if errors:
        body["errors"] = list(errors)
    return Response(
        int(status), PROBLEM_MEDIA_TYPE, json.dumps(body, separators=(",", ":")), headers=dict(headers or {})
    )


def _refused(refusal: Refusal) -> Response[str]:
    return _problem(refusal, _current_trace_id())


def _invalid(error: RequestValidationError) -> Response[str]:
    return _refused(invalid_request((each["loc"][1:] or each["loc"], each["msg"]) for each in error.errors()))


def invalid_request(mistakes: Iterable[tuple[Sequence[Any], str]]) -> Invalid:
    """The refusal of fields, each given by its path and what is wrong with it; 20 at most are told."""
    errors = [
        {"field": ".".join(map(str, path)), "detail": message.removeprefix("Value error, ")}
        for path, message in islice(mistakes, MAX_FIELD_ERRORS)
    ]
    return Invalid("invalid_request", "Some fields do not have the form that is asked for; see errors.", errors=errors)


def _unsupported(_: RequestUnsupportedContentType) -> Response[str]:
    return _refused(UnsupportedMedia("unsupported_media_type", f"Send the body as {JSON_BODY.media_type}."))


def _no_route(_: NotFoundError) -> Response[str]:
    return _problem(NotFound("no_route", "There is no such route; see /openapi.json."), _current_trace_id())


def _failed(error: Exception, trace_id: str | None = None) -> Response[str]:
    trace_id = trace_id or _current_trace_id()
    if unavailable := as_unavailable(error):
        return _problem(unavailable, trace_id)
    return _problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, *INTERNAL_ERROR, trace_id=trace_id)


def as_unavailable(error: Exception) -> Unavailable | None:
    """What an error of a call to AWS means to the client: try again. None, and a line in the log, for any other."""
    if isinstance(error, ClientError) and _throttled(error):
        logger.warning("throttled", code=error.response["Error"]["Code"])
        return Unavailable("busy", "The service is busy; send the same request again.", retry_after_seconds=1)
    logger.exception("request failed")
    if isinstance(error, HTTPClientError):
        return Unavailable(
            "no_answer", "The service could not be reached; send the same request again.", retry_after_seconds=1
        )
    return None


def _throttled(error: ClientError) -> bool:
    reasons: Any = error.response.get("CancellationReasons", ())
    codes = {error.response["Error"]["Code"], *(reason.get("Code") for reason in reasons)}
    return bool(codes & THROTTLES)


def trace_id_of(event: Mapping[str, Any]) -> str:
    """The gateway's id of the request."""
    return str((event.get("requestContext") or {}).get("requestId", ""))


def _current_trace_id() -> str:
    return str(logger.get_current_keys().get("trace_id", ""))


def _as_gateway_answer(response: Response[str]) -> dict[str, Any]:
    headers = {name: [value] for name, value in response.headers.items()}
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": headers,
    }


# Cursors ---------------------------------------------------------------------------------------------------------


def encode_cursor(position: Any, *query: str) -> str | None:
    """Where the next page starts, opaque and bound to the query (tenant first) that it continues."""
    if position is None:
        return None
    text = json.dumps([ids.fingerprint(*query), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *query: str) -> Any:
    """The position in a cursor of the same query; `Invalid` for any other text.

    It holds no partition key, so a forged one can only move within what the caller may read anyway.
    """
    if cursor is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,1024}", cursor):
        raise invalid_cursor()
    try:
        bound_to, position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise invalid_cursor() from None
    if bound_to != ids.fingerprint(*query) or not _is_position(position):
        raise invalid_cursor()
    return position


def _is_position(position: Any) -> bool:
    return isinstance(position, list) and all(isinstance(part, str | int) for part in position)
