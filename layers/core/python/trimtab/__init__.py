"""Portfolio rebalancing, betting and market data, as one package of bounded contexts."""

__version__ = "0.2.0"
"""The only place of the version number. `/health`, OpenAPI, AsyncAPI and the package metadata read it."""
