"""Portfolios and trades in the format of the earlier tracker; importing the route modules registers their routes."""

from functions.compat_api.tracker import portfolios, trades
from functions.compat_api.tracker.app import app

__all__ = ["app", "portfolios", "trades"]
