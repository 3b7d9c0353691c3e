"""AWS clients shared by all in-process systems: creating a client takes as long as three calls."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from trimtab.runtime import aws_client

_make_client, _make_test_client = aws_client.make_client, boto3.client
_clients: dict[str, Any] = {}


def kept_client(service: str, endpoint_url: str | None, config: Config) -> Any:
    """Return a client of a service with these options, the same object for equal options."""
    key = repr((service, endpoint_url, sorted(vars(config).items())))
    return _keep(key, lambda: _make_client(service, endpoint_url, config))


def kept_test_client(service: str, **options: Any) -> Any:
    """Return a client that a test makes with boto3, the same object for equal options."""
    key = repr((service, sorted((name, getattr(value, "__dict__", value)) for name, value in options.items())))
    return _keep(key, lambda: _make_test_client(service, **options))  # type: ignore[call-overload]


def _keep(key: str, make: Callable[[], Any]) -> Any:
    if key not in _clients:
        _clients[key] = make()
    return _clients[key]


def forget_clients() -> None:
    """Drop all clients. A client whose retry quota is used up by injected faults does not retry any more."""
    _clients.clear()
