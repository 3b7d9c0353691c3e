"""A client for remote HTTP APIs: credentials, time-outs, retries and a circuit breaker."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import urllib3
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitState,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerDynamoDBPersistence
from msgspec import Struct
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Retry

from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer
    from types_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS, READ_SECONDS, RECOVERY_SECONDS = 2, 4, 30
MAX_RETRY_AFTER_SECONDS = 3
REPEATS = 2
_OVERLOADED = frozenset({429, 500, 502, 503, 504})
_UNCONNECTED = (ConnectTimeoutError, NewConnectionError)


class NoResponse(Exception):
    """Raised where no response says whether the request had an effect."""


class NotSent(NoResponse):
    """Raised where the request was not sent, or was rejected unread: it had no effect."""


class _RemoteFailure(NoResponse):
    """Raised for a failure of the remote API, which counts against the circuit."""


class _Rejected(_RemoteFailure, NotSent):
    """Raised where the remote API is unreachable, or rejects the request because of load."""


class Credentials(Protocol):
    """The credentials of a client of a remote API."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request."""


K = TypeVar("K", bound=Credentials)


class CredentialCache(Generic[K]):
    """The credentials of an account: read on first use, cached, and read again when the remote API rejects them.

    `read` returns the text of the secret, `parse` the credentials in the text; their exceptions propagate.
    """

    def __init__(self, read: Callable[[], str], parse: Callable[[str], K]) -> None:
        self._read = read
        self._parse = parse
        self._lock = threading.Lock()
        self._keys: K | None = None

    def current(self) -> K:
        """Return the credentials; raises `ValueError` if the secret holds none."""
        return self.renewed(None)

    def renewed(self, refused: K | None) -> K:
        """Return the credentials as the secret holds them now, read once for all threads that were rejected."""
        with self._lock:
            if self._keys is None or self._keys == refused:
                self._keys = self._parse(self._read())
            return self._keys


