"""Routes of the API, read from the resolvers of the functions: a route is declared once."""

from dataclasses import dataclass
from importlib import import_module

from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver


@dataclass(frozen=True, order=True)
class ApiRoute:
    """A method and a path as in API Gateway: `/portfolios/{portfolio_id}`. An open route needs no token."""

    path: str
    method: str
    is_open: bool = False


def routes_of(package: str) -> list[ApiRoute]:
    """Return every route of the function, sorted. All RPCs of a function share one route.

    Raises TypeError if the handler module of the function has no resolver named `app`.
    """
    app = import_module(f"functions.{package}.handler").app
    if package.endswith("_rpc"):
        return [ApiRoute(app.path, "POST")]
    if not isinstance(app, ApiGatewayResolver):
        raise TypeError(f"functions.{package}.handler.app must be an ApiGatewayResolver")
    routes = [*app._static_routes, *app._dynamic_routes]
    open_paths: frozenset[str] = getattr(app, "open_paths", frozenset())
    return sorted(
        {ApiRoute(route.openapi_path, route.method.upper(), route.openapi_path in open_paths) for route in routes}
    )
