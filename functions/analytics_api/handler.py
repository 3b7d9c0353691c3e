"""Figures, charts, alert rules, links and reports over HTTP; importing the route modules registers their routes."""

from functions.analytics_api import figures, requests
from functions.analytics_api.app import app
from trimtab.runtime.http.app import lambda_handler

__all__ = ["app", "figures", "handler", "requests"]


handler = lambda_handler(app)
