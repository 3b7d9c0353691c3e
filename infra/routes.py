"""The gateway's methods are read from the functions' own routes, so a route exists once."""

from dataclasses import dataclass
from importlib import import_module

from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver


@dataclass(frozen=True, order=True)
class Route:
    """A method and a path in the gateway's notation: `/portfolios/{portfolio_id}`."""

    path: str
    method: str


def routes_of(function: str) -> list[Route]:
    """Every route that the function answers, sorted; the RPCs of one are a single one."""
    app = import_module(f"functions.{function}.handler").app
    if function.endswith("_rpc"):
        return [Route(app.path, "POST")]
    if not isinstance(app, ApiGatewayResolver):
        raise TypeError(f"functions.{function}.handler.app is no resolver")
    routes = [*app._static_routes, *app._dynamic_routes]
    return sorted({Route(route.openapi_path, route.method.upper()) for route in routes})
