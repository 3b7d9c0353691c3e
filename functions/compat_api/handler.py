"""Routes of earlier systems: the gateway passes whole trees of paths, and each API resolves its own paths.

Only the modules of the requested API are imported, so that a bet loads no ledger.
"""

from importlib import import_module
from typing import Any

from trimtab.compat.api import CompatApi
from trimtab.compat.proxied_paths import proxied_path
from trimtab.runtime.http.payload_format import answer_any_format
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger

PROXIES = ("/api/v1/{proxy+}", "/compat/{proxy+}")
"""The resources of the gateway that have every path of these APIs."""

_REBALANCER, _TRACKER, _BETTING = "rebalancer", "tracker.routes", "betting"
MODULES = (_REBALANCER, _TRACKER, _BETTING)


def api_of(path: str) -> CompatApi:
    """Return the API that a path belongs to; the API answers paths that it does not have."""
    match path.strip("/").split("/"):
        case ["compat", *_]:
            module = _REBALANCER
        case ["api", "v1", "portfolio" | "portfolio-summary" | "trade", *_]:
            module = _TRACKER
        case _:
            module = _BETTING
    app: CompatApi = import_module(f"functions.compat_api.{module}").app
    return app


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a request in the event format of API Gateway's proxy integration."""
    count("CompatRequests")
    return answer_any_format(event, lambda request: api_of(proxied_path(request)).resolve_request(request, context))
