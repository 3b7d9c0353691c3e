"""The base of every API function: limits of bodies, authentication, scopes and error handling."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import ResponseBuilder, Route
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestUnsupportedContentType, RequestValidationError
from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent
from msgspec import Struct

from trimtab.contracts.traces import TRACEPARENT
from trimtab.kernel import strict_json
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock, utc_now
from trimtab.kernel.errors import Invalid, Refusal, TooLarge, UnsupportedMedia
from trimtab.runtime import authorizer_context
from trimtab.runtime.http.headers import request_headers
from trimtab.runtime.http.methods import answer_method, with_head_and_options
from trimtab.runtime.http.paths import path_parameters
from trimtab.runtime.http.payload_format import answer_any_format
from trimtab.runtime.http.problems import (
    failure_response,
    invalid_request,
    media_type_response,
    no_route_response,
    problem,
    refusal_response,
    request_id_of,
    to_gateway,
    validation_response,
)
from trimtab.runtime.observability import log_context, logger
from trimtab.runtime.tracing import continue_trace

LambdaHandler = Callable[[dict[str, Any], Any], dict[str, Any]]


class Body(Struct, frozen=True):
    """The media type and maximum size of a route's request body."""

    media_type: str = "application/json"
    max_bytes: int = strict_json.MAX_BYTES


JSON_BODY = Body()
_LOGGED_PARAMETERS = ("portfolio_id", "rebalance_id")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Api(APIGatewayRestResolver):
    """The routes of one API function, behind the checks that every request has to pass.

    Unless the API is public (`auth` is None), a token must be valid: the gateway's authorizer verifies tokens, or the
    function itself where there is none (`auth` returns the setting AUTH). The `security` of a route names the scopes
    required, both for the documentation and for the check. Routes of `open_paths` need no token and authorize requests
    themselves. Then the size and the media type of the body must fit: a request without permission learns nothing about
    its content. Every error becomes a problem document.
    `other_methods` has the methods, by resource, that another function serves.
    """

    def __init__(
        self,
        *,
        auth: Callable[[], str] | None,
        clock: Clock = utc_now,
        bodies: Mapping[str, Body] | None = None,
        open_paths: Set[str] = frozenset(),
        other_methods: Mapping[str, Set[str]] = MappingProxyType({}),
    ) -> None:
        self._bodies = bodies or {}
        self._other_methods = other_methods
        largest = max(body.max_bytes for body in (JSON_BODY, *self._bodies.values()))
        super().__init__(
            enable_validation=True, json_body_deserializer=lambda text: _object(strict_json.loads(text, largest))
        )
        self._auth = auth
        self._clock = clock
        self.open_paths = open_paths
        self.exception_handler(Refusal)(refusal_response)
        self.exception_handler(RequestValidationError)(validation_response)
        self.exception_handler(RequestUnsupportedContentType)(media_type_response)
        self.exception_handler(NotFoundError)(no_route_response)
        self.exception_handler(Exception)(failure_response)

    @property
    def caller(self) -> Caller:
        """The authenticated sender of the current request."""
        caller: Caller = self.context["caller"]
        return caller

    @property
    def request_id(self) -> str:
        """The request id that API Gateway gave the current request."""
        return request_id_of(self.current_event.raw_event)

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the response to an event of API Gateway; no request of a client makes this raise."""
        return answer_any_format(event, lambda request: self.resolve_request(request, context))

    def resolve_request(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Return the response to an event of payload format 1.0; a subclass may give errors another form."""
        methods = self.methods_of(str(event.get("resource")))
        with request_context(event):
            # A path without a route may hold anything, even an address: the log names known resources only.
            logger.info("request", method=event.get("httpMethod"), resource=event.get("resource") if methods else None)
            return answer_method(event, methods, lambda: self._answer(event, context))

    def methods_of(self, resource: str) -> Set[str]:
        """Return the methods of a resource, none for a resource that the API does not have."""
        own = {route.method for route in self._routes() if route.openapi_path == resource}
        return with_head_and_options(own | self._other_methods.get(resource, frozenset())) if own else frozenset()

    def _answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            route = self._route_of(event)
            if self._auth is not None and event.get("resource") not in self.open_paths:
                self.context["caller"] = caller = authenticate(event, self._auth, self._clock)
                logger.append_keys(tenant_id=caller.tenant_id)
                if route:
                    _check_scopes(caller, route)
            _check_body(event, self._bodies.get(str(event.get("resource")), JSON_BODY))
            if route:
                _check_query(event, route)
        except Refusal as refusal:
            return problem(refusal)
        except Exception as error:  # noqa: BLE001 - the client learns the trace id only; the log has the rest
            return to_gateway(failure_response(error))
        # The media type was checked above; Powertools would check it again, case-sensitively.
        headers = {
            name: value for name, value in (event.get("headers") or {}).items() if name.lower() != "content-type"
        }
        return super().resolve({**event, "headers": headers}, context)

    def _resolve(self) -> ResponseBuilder[BaseProxyEvent]:
        """Resolve the route by the resource that the gateway matched: `path` may carry a base path or a stage."""
        event: dict[str, Any] = self.current_event.raw_event
        route = self._route_of(event)
        if route is None:
            return self._handle_not_found(method=event["httpMethod"], path=str(event.get("resource")))
        self.context.update(_route=route)
        return self._call_route(route, path_parameters(event))

    def _route_of(self, event: Mapping[str, Any]) -> Route | None:
        method = str(event.get("httpMethod")).upper().replace("HEAD", "GET")
        wanted = (event.get("resource"), method)
        return next((route for route in self._routes() if (route.openapi_path, route.method) == wanted), None)

    def _routes(self) -> Iterator[Route]:
        yield from self._static_routes
        yield from self._dynamic_routes


