"""HTTP to Alpaca: its keys, and what of its answers is about them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trimtab.portfolios.execution.broker import NotSent, OutcomeUnknown
from trimtab.runtime import outbound
from trimtab.runtime.outbound import CONNECT_SECONDS, MAX_RETRY_AFTER_SECONDS, READ_SECONDS, Answer, Manners, Outbound

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer


@dataclass(frozen=True, slots=True)
class Keys:
    """An API key and its secret; neither is ever shown."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)

    def headers(self) -> dict[str, str]:
        """How a request carries them."""
        return {"APCA-API-KEY-ID": self.key_id, "APCA-API-SECRET-KEY": self.secret_key}


class KeyRing(outbound.KeyRing[Keys]):
    """The keys of the broker account; `read` gives the text of the secret, JSON `{"key_id", "secret_key"}`."""

    def __init__(self, read: Callable[[], str]) -> None:
        super().__init__(read, _parse_keys)


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


def _refuses_keys(answer: Answer) -> bool:
    """Whether it is about the caller's keys. A refused order is a 403 too, but with a code that begins so."""
    if answer.status == 403:
        code = answer.body.get("code") if isinstance(answer.body, Mapping) else None
        return not re.fullmatch("403[0-9]{5}", str(code)[:9])
    return answer.status == 401


class AlpacaHttp:
    """Calls Alpaca, see `Outbound`; what has no answer is an outcome that is unknown."""

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
        manners = Manners(connect_seconds, read_seconds, MAX_RETRY_AFTER_SECONDS, refuses_keys=_refuses_keys)
        self._outbound = Outbound(base_url, keys, store, circuit=circuit, manners=manners)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> Answer:
        """See `Outbound.call`; raises `OutcomeUnknown` where there is no answer, `NotSent` where it had no effect."""
        try:
            return self._outbound.call(method, path, query=query, body=body)
        except outbound.NotSent as error:
            raise NotSent(str(error)) from error
        except outbound.NoAnswer as error:
            raise OutcomeUnknown(str(error)) from error
