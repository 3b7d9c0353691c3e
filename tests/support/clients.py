"""AWS clients shared by all in-process systems: creating a client takes as long as three calls."""

from typing import Any

from botocore.config import Config

from trimtab.runtime import aws_client

_make_client = aws_client.make_client
_clients: dict[str, Any] = {}


def kept_client(service: str, endpoint_url: str | None, config: Config) -> Any:
    """Return a client of a service with these options, the same object for equal options."""
    key = repr((service, endpoint_url, sorted(vars(config).items())))
    if key not in _clients:
        _clients[key] = _make_client(service, endpoint_url, config)
    return _clients[key]


def forget_clients() -> None:
    """Drop all clients. A client whose retry quota is used up by injected faults does not retry any more."""
    _clients.clear()
