"""The CSV file of an import of trades."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from trimtab.kernel.errors import Invalid
from trimtab.portfolios.ledger.imports import ImportRow
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


def read_csv(text: str) -> list[ImportRow]:
    """Return the rows of a CSV file with a header line; columns may come in any order.

    Raises `Invalid` for a file that is not CSV, has unknown or missing columns, no rows or more than 2,000; and with
    line and field of every invalid row.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True, restkey="", restval="")
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        unknown, missing = set(header) - set(COLUMNS), _REQUIRED_COLUMNS - set(header)
        if unknown or missing or len(set(header)) != len(header):
            required = ", ".join(column for column in COLUMNS if column in _REQUIRED_COLUMNS)
            raise Invalid(
                "invalid_header",
                f"The first line must name each column once, out of: {', '.join(COLUMNS)}. Required: {required}.",
            )
        reader.fieldnames = header
        return list(_validated_rows(reader))
    except csv.Error as error:
        raise Invalid("invalid_csv", f"Line {reader.line_num} is not valid CSV: {error}.") from None


def _validated_rows(reader: "csv.DictReader[str]") -> Iterator[ImportRow]:
    rows: list[ImportRow] = []
    errors: list[dict[str, str]] = []
    seen: set[str] = set()
    for count, cells in enumerate(reader, 1):
        line = reader.line_num
        if count > MAX_ROWS:
            raise Invalid("too_many_rows", f"The file has more than {MAX_ROWS} rows. Split it into several files.")
        if "" in cells:
            errors.append({"field": f"line {line}", "detail": "The line has more cells than the header."})
            continue
        try:
            body = RecordTrade.model_validate({name: cell.strip() for name, cell in cells.items() if cell.strip()})
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False)
            errors += [_row_error(line, detail) for detail in details]
            continue
        if body.ref_id in seen:
            errors.append({"field": f"line {line}: ref_id", "detail": "An earlier line has the same ref_id."})
        seen.add(body.ref_id)
        rows.append(ImportRow(line, body.to_domain()))
    if errors:
        raise Invalid("invalid_rows", "Some rows are invalid; nothing was recorded. See `errors`.", errors=errors)
    if not rows:
        raise Invalid("no_rows", "The file has a header but no rows.")
    return iter(rows)


def _row_error(line: int, error: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in error["loc"])
    place = f"line {line}: {field}" if field else f"line {line}"
    return {"field": place, "detail": str(error["msg"]).removeprefix("Value error, ")}
