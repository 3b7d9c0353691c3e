"""The file of trades that an import reads."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from trimtab.kernel.errors import Invalid
from trimtab.portfolios.ledger.imports import Row
from trimtab.portfolios.ledger.views import RecordTrade

MAX_ROWS = 2_000
COLUMNS = (
    "ref_id",
    "side",
    "security_type",
    "symbol",
    "quantity",
    "amount",
    "price",
    "fees",
    "status",
    "executed_at",
)
_REQUIRED_COLUMNS = {"ref_id", "side", "security_type", "symbol", "quantity"}


def read_csv(text: str) -> list[Row]:
    """The rows of a file of trades; `Invalid` with every bad row by line and field, or where the file is not one."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True, restkey="", restval="")
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        unknown, missing = set(header) - set(COLUMNS), _REQUIRED_COLUMNS - set(header)
        if unknown or missing or len(set(header)) != len(header):
            raise Invalid("invalid_header", f"The first line must name columns of: {', '.join(COLUMNS)}.")
        reader.fieldnames = header
        return list(_checked(reader))
    except csv.Error as error:
        raise Invalid("invalid_csv", f"Line {reader.line_num} is not CSV: {error}.") from None


def _checked(reader: "csv.DictReader[str]") -> Iterator[Row]:
    rows: list[Row] = []
    errors: list[dict[str, str]] = []
    seen: set[str] = set()
    for count, cells in enumerate(reader, 1):
        line = reader.line_num
        if count > MAX_ROWS:
            raise Invalid("too_many_rows", f"Import at most {MAX_ROWS} rows at a time.")
        if "" in cells:
            errors.append({"field": f"line {line}", "detail": "The line has more cells than the first one."})
            continue
        try:
            body = RecordTrade.model_validate({name: cell.strip() for name, cell in cells.items() if cell.strip()})
        except ValidationError as error:
            errors += [_row_error(line, each) for each in error.errors(include_input=False, include_url=False)]
            continue
        if body.ref_id in seen:
            errors.append({"field": f"line {line}: ref_id", "detail": "It stands in the file twice."})
        seen.add(body.ref_id)
        rows.append(Row(line, body.to_domain()))
    if errors:
        raise Invalid("invalid_rows", "Some rows cannot be read; nothing was written. See errors.", errors=errors)
    if not rows:
        raise Invalid("no_rows", "The file has no rows.")
    return iter(rows)


def _row_error(line: int, error: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in error["loc"])
    where = f"line {line}: {field}" if field else f"line {line}"
    return {"field": where, "detail": str(error["msg"]).removeprefix("Value error, ")}
