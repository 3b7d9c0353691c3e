"""The provider of daily bars in files: one file a day, CSV or JSON lines, in a bucket or a directory."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct, field

from trimtab.contracts.bars import NUMBERS
from trimtab.kernel import strict_json
from trimtab.kernel.errors import Invalid, Refusal
from trimtab.kernel.ids import is_asset
from trimtab.kernel.money import parse_number
from trimtab.kernel.strict_csv import CsvText, DecimalMark, csv_row
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit, UnreadableRow
from trimtab.market.domain.providers import ProviderFailed
from trimtab.runtime.s3 import ObjectTooLarge, read_object, s3_client

MAX_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 4096
COLUMNS = ("symbol", *NUMBERS)
SPLIT_COLUMNS = ("symbol", "ratio", "per")
Read = Callable[[str], bytes | None]
_NAMED_SYMBOL = re.compile(r'"symbol"\s*:\s*"([^"]*)"')


class FileRow(Struct, frozen=True):
    """A row of a symbol: its values by column, or the `error` that makes the row unreadable."""

    symbol: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


class BarFiles:
    """A provider that reads files.

    Bars: `2026-11-20.csv` with a header, or `2026-11-20.jsonl`; columns `symbol, open, high, low, close, volume` and
    optionally `vwap, pre_market, after_hours, dividend`. Splits: `2026-11-20.splits.csv`; columns `symbol, ratio, per`.
    An unreadable row costs its symbol the bar, and no other symbol. `decimal` is the decimal mark of the numbers in CSV
    files, by default a point; without the parameter a number that can be read in two ways is unreadable.
    """

    def __init__(self, read: Read, name: str = "file", *, decimal: DecimalMark | None = None) -> None:
        self.name = name
        self._read = read
        self._decimal = decimal

    def daily_bars(self, day: date) -> Iterator[ProvidedBar]:
        """Return the rows of the file of a day; raises `ProviderFailed` if the file is missing or malformed."""
        rows = self._rows(day.isoformat(), COLUMNS)
        if rows is None:
            raise ProviderFailed(f"no file of {day.isoformat()}")
        for row in rows:
            if row.error is None:
                yield ProvidedBar(row.symbol, **{name: _number(row.values.get(name)) for name in NUMBERS})
            else:
                yield UnreadableRow(row.symbol, error=row.error)

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        """Return the rows of the file of splits of a day, none without a file."""
        rows = self._rows(f"{day.isoformat()}.splits", SPLIT_COLUMNS) or ()
        return [
            ProvidedSplit(row.symbol, day, _number(row.values.get("ratio")), _number(row.values.get("per", "1")))
            for row in rows
        ]

    def _rows(self, name: str, columns: Sequence[str]) -> Iterator[FileRow] | None:
        text = self._text(f"{name}.csv")
        if text is not None:
            return _of_symbols(_csv_rows(name, text, columns, self._decimal))
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


def _csv_rows(name: str, text: str, columns: Sequence[str], decimal: DecimalMark | None) -> Iterator[FileRow]:
    file = CsvText.of(text)
    try:
        lines = file.lines()
        _, header = next(lines, (0, []))
        if "symbol" not in header or not set(header) <= set(columns) or len(set(header)) < len(header):
            raise ProviderFailed(f"{name}: the header may have these columns only, each once: {', '.join(columns)}")
        for line, cells in lines:
            row = csv_row(line, header, cells)
            symbol = dict(zip(header, cells, strict=False)).get("symbol", "")
            if row.fault is None:
                yield FileRow(symbol, {name: _plain(file, cell, decimal) for name, cell in row.cells.items()})
            else:
                yield FileRow(symbol, error=f"line {line}: {row.fault}")
    except Invalid as invalid:
        raise ProviderFailed(f"{name}: {invalid.detail}") from invalid


def _plain(file: CsvText, cell: str, decimal: DecimalMark | None) -> str | None:
    """Return the number of a cell without thousands separators, None for a number that can be read in two ways."""
    try:
        return file.plain_number(cell, decimal)
    except ValueError:
        return None


def _json_rows(text: str) -> Iterator[FileRow]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = strict_json.loads(line, MAX_LINE_BYTES)
            if not isinstance(row, Mapping):
                continue  # names no symbol
            yield FileRow(str(row.get("symbol")), row)
        except Refusal as refusal:
            named = set(_NAMED_SYMBOL.findall(line[:MAX_LINE_BYTES]))
            if len(named) == 1:
                yield FileRow(named.pop(), error=f"line {number}: {refusal.detail}")


def _of_symbols(rows: Iterator[FileRow]) -> Iterator[FileRow]:
    return (row for row in rows if is_asset(row.symbol))


def _number(value: Any) -> Decimal | None:
    """Return the number, None if the value is not a readable number."""
    if isinstance(value, Decimal):
        return value
    try:
        return parse_number(value) if isinstance(value, str) else None
    except Refusal:
        return None
