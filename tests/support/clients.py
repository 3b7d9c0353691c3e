"""The clients of AWS that worlds share: making one takes as long as three calls."""

from typing import Any

import boto3

_make_client = boto3.client
_clients: dict[str, Any] = {}


def kept_client(service: str, **options: Any) -> Any:
    """A client of the service, the same for all worlds."""
    key = repr((service, sorted((name, getattr(it, "__dict__", it)) for name, it in options.items())))
    if key not in _clients:
        _clients[key] = _make_client(service, **options)  # type: ignore[call-overload]
    return _clients[key]


def forget_clients() -> None:
    """Clients that met many faults try no more: each has so many retries, and gets them back by answers."""
    _clients.clear()