def lambda_handler(app: Api) -> LambdaHandler:
    """Return the Lambda handler of an API: the proxy integration of API Gateway, with the log context."""

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return app.resolve(event, context)

    instrumented: LambdaHandler = logger.inject_lambda_context(clear_state=True)(handler)
    return instrumented


@contextmanager
def request_context(event: Mapping[str, Any]) -> Iterator[None]:
    """Continue the trace of the request's `traceparent`; every log line names the request, tenant, and ids of the path.

    Ids that are no UUIDs are left out: a path may have anything in their place.
    """
    request_id, parameters = request_id_of(event), event.get("pathParameters") or {}
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    found = {name: parameters.get(name) for name in _LOGGED_PARAMETERS}
    ids = {name: value for name, value in found.items() if value and _UUID.fullmatch(value)}
    trace = continue_trace(request_headers(event).get(TRACEPARENT), request_id)
    with trace, log_context(request_id=request_id, tenant_id=authorizer.get("tenant_id"), **ids):
        yield


def authenticate(event: Mapping[str, Any], auth: Callable[[], str], clock: Clock) -> Caller:
    """Return the sender of a request, from the context of the gateway's authorizer or from a token verified here."""
    context = (event.get("requestContext") or {}).get("authorizer") or {}
    if "tenant_id" in context:
        return authorizer_context.from_context(context, clock().timestamp())
    headers = request_headers(event)
    # Imported here because behind an authorizer no cold start should pay for the import.
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
    headers = request_headers(event)
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
    # Powertools would validate the only element of a list as the body.
    if not isinstance(value, dict):
        raise Invalid("invalid_request", "Send a JSON object.")
    return value


def _check_scopes(caller: Caller, route: Route) -> None:
    for requirement in route.security or ():
        for scopes in requirement.values():
            for scope in scopes:
                caller.require(scope)


def _check_query(event: Mapping[str, Any], route: Route) -> None:
    """Refuse parameters that the route does not have: a filter with a wrong name must not return everything."""
    known = {field.alias for field in route.dependant.query_params}
    given = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    hint = f"Known query parameters: {', '.join(sorted(known))}." if known else "The route has no query parameters."
    if unknown := sorted(set(given) - known):
        raise invalid_request(((name,), f"Unknown query parameter. {hint}") for name in unknown)
