"""The in-process system as a WSGI application, for clients that send HTTP requests."""

from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from functions.platform_api import handler as platform_function
from infra.constructs.routes import routes_of
from tests.support.system import ALL_SCOPES, LambdaContext, _function_of, authorized, gateway_event

TOKEN = "valid"
_SCOPES = f"{ALL_SCOPES} market:read market:write operator"
_PLATFORM = {route.path for route in routes_of("platform_api")}


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Pass a request to the function that serves its resource, as API Gateway does; `TOKEN` has all scopes."""
    request = Request(environ)
    event = _event(request, environ)
    is_platform = event["resource"] in _PLATFORM
    function = platform_function if is_platform else _function_of(event["resource"], request.method)
    response = _response(function.handler(event, LambdaContext()))
    return response(environ, start_response)


def _event(request: Request, environ: dict[str, Any]) -> dict[str, Any]:
    query: dict[str, list[str]] = {}
    for name, value in request.args.items(multi=True):
        query.setdefault(name, []).append(value)
    path = "/" + str(environ.get("REQUEST_URI") or request.path).partition("?")[0].lstrip("/")
    is_valid = request.headers.get("Authorization") == f"Bearer {TOKEN}"
    event = gateway_event(
        request.method,
        path,
        request.get_data(as_text=True) or None,
        query=query,
        authorizer=authorized(scope=_SCOPES) if is_valid else None,
    )
    headers = dict(request.headers.items())
    return event | {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}


def _response(answer: dict[str, Any]) -> Response:
    response = Response(answer["body"], answer["statusCode"])
    response.headers.clear()
    for name, values in answer["multiValueHeaders"].items():
        for value in values:
            response.headers.add(name, value)
    return response
