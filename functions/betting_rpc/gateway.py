"""Connect behind API Gateway: events of the proxy integration to WSGI and back."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from apig_wsgi import make_lambda_handler

from functions.betting_rpc.context import current_event
from functions.betting_rpc.grpc_web_text import TEXT, with_text
from trimtab.kernel.errors import Invalid, NotFound, Refusal, UnsupportedMedia
from trimtab.runtime.http.app import request_context
from trimtab.runtime.http.methods import answer_method, with_head_and_options
from trimtab.runtime.http.payload_format import answer_any_format
from trimtab.runtime.http.problems import problem
from trimtab.runtime.observability import logger

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_METHODS = with_head_and_options({"POST"})
_GZIP = b"\x1f\x8b"
_REFUSALS: Mapping[int, Refusal] = {
    HTTPStatus.BAD_REQUEST: Invalid("invalid_base64", "Send the frame of a call of grpc-web-text as base64."),
    HTTPStatus.NOT_FOUND: NotFound("no_route", "There is no such method; see orders.proto."),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMedia(
        "unsupported_media_type",
        "Send application/json, application/proto, application/grpc-web+proto or application/grpc-web-text+proto. "
        "Compress with gzip, or not at all. API Gateway does not support gRPC.",
    ),
}
"""The problems of the statuses that are answered without a body."""


class ConnectGateway:
    """A Connect application behind API Gateway's proxy integration."""

    def __init__(self, application: "WSGIApplication", path: str) -> None:
        self._application = with_text(application)
        self._path = path
        self._handle = make_lambda_handler(
            self._run, binary_support=True, non_binary_content_type_prefixes=["application/json", TEXT]
        )

    @property
    def path(self) -> str:
        """The API Gateway resource of all methods."""
        return f"{self._path}/{{method}}"

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Return the answer to an event of API Gateway; bad requests are answered, never raised."""
        return answer_any_format(event, lambda request: self._resolve_request(request, context))

    def _resolve_request(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        with request_context(event):
            return answer_method(event, _METHODS, lambda: self._answer(event, context))

    def _answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        method = (event.get("pathParameters") or {}).get("method") or str(event.get("path")).rpartition("/")[2]
        logger.info("request", method=event.get("httpMethod"), rpc=method if method.isalpha() else None)
        token = current_event.set(event)
        try:
            answer = self._handle({**event, "path": f"{self._path}/{method}"}, context)
        finally:
            current_event.reset(token)
        refusal = _REFUSALS.get(answer["statusCode"])
        return problem(refusal) if refusal and not answer["body"] else answer

    def _run(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        media_type = str(environ.get("CONTENT_TYPE", "")).partition(";")[0]
        if not environ["wsgi.input"].getvalue().startswith(_GZIP):
            environ.pop("HTTP_CONTENT_ENCODING", None)  # API Gateway has decompressed the body and left the header
        is_grpc = media_type == "application/grpc" or media_type.startswith("application/grpc+")
        # Connect would answer another encoding with 501, which the alarm of server errors counts.
        if is_grpc or environ.get("HTTP_CONTENT_ENCODING", "gzip") not in {"gzip", "identity"}:
            start_response("415 Unsupported Media Type", [])
            return []
        environ.pop("HTTP_ACCEPT_ENCODING", None)  # API Gateway compresses

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # The adapter would take an answer with any content encoding, even `identity`, for binary.
            kept = [header for header in headers if header != ("content-encoding", "identity")]
            return start_response(status, kept, *rest)

        return self._application(environ, start)
