"""Massive (formerly Polygon) as a source of daily bars: all symbols of a day in one call."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.ids import is_asset
from trimtab.kernel.money import QUANTITY_PLACES, to_places
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.service.ports import ProviderFailed
from trimtab.runtime.http_client import CredentialCache, HttpClient, HttpPolicy, NoResponse

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer

POLICY = HttpPolicy(read_seconds=20, max_retry_after_seconds=65, backoff_seconds=1)
"""A whole market takes a while, and who has used up a minute waits for the next one."""
MAX_PAGES = 50
PER_PAGE = 1000
MAX_DIGITS = 15
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
_MEMBERS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "vwap": "vw"}


class Key(Struct, frozen=True):
    """An API key, never shown."""

    api_key: str

    def __repr__(self) -> str:
        return "Key()"

    def headers(self) -> dict[str, str]:
        """How a request carries it."""
        return {"Authorization": f"Bearer {self.api_key}"}


def parse_key(text: str) -> Key:
    """The key in the text of a secret: JSON `{"api_key"}`."""
    try:
        api_key = json.loads(text)["api_key"]
    except (ValueError, KeyError, TypeError):
        api_key = None
    if not isinstance(api_key, str) or not api_key:
        # Raised out here, without a cause: a parser's message would quote the secret.
        raise ValueError("The secret of Massive must be a JSON object with the text api_key.")
    return Key(api_key)


class Massive:
    """The REST API at an outbound connection, whose policy hold the same pause between repeats as there is between
    calls: see `connect`. Prices are unadjusted; the grouped bars know no prices before and after the session.
    """

    name = "massive"

    def __init__(self, http: HttpClient[Key], pause_seconds: float = 0.0) -> None:
        self._http = http
        self._pause_seconds = pause_seconds
        self._next_call = 0.0

    def grouped_daily(self, day: date) -> Iterator[ProvidedBar]:
        """See `BarProvider.grouped_daily`."""
        path = f"/v2/aggs/grouped/locale/us/market/stocks/{day.isoformat()}"
        for row in self._rows(path, {"adjusted": "false"}):
            symbol = row.get("T")
            if isinstance(symbol, str) and is_asset(symbol):
                yield ProvidedBar(symbol, **{name: _number(row.get(member)) for name, member in _MEMBERS.items()})

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        """See `BarProvider.splits`."""
        query = {"execution_date": day.isoformat(), "limit": str(PER_PAGE)}
        rows = self._rows("/v3/reference/splits", query)
        return [_split(row, day) for row in rows if is_asset(str(row.get("ticker")))]

    def _rows(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """The results of all pages."""
        given: Mapping[str, str] | None = query
        for _ in range(MAX_PAGES):
            body = self._get(path, given)
            rows = body.get("results")
            if rows is not None and not (isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows)):
                raise ProviderFailed(f"{path}: the answer has no list of results")
            yield from rows or ()
            following = body.get("next_url")
            if not following:
                return
            path, given = self._path_of(str(following)), None
        raise ProviderFailed(f"{path}: more than {MAX_PAGES} pages")

    def _get(self, path: str, query: Mapping[str, str] | None) -> Mapping[str, Any]:
        self._wait()
        begun = time.monotonic()
        try:
            answer = self._http.call("GET", path, query=query)
        except NoResponse as error:
            raise ProviderFailed(str(error)) from error
        finally:
            ended = time.monotonic()
            if ended - begun >= self._pause_seconds:  # it may have been repeated, the last time just now
                self._next_call = ended + self._pause_seconds
        if answer.status != 200 or not isinstance(answer.body, Mapping):
            raise ProviderFailed(f"GET {path}: Massive answers {answer.status}: {answer.message}")
        return answer.body

    def _path_of(self, url: str) -> str:
        """The path and query of the next page; the key travels to the configured host and to no other."""
        parts = urlsplit(url)
        if parts.netloc != self._http.host:
            raise ProviderFailed(f"the next page is at another host: {parts.netloc[:100]}")
        return f"{parts.path}?{parts.query}"

    def _wait(self) -> None:
        now = time.monotonic()
        if now < self._next_call:
            time.sleep(self._next_call - now)
        self._next_call = max(now, self._next_call) + self._pause_seconds


def connect(
    base_url: str,
    keys: CredentialCache[Key],
    store: "CircuitBreakerPersistenceLayer",
    *,
    circuit: str,
    calls_per_minute: int = 0,
    policy: HttpPolicy = POLICY,
) -> Massive:
    """The API at that address. `calls_per_minute` is what the plan allows: calls and their repeats are spread evenly, 0
    for as fast as they come. `ValueError` for an address that cannot be used."""
    pause = 60 / calls_per_minute if calls_per_minute else 0.0
    http = HttpClient(base_url, keys, store, circuit=circuit, policy=replace(policy, pause_seconds=pause))
    return Massive(http, pause)


def _split(row: Mapping[str, Any], day: date) -> ProvidedSplit:
    if row.get("execution_date") != day.isoformat():
        raise ProviderFailed(f"asked for the splits of {day.isoformat()}, got another day's")
    return ProvidedSplit(str(row["ticker"]), day, _number(row.get("split_to")), _number(row.get("split_from")))


def _number(value: Any) -> Decimal | None:
    """The number in the text that `Outbound` leaves it as, 9 places; None where it is none."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    number = Decimal(value)
    return to_places(number, QUANTITY_PLACES) if number.adjusted() < MAX_DIGITS else None