class HttpResponse(Struct, frozen=True):
    """The status of a response and its JSON body, None without a body; numbers in the body are kept as text."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """The error message of the body, cut to 200 characters."""
        members = self.body if isinstance(self.body, Mapping) else {}
        text = members.get("message") or members.get("error")
        return (str(text) if text else f"status {self.status}")[:200]


def _is_unauthorized(answer: HttpResponse) -> bool:
    return answer.status in {401, 403}


class HttpPolicy(Struct, frozen=True):
    """Time-outs and retries for one remote API.

    A `Retry-After` is obeyed up to `max_retry_after_seconds`; retries are at least `pause_seconds` apart.
    `refuses_keys` recognises a response that rejects the credentials.
    """

    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    max_retry_after_seconds: float = MAX_RETRY_AFTER_SECONDS
    backoff_seconds: float = 0.1
    pause_seconds: float = 0.0
    refuses_keys: Callable[[HttpResponse], bool] = _is_unauthorized

    def retries(self) -> Retry:
        """Return the retries of urllib3: GET requests, and connections that were never made.

        A request with an effect is not retried here; the caller that keeps a journal of requests retries it.
        """
        longest, shortest = self.max_retry_after_seconds, self.pause_seconds

        class BoundedRetry(Retry):
            """Waits at most as long as an invocation can for a `Retry-After`, and at least the pause."""

            def get_retry_after(self, response: Any) -> float | None:
                seconds = super().get_retry_after(response)
                return None if seconds is None else max(min(seconds, longest), shortest)

            def get_backoff_time(self) -> float:
                return max(super().get_backoff_time(), shortest)

        return BoundedRetry(
            total=REPEATS,
            redirect=0,
            status_forcelist=_OVERLOADED,
            allowed_methods=frozenset({"GET"}),
            backoff_factor=self.backoff_seconds,
            raise_on_status=False,
        )


class HttpClient(Generic[K]):
    """A thread-safe client of the API at `base_url`.

    GET requests are retried on lost connections, 429 (after `Retry-After`) and 5xx. After 5 calls in a row without a
    usable response the circuit opens for every function that shares `store`: for 30 seconds nothing is sent, then one
    call is tried. Raises `ValueError` for a base URL that is neither https nor local.
    """

    def __init__(
        self,
        base_url: str,
        keys: CredentialCache[K],
        store: "CircuitBreakerPersistenceLayer",
        *,
        circuit: str,
        policy: HttpPolicy | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
            raise ValueError(f"The base URL {base_url} must be https: headers carry credentials.")
        policy = policy or HttpPolicy()
        self.host = parts.netloc
        self._base_url = base_url.rstrip("/")
        self._keys = keys
        self._refuses_keys = policy.refuses_keys
        timeout = urllib3.Timeout(connect=policy.connect_seconds, read=policy.read_seconds)
        self._pool = urllib3.PoolManager(maxsize=16, timeout=timeout, retries=policy.retries())
        # One success closes the circuit: the process that probed may have ended before a second call.
        config = CircuitBreakerConfig(
            recovery_timeout=RECOVERY_SECONDS, success_threshold=1, handled_exceptions=_RemoteFailure
        )
        guard = circuit_breaker(circuit, store, on_transition=_log_transition, config=config)
        self._guarded: Callable[..., HttpResponse] = guard(self._send)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Return the response of any status below 500 except 429; raises `NoResponse` if there is none.

        Raises `NotSent` if the request had no effect: for 429, without a connection, for credentials that are rejected
        even after they were read again, and while the circuit is open.
        """
        try:
            return self._guarded(method, path, query, body)
        except (NotSent, CircuitBreakerOpenError) as error:
            raise NotSent(f"{method} {path}: {error}") from error
        except NoResponse as error:
            raise NoResponse(f"{method} {path}: {error}") from error

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, str] | None
    ) -> HttpResponse:
        url = self._base_url + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        keys = self._keys.current()
        answer = self._exchange(method, url, data, keys)
        if self._refuses_keys(answer):
            renewed = self._keys.renewed(keys)
            if renewed != keys:
                answer = self._exchange(method, url, data, renewed)
        if self._refuses_keys(answer):
            # Rejected credentials do not count against the circuit: the remote API works, and nothing had an effect.
            raise NotSent(f"{self.host} rejects the credentials ({answer.status}): {answer.message}")
        return answer

    def _exchange(self, method: str, url: str, data: bytes | None, keys: K) -> HttpResponse:
        headers = {"Accept": "application/json", "Content-Type": "application/json", **keys.headers()}
        try:
            # Redirects are not followed: the credentials are for this host only.
            response = self._pool.urlopen(method, url, body=data, headers=headers, redirect=False)
        except HTTPError as error:
            is_unsent = isinstance(error, MaxRetryError) and isinstance(error.reason, _UNCONNECTED)
            raise (_Rejected if is_unsent else _RemoteFailure)(type(error).__name__) from error
        if response.status == 429:
            raise _Rejected("status 429")
        if response.status in _OVERLOADED or response.status >= 500:
            raise _RemoteFailure(f"status {response.status}")
        return HttpResponse(response.status, _parse(response.data))


def circuit_store(client: "DynamoDBClient", table: str) -> "CircuitBreakerPersistenceLayer":
    """Return the store of circuit states in a table, shared by all functions that use the table."""
    return CircuitBreakerDynamoDBPersistence(
        table, key_attr="pk", static_pk_value="CIRCUITS", sort_key_attr="sk", boto3_client=client
    )


def _parse(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise _RemoteFailure("the response is not JSON") from None


def _log_transition(transition: CircuitTransition) -> None:
    if transition.to_state is CircuitState.OPEN and transition.from_state is CircuitState.CLOSED:
        count("CircuitsOpened")
    logger.warning(
        "circuit breaker changed state",
        circuit=transition.circuit_name,
        from_state=str(transition.from_state),
        to_state=str(transition.to_state),
    )
