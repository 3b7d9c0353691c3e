"""A small HTTP client of the API, for the demo and the end-to-end tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

_TIMEOUT = urllib3.Timeout(connect=5, read=120)  # a laptop that is busy answers late


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.text)


class Client:
    """Calls the API at `base` as the bearer of `token`; without a token as nobody."""

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
    ) -> Answer:
        """Sends `body` as JSON, or `raw` as it is. Any status is an answer; only a lost connection raises."""
        sent = dict(headers or {})
        if self._token:
            sent.setdefault("Authorization", f"Bearer {self._token}")
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = self._pool.request(method, f"{self._base}/{path.lstrip('/')}", body=raw, headers=sent)
        return Answer(answer.status, answer.headers, answer.data.decode())

    def get(self, path: str) -> Answer:
        """GET."""
        return self.call("GET", path)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """POST; `Idempotency_Key="k"` is sent as the header `Idempotency-Key`."""
        return self.call("POST", path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})
