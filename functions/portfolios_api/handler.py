"""Portfolios, rebalances, trades and holdings over HTTP; importing the route modules registers their routes."""

from functions.portfolios_api import files, imports, portfolios, trades
from functions.portfolios_api.app import app
from trimtab.runtime.http.app import lambda_handler

__all__ = ["app", "files", "handler", "imports", "portfolios", "trades"]


handler = lambda_handler(app)
