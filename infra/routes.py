"""The gateway's methods are read from the functions' own routes, so a route exists once."""

from dataclasses import dataclass
from importlib import import_module

from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver


@dataclass(frozen=True, order=True)
class Route:
    """A method and a path in the gateway's notation: `/portfolios/{portfolio_id}`. An open one needs no token."""

    path: str
    method: str
    is_open: bool = False


def routes_of(function: str) -> list[Route]:
    """Every route that the function answers, sorted; the RPCs of one are a single one."""
    app = import_module(f"functions.{function}.handler").app
    if function.endswith("_rpc"):
        return [Route(app.path, "POST")]
    if not isinstance(app, ApiGatewayResolver):
        raise TypeError(f"functions.{function}.handler.app is no resolver")
    routes = [*app._static_routes, *app._dynamic_routes]
    open_paths: frozenset[str] = getattr(app, "open_paths", frozenset())
    return sorted({Route(it.openapi_path, it.method.upper(), it.openapi_path in open_paths) for it in routes})
