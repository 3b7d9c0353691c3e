"""Headers of requests."""

from collections.abc import Mapping
from typing import Any


def request_headers(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers of an event of API Gateway by lower-case name."""
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}
