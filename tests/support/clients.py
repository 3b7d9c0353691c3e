"""AWS clients shared by all in-process systems: creating a client takes as long as three calls."""

from typing import Any

import boto3

_make_client = boto3.client
_clients: dict[str, Any] = {}


def kept_client(service: str, **options: Any) -> Any:
    """Return a client of a service with these options, the same object for equal options."""
    key = repr((service, sorted((name, getattr(value, "__dict__", value)) for name, value in options.items())))
    if key not in _clients:
        _clients[key] = _make_client(service, **options)  # type: ignore[call-overload]
    return _clients[key]


def forget_clients() -> None:
    """Drop all clients. A client whose retry quota is used up by injected faults does not retry any more."""
    _clients.clear()
