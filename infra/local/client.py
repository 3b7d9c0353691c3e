"""A small HTTP client of the API for the example, the simulation and the end-to-end tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

_TIMEOUT = urllib3.Timeout(connect=5, read=120)  # a busy laptop responds late


@dataclass(frozen=True)
class ApiResponse:
    """The response to a call. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The decoded JSON body. Raises ValueError for any other body."""
        return json.loads(self.text)


class Client:
    """Calls the API at `base` with a bearer token, or anonymously without a token."""

    def __init__(self, base: str, token: str | None = None) -> None:
        self._base = base.rstrip("/")
        self._token = token
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> ApiResponse:
        """Send `body` as JSON or `raw` unchanged. Return a response of any status; raise if the connection fails.

        A `path` that is a link of a response (`../portfolios/…`) is relative to a request, and so below the base, too.
        """
        sent = dict(headers or {})
        if self._token:
            sent.setdefault("Authorization", f"Bearer {self._token}")
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        response = self._pool.request(method, f"{self._base}/{path.lstrip('./')}", body=raw, headers=sent)
        return ApiResponse(response.status, response.headers, response.data.decode())

    def get(self, path: str) -> ApiResponse:
        """Send a GET request."""
        return self.call("GET", path)

    def post(self, path: str, body: object, **headers: str) -> ApiResponse:
        """Send a POST request; `Idempotency_Key="k"` becomes the header `Idempotency-Key`."""
        return self.call("POST", path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})
