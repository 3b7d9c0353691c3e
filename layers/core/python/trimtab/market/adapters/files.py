"""The provider of daily bars in files: one file a day, CSV or JSON lines, in a bucket or a directory."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from trimtab.contracts.bars import NUMBERS
from trimtab.kernel import strict_json
from trimtab.kernel.errors import Refusal
from trimtab.kernel.ids import is_asset
from trimtab.kernel.money import parse_number
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.domain.providers import ProviderFailed
from trimtab.runtime.s3 import ObjectTooLarge, read_object, s3_client

MAX_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 4096
COLUMNS = ("symbol", *NUMBERS)
SPLIT_COLUMNS = ("symbol", "ratio", "per")
Read = Callable[[str], bytes | None]


class BarFiles:
    """A provider that reads files.

    Bars: `2026-11-20.csv` with a header, or `2026-11-20.jsonl`; columns `symbol, open, high, low, close, volume` and
    optionally `vwap, pre_market, after_hours`. Splits: `2026-11-20.splits.csv`; columns `symbol, ratio, per`.
    """

    def __init__(self, read: Read, name: str = "file") -> None:
        self.name = name
        self._read = read

    def daily_bars(self, day: date) -> Iterator[ProvidedBar]:
        """Return the rows of the file of a day; raises `ProviderFailed` if the file is missing or malformed."""
        rows = self._rows(day.isoformat(), COLUMNS)
        if rows is None:
            raise ProviderFailed(f"no file of {day.isoformat()}")
        for row in rows:
            yield ProvidedBar(str(row["symbol"]), **{name: _number(row.get(name)) for name in NUMBERS})

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        """Return the rows of the file of splits of a day, none without a file."""
        rows = self._rows(f"{day.isoformat()}.splits", SPLIT_COLUMNS) or ()
        return [
            ProvidedSplit(str(row["symbol"]), day, _number(row.get("ratio")), _number(row.get("per", "1")))
            for row in rows
        ]

    def _rows(self, name: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any]] | None:
        text = self._text(f"{name}.csv")
        if text is not None:
            return _of_symbols(_csv_rows(name, text, columns))
        text = self._text(f"{name}.jsonl")
        return None if text is None else _of_symbols(_json_rows(text))

    def _text(self, name: str) -> str | None:
        try:
            data = self._read(name)
            return None if data is None else data.decode()
        except (OSError, ValueError, ObjectTooLarge, ClientError, BotoCoreError) as error:
            raise ProviderFailed(f"cannot read {name}: {error}") from error


def file_reader(place: str) -> Read:
    """Return a function that reads files by name, below `s3://bucket/prefix` or in a directory."""
    if place.startswith("s3://"):
        parts = urlsplit(place)
        prefix = parts.path.strip("/")
        return lambda name: read_object(s3_client(), parts.netloc, f"{prefix}/{name}".lstrip("/"), MAX_BYTES)
    directory = Path(place)

    def read(name: str) -> bytes | None:
        path = directory / name
        if not path.is_file():
            return None
        if path.stat().st_size > MAX_BYTES:
            raise ObjectTooLarge(f"{path} is too large")
        return path.read_bytes()

    return read


def _csv_rows(name: str, text: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    rows = csv.DictReader(io.StringIO(text), strict=True)
    try:
        header = rows.fieldnames or ()
        if "symbol" not in header or not set(header) <= set(columns):
            raise ProviderFailed(f"{name}: the header may have these columns only: {', '.join(columns)}")
        yield from rows
    except csv.Error as error:
        raise ProviderFailed(f"{name}, line {rows.line_num}: {error}") from error


def _json_rows(text: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = strict_json.loads(line, MAX_LINE_BYTES)
        except Refusal as refusal:
            raise ProviderFailed(f"line {number}: {refusal.detail}") from refusal
        if not isinstance(row, Mapping):
            raise ProviderFailed(f"line {number}: not an object")
        yield row


def _of_symbols(rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (row for row in rows if is_asset(str(row.get("symbol"))))


def _number(value: Any) -> Decimal | None:
    """Return the number, None if the value is not a readable number."""
    if isinstance(value, Decimal):
        return value
    try:
        return parse_number(value) if isinstance(value, str) else None
    except Refusal:
        return None
