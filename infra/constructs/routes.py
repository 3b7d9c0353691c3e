"""Routes of the API, read from the resolvers of the functions: a route is declared once."""

from dataclasses import dataclass
from importlib import import_module

from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver

_PROXIED_METHODS = ("GET", "PATCH", "POST", "PUT")


@dataclass(frozen=True, order=True)
class ApiRoute:
    """A method and a path as in API Gateway: `/portfolios/{portfolio_id}`. An open route needs no token."""

    path: str
    method: str
    is_open: bool = False


def routes_of(package: str) -> list[ApiRoute]:
    """Return every route of the function, sorted. All RPCs of a function share one route.

    The routes below the resources that the handler module lists as `PROXIES` (`/api/v1/{proxy+}`) count as one route
    for each method. Raises TypeError if the handler module has neither `PROXIES` nor a resolver named `app`.
    """
    module = import_module(f"functions.{package}.handler")
    if proxies := getattr(module, "PROXIES", ()):
        return [ApiRoute(path, method) for path in proxies for method in _PROXIED_METHODS]
    app = module.app
    if package.endswith("_rpc"):
        return [ApiRoute(app.path, "POST")]
    if not isinstance(app, ApiGatewayResolver):
        raise TypeError(f"functions.{package}.handler.app must be an ApiGatewayResolver")
    routes = [*app._static_routes, *app._dynamic_routes]
    open_paths: frozenset[str] = getattr(app, "open_paths", frozenset())
    return sorted(
        {ApiRoute(route.openapi_path, route.method.upper(), route.openapi_path in open_paths) for route in routes}
    )
