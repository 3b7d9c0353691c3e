"""A stand-in for Massive: a real HTTP server on a free port that keeps to the published contract of its REST API.

It knows the part that our adapter uses: the grouped daily bars, the splits and the dividends, pages, refusals of the
key, and faults that are set beforehand.
"""

import json
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.alpaca import Fault, Reply, serving

GROUPED = "/v2/aggs/grouped/locale/us/market/stocks/"
SPLITS = "/v3/reference/splits"
DIVIDENDS = "/v3/reference/dividends"


@dataclass
class FakeMassive:
    """The bars, splits and dividends of Massive by day, and the size of its pages."""

    url: str = ""
    key: str = "key-1"
    bars: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stocks_split: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    dividends: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page_size: int = 1000
    next_host: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)

    def goes_wrong(self, kind: int | str, times: int = 1, **headers: str) -> None:
        """Add a fault for the next requests."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.append(Fault("GET", kind, times=times, headers=named))

    def fault(self, method: str) -> Fault | None:
        """Return the fault of the next request, None if there is none."""
        for each in self.faults:
            if each.method == method and each.times:
                each.times -= 1
                return each
        return None

    def reply(self, method: str, target: str, headers: dict[str, str], text: bytes) -> Reply:
        """Return the answer to a request."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if method != "GET" or text:
            return 405, {"status": "ERROR", "request_id": "r1", "error": "Method Not Allowed"}
        if headers.get("authorization") != f"Bearer {self.key}":
            return 401, {"status": "ERROR", "request_id": "r1", "error": "Unknown API Key"}
        if parts.path.startswith(GROUPED):
            return self.grouped(parts.path.removeprefix(GROUPED), query)
        if parts.path == SPLITS:
            return self.paged(SPLITS, self.stocks_split, query, "execution_date")
        if parts.path == DIVIDENDS:
            return self.paged(DIVIDENDS, self.dividends, query, "ex_dividend_date")
        return 404, {"status": "NOT_FOUND", "request_id": "r1", "message": "Resource not found."}

    def grouped(self, day: str, query: dict[str, str]) -> Reply:
        """Process GET /v2/aggs/grouped/locale/us/market/stocks/{date}."""
        rows = self.bars.get(day, [])
        answer = {"status": "OK", "request_id": "r1", "adjusted": query.get("adjusted") != "false"}
        answer |= {"queryCount": len(rows), "resultsCount": len(rows)}
        return 200, answer | ({"results": rows} if rows else {})

    def paged(self, path: str, known: dict[str, list[dict[str, Any]]], query: dict[str, str], day_name: str) -> Reply:
        """Process GET of reference data: a page with the address of the next page."""
        if "cursor" in query:
            day, start = json.loads(query["cursor"])
        else:
            day, start = query[day_name], 0
        rows, end = known.get(day, []), start + min(self.page_size, 1000)
        answer = {"status": "OK", "request_id": "r1", "results": rows[start:end]}
        if end < len(rows):
            cursor = json.dumps([day, end], separators=(",", ":"))
            answer["next_url"] = f"{self.next_host or self.url}{path}?cursor={cursor}"
        return 200, answer


def bar(symbol: str, close: Any = 100, **members: Any) -> dict[str, Any]:
    """Return a row of the grouped bars."""
    row = {"T": symbol, "o": close, "h": close, "l": close, "c": close, "v": 1000, "vw": close, "n": 5}
    return {**row, "t": 1732136400000, **members}


def split(ticker: str, day: str, to: Any = 4, of: Any = 1) -> dict[str, Any]:
    """Return a row of the splits."""
    return {"id": f"E-{ticker}", "execution_date": day, "split_from": of, "split_to": to, "ticker": ticker}


def dividend(ticker: str, day: str, amount: Any, currency: str = "USD") -> dict[str, Any]:
    """Return a row of the dividends."""
    row = {"ticker": ticker, "ex_dividend_date": day, "cash_amount": amount, "currency": currency}
    return {**row, "dividend_type": "CD", "frequency": 4, "pay_date": day, "record_date": day}


def fake_massive() -> AbstractContextManager[FakeMassive]:
    """Provide a served stand-in; the server ends with the `with` block."""
    return serving(FakeMassive())
