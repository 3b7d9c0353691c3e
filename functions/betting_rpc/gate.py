"""The one gate of the RPCs: the gateway's events in and out, who asks and what they may, refusals as Connect errors."""

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

from apig_wsgi import make_lambda_handler
from connectrpc.code import Code
from connectrpc.codec import Codec
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from functions.betting_rpc.codec import written
from functions.betting_rpc.generated import orders_pb as pb
from trimtab.kernel import strict_json
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
)
from trimtab.runtime.http.app import authenticate
from trimtab.runtime.http.problems import INTERNAL_ERROR, PROBLEM_TYPE, as_unavailable, problem, status_of, trace_id_of
from trimtab.runtime.observability import logger

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CODES: Mapping[type[Refusal], Code] = {
    Invalid: Code.INVALID_ARGUMENT,
    UnsupportedMedia: Code.INVALID_ARGUMENT,
    TooLarge: Code.RESOURCE_EXHAUSTED,
    Unauthenticated: Code.UNAUTHENTICATED,
    Forbidden: Code.PERMISSION_DENIED,
    NotFound: Code.NOT_FOUND,
    Conflict: Code.FAILED_PRECONDITION,
    PreconditionFailed: Code.FAILED_PRECONDITION,
    Unprocessable: Code.FAILED_PRECONDITION,
    Unavailable: Code.UNAVAILABLE,
}
_GZIP = b"\x1f\x8b"
_event: ContextVar[Mapping[str, Any]] = ContextVar("event")
_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Who sent the RPC that is being answered."""
    return _caller.get()


def request_id() -> str:
    """The gateway's id of the RPC that is being answered."""
    return trace_id_of(_event.get())


class Admission:
    """Lets in whose token is good and carries the method's scope, before the message is read."""

    def __init__(self, *, auth: Callable[[], str], scopes: Mapping[str, str], clock: Clock = utc_now) -> None:
        self._auth = auth
        self._scopes = scopes
        self._clock = clock

    def on_start_sync(self, ctx: RequestContext[Any, Any]) -> None:
        """Raises the error that the client is answered with."""
        try:
            found = authenticate(_event.get(), self._auth, self._clock)
            found.require(self._scopes[ctx.method.name])
        except Exception as error:  # noqa: BLE001 - the client is told what it can act on; the log has the rest
            _tell(error, ctx)
        _caller.set(found)

    def on_end_sync(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None) -> None:
        """Nothing."""


class Telling:
    """Tells every refusal as the Connect error of its kind, and nothing of what failed on our side."""

    def intercept_unary_sync(
        self, call_next: Callable[[Any, RequestContext[Any, Any]], Any], request: Any, ctx: RequestContext[Any, Any]
    ) -> Any:
        """The answer of the method."""
        try:
            return call_next(request, ctx)
        except Exception as error:  # noqa: BLE001 - as above
            _tell(error, ctx)


class Strict:
    """A codec that reads what a REST route would: JSON of bounded depth with no key twice, and no unknown member.

    The bound is not only for order: protobuf's own reader of JSON ends the process on a deep list.
    """

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self._codec = codec

    def name(self) -> str:
        """Of the wrapped one."""
        return self._codec.name()

    def encode(self, message: Any) -> bytes:
        """As the wrapped one."""
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """The message; raises the error that the client is answered with."""
        try:
            if self.name() == "json":
                strict_json.loads(data.decode())
            return self._codec.decode(data, message_class)
        except Refusal as refusal:
            raise _error_of(refusal) from None
        except (ValueError, RecursionError) as error:
            raise _error_of(Invalid("invalid_request", f"This is not the message of the method: {error}")) from None


class Gate:
    """A Connect application behind the gateway's proxy integration."""

    def __init__(self, application: "WSGIApplication", path: str) -> None:
        self._application = application
        self._path = path
        self._answer = make_lambda_handler(
            self._run, binary_support=True, non_binary_content_type_prefixes=["application/json"]
        )

    @property
    def path(self) -> str:
        """The one resource of the gateway that leads to all methods."""
        return f"{self._path}/{{method}}"

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The gateway's answer to its event; never raises for what a client can cause."""
        method = (event.get("pathParameters") or {}).get("method") or str(event.get("path")).rpartition("/")[2]
        trace_id = trace_id_of(event)
        logger.append_keys(trace_id=trace_id)
        logger.info("request", method=event.get("httpMethod"), rpc=method)
        token = _event.set(event)
        try:
            answer = self._answer({**event, "path": f"{self._path}/{method}"}, context)
        finally:
            _event.reset(token)
        refusal = _UNSPOKEN.get(answer["statusCode"])
        return problem(refusal, trace_id) if refusal and not answer["body"] else answer

    def _run(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0]
        if kind == "application/grpc" or kind.startswith("application/grpc+"):
            start_response("415 Unsupported Media Type", [])
            return []
        environ.pop("HTTP_ACCEPT_ENCODING", None)  # the gateway compresses
        if not environ["wsgi.input"].getvalue().startswith(_GZIP):
            environ.pop("HTTP_CONTENT_ENCODING", None)  # the gateway has expanded the body, and left the header

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # An answer that says how it is not encoded would be taken for a binary one.
            return start_response(status, [it for it in headers if it != ("content-encoding", "identity")], *rest)

        return self._application(environ, start)


_UNSPOKEN: Mapping[int, Refusal] = {
    HTTPStatus.NOT_FOUND: NotFound("no_route", "There is no such method; see orders.proto."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMedia(
        "unsupported_media_type",
        "Send application/json, application/proto or application/grpc-web+proto; gRPC itself does not pass here.",
    ),
}


def _tell(error: Exception, ctx: RequestContext[Any, Any]) -> NoReturn:
    if isinstance(error, ConnectError):
        raise error
    refusal = error if isinstance(error, Refusal) else as_unavailable(error)
    if refusal is None:
        reason, detail = INTERNAL_ERROR
        raise _error(Code.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR, reason, detail) from None
    if refusal.retry_after_seconds is not None:
        ctx.response_headers["retry-after"] = str(refusal.retry_after_seconds)
    raise _error_of(refusal) from None


def _error_of(refusal: Refusal) -> ConnectError:
    code = code_of(refusal)
    logger.info("refused", type=refusal.type, code=code.value)
    more = {"errors": list(refusal.errors), "retry_after_seconds": refusal.retry_after_seconds}
    return _error(code, status_of(refusal), refusal.type, refusal.detail, **more)


def code_of(refusal: Refusal) -> Code:
    """The Connect code of a refusal. Of conflicts, one that passes is `aborted`, a key with two requests
    `already_exists`, and a state that does not allow it `failed_precondition`."""
    if isinstance(refusal, Conflict) and refusal.retry_after_seconds is not None:
        return Code.ABORTED
    if refusal.type == "key_reused":
        return Code.ALREADY_EXISTS
    return next(CODES[kind] for kind in type(refusal).__mro__ if kind in CODES)


def _error(code: Code, status: HTTPStatus, reason: str, detail: str, **more: Any) -> ConnectError:
    view = {
        "type": PROBLEM_TYPE + reason,
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "trace_id": request_id(),
    }
    return ConnectError(code, detail, [written(pb.Problem, {**view, **more})])
