"""HTTP to somebody else's API: keys, time-outs and retries, and a circuit breaker that spares it while it is down."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import boto3
import urllib3
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerDynamoDBPersistence
from botocore.config import Config
from msgspec import Struct
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.util import Retry

from trimtab.runtime.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer
    from types_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS, READ_SECONDS, RECOVERY_SECONDS = 2, 4, 30
MAX_RETRY_AFTER_SECONDS = 3
REPEATS = 2
_OVERLOADED = frozenset({429, 500, 502, 503, 504})
_UNCONNECTED = (ConnectTimeoutError, NewConnectionError)
_TIMEOUTS = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "max_attempts": 3})


class NoAnswer(Exception):
    """There is no answer that says anything about the request's effect."""


class NotSent(NoAnswer):
    """Nothing was sent, or it was turned away unread: the request has had no effect."""


class _Unwell(NoAnswer):
    """It is the other side's fault: it counts against the circuit."""


class _TurnedAway(_Unwell, NotSent):
    """It is too busy for us, or not to be reached."""


class Keys(Protocol):
    """What the other side knows us by."""

    def headers(self) -> Mapping[str, str]:
        """How a request carries it."""


K = TypeVar("K", bound=Keys)


class KeyRing(Generic[K]):
    """The keys of an account, read on first use, kept, and read again when they are refused.

    `read` gives the text of the secret, `parse` the keys in it; what they raise is let through.
    """

    def __init__(self, read: Callable[[], str], parse: Callable[[str], K]) -> None:
        self._read = read
        self._parse = parse
        self._lock = threading.Lock()
        self._keys: K | None = None

    def current(self) -> K:
        """The keys; `ValueError` if the secret does not hold any."""
        return self.renewed(None)

    def renewed(self, refused: K | None) -> K:
        """The keys as the secret has them now, read once for all threads that were refused the same ones."""
        with self._lock:
            if self._keys is None or self._keys == refused:
                self._keys = self._parse(self._read())
            return self._keys


class Answer(Struct, frozen=True):
    """A status that the other side chose and the JSON with it, None where there is none; numbers are texts, unread."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """What it says is wrong, short enough to keep."""
        members = self.body if isinstance(self.body, Mapping) else {}
        text = members.get("message") or members.get("error")
        return (str(text) if text else f"status {self.status}")[:200]


def _is_unauthorized(answer: Answer) -> bool:
    return answer.status in {401, 403}


class Manners(Struct, frozen=True):
    """How one API is spoken to: how long a request may take, how long we wait when asked to, how long between
    repeats (`pause_seconds` at least, whatever is asked), and which of its answers are about the keys."""

    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    max_retry_after_seconds: float = MAX_RETRY_AFTER_SECONDS
    backoff_seconds: float = 0.1
    pause_seconds: float = 0.0
    refuses_keys: Callable[[Answer], bool] = _is_unauthorized

    def retries(self) -> Retry:
        """Reading twice changes nothing, and a connection that was never made has sent nothing: only that is repeated
        here. A request with an effect is repeated by whoever keeps its journal."""
        longest, shortest = self.max_retry_after_seconds, self.pause_seconds

        class Patient(Retry):
            """Waits no longer for a `Retry-After` than an invocation can, and never shorter than the pause."""

            def get_retry_after(self, response: Any) -> float | None:
                seconds = super().get_retry_after(response)
                return None if seconds is None else max(min(seconds, longest), shortest)

            def get_backoff_time(self) -> float:
                return max(super().get_backoff_time(), shortest)

        return Patient(
            total=REPEATS,
            redirect=0,
            status_forcelist=_OVERLOADED,
            allowed_methods=frozenset({"GET"}),
            backoff_factor=self.backoff_seconds,
            raise_on_status=False,
        )


class Outbound(Generic[K]):
    """Calls the API at `base_url`, from any number of threads.

    GETs are repeated on lost connections, 429 (after its `Retry-After`) and 5xx. After 5 calls in a row without a
    usable answer the circuit opens, for every function that shares `store`: for 30 seconds nothing is sent, then one
    call tries. `ValueError` for a base URL over which keys must not travel.
    """

    def __init__(
        self,
        base_url: str,
        keys: KeyRing[K],
        store: "CircuitBreakerPersistenceLayer",
        *,
        circuit: str,
        manners: Manners | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
            raise ValueError(f"The base URL {base_url} must be https: keys travel in headers.")
        manners = manners or Manners()
        self.host = parts.netloc
        self._base_url = base_url.rstrip("/")
        self._keys = keys
        self._refuses_keys = manners.refuses_keys
        timeout = urllib3.Timeout(connect=manners.connect_seconds, read=manners.read_seconds)
        self._pool = urllib3.PoolManager(maxsize=16, timeout=timeout, retries=manners.retries())
        # A probe's thread may be gone before a second one: so one success closes the circuit.
        config = CircuitBreakerConfig(
            recovery_timeout=RECOVERY_SECONDS, success_threshold=1, handled_exceptions=_Unwell
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
        """The answer, whatever its status below 500 but 429; raises `NoAnswer` where there is none, and `NotSent` where
        it says besides that there was no effect: 429, no connection, keys that are refused even when read again, and
        without a request while the circuit is open."""
        try:
            return self._guarded(method, path, query, body)
        except (NotSent, CircuitBreakerOpenError) as error:
            raise NotSent(f"{method} {path}: {error}") from error
        except NoAnswer as error:
            raise NoAnswer(f"{method} {path}: {error}") from error

    def _send(self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, str] | None) -> Answer:
        url = self._base_url + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        keys = self._keys.current()
        answer = self._exchange(method, url, data, keys)
        if self._refuses_keys(answer):
            renewed = self._keys.renewed(keys)
            if renewed != keys:
                answer = self._exchange(method, url, data, renewed)
        if self._refuses_keys(answer):
            # Not the circuit's matter: the other side is well, and nothing had an effect.
            raise NotSent(f"{self.host} refuses the keys ({answer.status}): {answer.message}")
        return answer

    def _exchange(self, method: str, url: str, data: bytes | None, keys: K) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": "application/json", **keys.headers()}
        try:
            # Not redirected: the keys are for this host alone.
            response = self._pool.urlopen(method, url, body=data, headers=headers, redirect=False)
        except HTTPError as error:
            is_unsent = isinstance(error, MaxRetryError) and isinstance(error.reason, _UNCONNECTED)
            raise (_TurnedAway if is_unsent else _Unwell)(type(error).__name__) from error
        if response.status == 429:
            raise _TurnedAway("status 429")
        if response.status in _OVERLOADED or response.status >= 500:
            raise _Unwell(f"status {response.status}")
        return Answer(response.status, _parse(response.data))


def circuits(client: "DynamoDBClient", table: str) -> "CircuitBreakerPersistenceLayer":
    """The state of circuits in a table, shared by everybody who reads it."""
    return CircuitBreakerDynamoDBPersistence(
        table, key_attr="pk", static_pk_value="CIRCUITS", sort_key_attr="sk", boto3_client=client
    )


def secret(secret_id: str) -> str:
    """The text of a secret in Secrets Manager, as it is now."""
    secrets = boto3.client("secretsmanager", config=_TIMEOUTS)
    return str(secrets.get_secret_value(SecretId=secret_id)["SecretString"])


def _parse(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise _Unwell("an answer that is not JSON") from None


def _log_transition(transition: CircuitTransition) -> None:
    logger.warning(
        "circuit changed",
        circuit=transition.circuit_name,
        from_state=str(transition.from_state),
        to_state=str(transition.to_state),
    )
