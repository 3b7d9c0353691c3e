"""HTTP client of Alpaca: API keys, and the mapping of errors to those of the port `Broker`."""

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.portfolios.execution.broker import OrderNotSent, OutcomeUnknown
from trimtab.runtime.http_client import (
    CONNECT_SECONDS,
    MAX_RETRY_AFTER_SECONDS,
    READ_SECONDS,
    CredentialCache,
    HttpClient,
    HttpPolicy,
    HttpResponse,
    NoResponse,
    NotSent,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer


class AlpacaKeys(Struct, frozen=True):
    """An API key and its secret; neither appears in a representation or log."""

    key_id: str
    secret_key: str

    def __repr__(self) -> str:
        return "AlpacaKeys()"

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that authenticate a request."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret_key}


def alpaca_keys(read: Callable[[], str]) -> CredentialCache[AlpacaKeys]:
    """Return the cached keys of the account; `read` returns the secret's JSON text `{"key_id", "secret_key"}`."""
    return CredentialCache(read, _parse_keys)


def _parse_keys(text: str) -> AlpacaKeys:
    try:
        secret = json.loads(text)
        keys = AlpacaKeys(secret["key_id"], secret["secret_key"])
    except (ValueError, KeyError, TypeError):
        keys = None
    if keys is None or not all(isinstance(part, str) and part for part in (keys.key_id, keys.secret_key)):
        # Raised outside the `except` block, without a cause: the parser's message would quote the secret.
        raise ValueError("The Alpaca secret must be a JSON object with the non-empty texts `key_id` and `secret_key`.")
    return keys


def _refuses_keys(answer: HttpResponse) -> bool:
    """Return whether the answer rejects the API keys. A refused order is a 403 too, but with a code 403xxxxx."""
    if answer.status == 403:
        code = answer.body.get("code") if isinstance(answer.body, Mapping) else None
        return not re.fullmatch("403[0-9]{5}", str(code)[:9])
    return answer.status == 401


class AlpacaHttp:
    """HTTP client of Alpaca. A call without an answer raises `OutcomeUnknown`."""

    def __init__(
        self,
        base_url: str,
        keys: CredentialCache[AlpacaKeys],
        store: "CircuitBreakerPersistenceLayer",
        *,
        circuit: str = "alpaca",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        policy = HttpPolicy(connect_seconds, read_seconds, MAX_RETRY_AFTER_SECONDS, refuses_keys=_refuses_keys)
        self._outbound = HttpClient(base_url, keys, store, circuit=circuit, policy=policy)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """See `Outbound.call`. Raises `OrderNotSent` where the call certainly had no effect, else `OutcomeUnknown`."""
        try:
            return self._outbound.call(method, path, query=query, body=body)
        except NotSent as error:
            raise OrderNotSent(str(error)) from error
        except NoResponse as error:
            raise OutcomeUnknown(str(error)) from error
