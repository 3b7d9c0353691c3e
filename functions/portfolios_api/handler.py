"""Portfolios, rebalances, trades and holdings over HTTP: importing the routes puts them on the API."""

from typing import Any

from functions.portfolios_api import portfolios, trades
from functions.portfolios_api.app import app
from trimtab.runtime.observability import logger

__all__ = ["app", "handler", "portfolios", "trades"]


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The gateway's proxy integration."""
    return app.resolve(event, context)
