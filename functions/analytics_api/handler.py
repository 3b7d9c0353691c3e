"""Figures, pictures, alert rules and reports over HTTP: importing the routes puts them on the API."""

from typing import Any

from functions.analytics_api import figures, requests
from functions.analytics_api.app import app
from trimtab.runtime.observability import logger

__all__ = ["app", "figures", "handler", "requests"]


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The gateway's proxy integration."""
    return app.resolve(event, context)
