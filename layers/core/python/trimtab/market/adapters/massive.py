"""The provider of daily bars and dividends at Massive (formerly Polygon): all symbols of a day in a call for each."""

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
from trimtab.kernel.money import QUANTITY_PLACES, ZERO, to_places
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.domain.providers import ProviderFailed
from trimtab.runtime.http_client import CredentialCache, HttpClient, HttpPolicy, NoResponse

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerPersistenceLayer

POLICY = HttpPolicy(read_seconds=20, max_retry_after_seconds=65, backoff_seconds=1)
"""A response with the whole market takes seconds, and an exhausted quota is renewed every minute."""
MAX_PAGES = 50
PER_PAGE = 1000
MAX_DIGITS = 15
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
_CURRENCY = "USD"
_MEMBERS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "vwap": "vw"}


class MassiveKey(Struct, frozen=True):
    """An API key, which never appears in texts or logs."""

    api_key: str

    def __repr__(self) -> str:
        return "MassiveKey()"

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request."""
        return {"Authorization": f"Bearer {self.api_key}"}


def parse_key(text: str) -> MassiveKey:
    """Return the key in the text of a secret, the JSON object `{"api_key": …}`; raises `ValueError` otherwise."""
    try:
        api_key = json.loads(text)["api_key"]
    except (ValueError, KeyError, TypeError):
        api_key = None
    if not isinstance(api_key, str) or not api_key:
        # Raised without a cause: the message of the parser would quote the secret.
        raise ValueError("The secret of Massive must be a JSON object with the text `api_key`.")
    return MassiveKey(api_key)


class Massive:
    """A provider that calls the REST API of Massive. Prices are unadjusted; there are no prices outside the session.

    `pause_seconds` is the minimum time between calls; the policy of the client has the same pause between retries.
    """

    name = "massive"

    def __init__(self, http: HttpClient[MassiveKey], pause_seconds: float = 0.0) -> None:
        self._http = http
        self._pause_seconds = pause_seconds
        self._next_call = 0.0

    def daily_bars(self, day: date) -> Iterator[ProvidedBar]:
        """Return the bars of all symbols of a day, with the dividends whose ex-day is the day.

        Raises `ProviderFailed` for an unusable response.
        """
        path = f"/v2/aggs/grouped/locale/us/market/stocks/{day.isoformat()}"
        rows = list(self._rows(path, {"adjusted": "false"}))
        dividends = self._dividends(day) if rows else {}
        for row in rows:
            symbol = row.get("T")
            if isinstance(symbol, str) and is_asset(symbol):
                numbers = {name: _number(row.get(member)) for name, member in _MEMBERS.items()}
                yield ProvidedBar(symbol, **numbers, dividend=dividends.get(symbol))

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        """Return the splits that take effect on a day; raises `ProviderFailed` for an unusable response."""
        query = {"execution_date": day.isoformat(), "limit": str(PER_PAGE)}
        rows = self._rows("/v3/reference/splits", query)
        return [_split(row, day) for row in rows if is_asset(str(row.get("ticker")))]

    def _dividends(self, day: date) -> dict[str, Decimal]:
        """Return the cash dividends of one unit by symbol; several dividends of a day are added up.

        Bars are in dollars, so a dividend in another currency is left out.
        """
        query = {"ex_dividend_date": day.isoformat(), "limit": str(PER_PAGE)}
        dividends: dict[str, Decimal] = {}
        for row in self._rows("/v3/reference/dividends", query):
            symbol, amount = str(row.get("ticker")), _number(row.get("cash_amount"))
            if row.get("ex_dividend_date") != day.isoformat():
                raise ProviderFailed(f"the dividends for {day.isoformat()} include another day")
            if amount is not None and row.get("currency", _CURRENCY) == _CURRENCY:
                dividends[symbol] = dividends.get(symbol, ZERO) + amount
        return dividends

    def _rows(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Yield the results of all pages."""
        given: Mapping[str, str] | None = query
        for _ in range(MAX_PAGES):
            body = self._get(path, given)
            rows = body.get("results")
            if rows is not None and not (isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows)):
                raise ProviderFailed(f"{path}: the response has no list of results")
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
            if ended - begun >= self._pause_seconds:  # the call may have been retried a moment ago
                self._next_call = ended + self._pause_seconds
        if answer.status != 200 or not isinstance(answer.body, Mapping):
            raise ProviderFailed(f"GET {path}: Massive responded {answer.status}: {answer.message}")
        return answer.body

    def _path_of(self, url: str) -> str:
        """Return path and query of the next page; the key is sent to the configured host only."""
        parts = urlsplit(url)
        if parts.netloc != self._http.host:
            raise ProviderFailed(f"the next page is on a different host: {parts.netloc[:100]}")
        return f"{parts.path}?{parts.query}"

    def _wait(self) -> None:
        now = time.monotonic()
        if now < self._next_call:
            time.sleep(self._next_call - now)
        self._next_call = max(now, self._next_call) + self._pause_seconds


def connect(
    base_url: str,
    credentials: CredentialCache[MassiveKey],
    store: "CircuitBreakerPersistenceLayer",
    *,
    circuit: str,
    calls_per_minute: int = 0,
    policy: HttpPolicy = POLICY,
) -> Massive:
    """Return the provider for an address of the API; raises `ValueError` for an unusable address.

    `calls_per_minute` is the quota of the subscription: calls and retries are spread evenly; 0 means no limit.
    """
    pause = 60 / calls_per_minute if calls_per_minute else 0.0
    http = HttpClient(base_url, credentials, store, circuit=circuit, policy=replace(policy, pause_seconds=pause))
    return Massive(http, pause)


def _split(row: Mapping[str, Any], day: date) -> ProvidedSplit:
    if row.get("execution_date") != day.isoformat():
        raise ProviderFailed(f"the splits for {day.isoformat()} include another day")
    return ProvidedSplit(str(row["ticker"]), day, _number(row.get("split_to")), _number(row.get("split_from")))


def _number(value: Any) -> Decimal | None:
    """Return the number in a text, rounded to 9 places, None if the value is not a number."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    number = Decimal(value)
    return to_places(number, QUANTITY_PLACES) if number.adjusted() < MAX_DIGITS else None
