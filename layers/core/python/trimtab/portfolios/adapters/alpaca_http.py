"""HTTP to Alpaca: its keys, time-outs and retries, and a circuit breaker that spares it while it is down."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import urllib3
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitTransition,
    circuit_breaker,
)
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from trimtab.portfolios.service.broker import OutcomeUnknown
from trimtab.runtime.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer

CONNECT_SECONDS, READ_SECONDS, RECOVERY_SECONDS = 2, 4, 30
MAX_RETRY_AFTER_SECONDS = 3
_OVERLOADED = frozenset({429, 500, 502, 503, 504})


class _NoAnswer(Exception):
    """The request got no answer that says anything about its effect: it counts against the circuit."""


class _Retry(Retry):
    """Waits no longer for a `Retry-After` than an invocation can."""

    def get_retry_after(self, response: Any) -> float | None:
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS)


# Reading twice changes nothing, and a connection that was never made has sent nothing: only that is repeated here. An
# order is repeated by whoever keeps its journal.
_RETRIES = _Retry(
    total=2,
    redirect=0,
    status_forcelist=_OVERLOADED,
    allowed_methods=frozenset({"GET"}),
    backoff_factor=0.1,
    raise_on_status=False,
)


@dataclass(frozen=True, slots=True)
class Keys:
    """An API key and its secret; neither is ever shown."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        """How a request carries them."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret_key}


class KeyRing:
    """The keys of the broker account, read on first use, kept, and read again when they are refused.

    `read` gives the text of the secret, JSON `{"key_id", "secret_key"}`; what it raises is let through.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._keys: Keys | None = None

    def current(self) -> Keys:
        """The keys; `ValueError` if the secret does not hold any."""
        return self.renewed(None)

    def renewed(self, refused: Keys | None) -> Keys:
        """The keys as the secret has them now, read once for all threads that were refused the same ones."""
        with self._lock:
            if self._keys is None or self._keys == refused:
                self._keys = _parse_keys(self._read())
            return self._keys


def _parse_keys(text: str) -> Keys:
    try:
        secret = json.loads(text)
        keys = Keys(secret["key_id"], secret["secret_key"])
    except (ValueError, KeyError, TypeError):
        keys = None
    if keys is None or not all(isinstance(part, str) and part for part in (keys.key_id, keys.secret_key)):
        # Raised out here, without a cause: a parser's message would quote the secret.
        raise ValueError("The secret of the Alpaca keys must be a JSON object with the texts key_id and secret_key.")
    return keys


@dataclass(frozen=True, slots=True)
class Answer:
    """A status that Alpaca chose and the JSON with it, None where there is none; its numbers are texts, unread."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """What Alpaca says is wrong, short enough to keep."""
        text = self.body.get("message") if isinstance(self.body, Mapping) else None
        return (str(text) if text else f"status {self.status}")[:200]

    @property
    def refuses_keys(self) -> bool:
        """Whether it is about the caller's keys. A refused order is a 403 too, but with a code that begins so."""
        if self.status == 403:
            code = self.body.get("code") if isinstance(self.body, Mapping) else None
            return not re.fullmatch("403[0-9]{5}", str(code)[:9])
        return self.status == 401


class AlpacaHttp:
    """Calls Alpaca at `base_url`, from any number of threads.

    GETs are repeated on lost connections, 429 (after its `Retry-After`) and 5xx. After 5 calls in a row without a
    usable answer the circuit opens, for every function that shares `store`: for 30 seconds nothing is sent, then one
    call tries. `ValueError` for a base URL over which keys must not travel.
    """

    def __init__(
        self,
        base_url: str,
        keys: KeyRing,
        store: "CircuitBreakerPersistenceLayer",
        *,
        circuit: str = "alpaca",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
            raise ValueError("The base URL of Alpaca must be https: its keys travel in headers.")
        self._base_url = base_url.rstrip("/")
        self._keys = keys
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._pool = urllib3.PoolManager(maxsize=16, timeout=timeout, retries=_RETRIES)
        # A probe's thread may be gone before a second one: so one success closes the circuit.
        config = CircuitBreakerConfig(
            recovery_timeout=RECOVERY_SECONDS, success_threshold=1, handled_exceptions=_NoAnswer
        )
        guard = circuit_breaker(circuit, store, on_transition=_log_transition, config=config)
        self._guarded: Callable[..., Answer] = guard(self._send)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever its status below 500 but 429; raises `OutcomeUnknown` where there is none, where the
        keys are refused even when read again, and without a request while the circuit is open."""
        try:
            return self._guarded(method, path, query, body)
        except (_NoAnswer, CircuitBreakerOpenError) as error:
            raise OutcomeUnknown(f"{method} {path}: {error}") from error

    def _send(self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, str] | None) -> Answer:
        url = self._base_url + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        keys = self._keys.current()
        answer = self._exchange(method, url, data, keys)
        if answer.refuses_keys:
            renewed = self._keys.renewed(keys)
            if renewed != keys:
                answer = self._exchange(method, url, data, renewed)
        if answer.refuses_keys:
            # Not the circuit's matter: Alpaca is well, and nothing had an effect.
            raise OutcomeUnknown(f"{method} {path}: Alpaca refuses the keys ({answer.status}).")
        return answer

    def _exchange(self, method: str, url: str, data: bytes | None, keys: Keys) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": "application/json", **keys.headers()}
        try:
            # Not redirected: the keys are for this host alone.
            response = self._pool.urlopen(method, url, body=data, headers=headers, redirect=False)
        except HTTPError as error:
            raise _NoAnswer(type(error).__name__) from error
        if response.status in _OVERLOADED or response.status >= 500:
            raise _NoAnswer(f"status {response.status}")
        return Answer(response.status, _parse(response.data))


def _parse(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise _NoAnswer("an answer that is not JSON") from None


def _log_transition(transition: CircuitTransition) -> None:
    logger.warning(
        "circuit changed",
        circuit=transition.circuit_name,
        from_state=str(transition.from_state),
        to_state=str(transition.to_state),
    )
