"""Figures, pictures, alert rules and reports over HTTP: importing the routes puts them on the API."""

from functions.analytics_api import figures, requests
from functions.analytics_api.app import app
from trimtab.runtime.http.app import lambda_handler

__all__ = ["app", "figures", "handler", "requests"]


handler = lambda_handler(app)
