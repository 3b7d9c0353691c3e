"""The CSV files of trades and of cash entries, which imports read and exports write."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid, Refusal
from trimtab.kernel.money import plain
from trimtab.kernel.strict_csv import CsvRow, CsvText, DecimalMark
from trimtab.portfolios.ledger.broker_statements import Preset, read_statement
from trimtab.portfolios.ledger.cash_views import MoveCash
from trimtab.portfolios.ledger.file_entries import EntryKind, FileEntry, RefIds
from trimtab.portfolios.ledger.import_rows import ImportRow
from trimtab.portfolios.ledger.imports import MAX_STORED_ERRORS, RowError
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade, require_fits_kind
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.ledger.views import RecordTrade
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.holdings import SecurityType

MAX_ROWS = 20_000
MAX_EXPORTED_ROWS = 2_000
MAX_ERRORS = 1_000
"""Invalid cells after which a file is not read any further."""
COLUMNS = (
    *("ref_id", "side", "security_type", "symbol", "quantity", "amount", "price", "fees", "status", "executed_at"),
    *("currency", "kind", "spun_off_from", "acquired_on"),
)
CASH_COLUMNS = ("ref_id", "type", "amount", "executed_at", "currency", "symbol")
_REQUIRED = {
    EntryKind.TRADE: ("ref_id", "side", "security_type", "symbol", "quantity"),
    EntryKind.CASH: ("ref_id", "type", "amount"),
}
_COLUMNS = {EntryKind.TRADE: COLUMNS, EntryKind.CASH: CASH_COLUMNS}
_NUMBERS = ("quantity", "amount", "price", "fees")

E = TypeVar("E")


class FileFormat(Struct, frozen=True):
    """The layout of a file: a preset, or columns by member of the request; a member without a column has its own name.

    `security_type` is the type of the trades that state none.
    """

    preset: Preset | None = None
    columns: Mapping[str, str] = {}
    decimal: DecimalMark | None = None
    security_type: SecurityType | None = None

    @classmethod
    def of(
        cls,
        preset: Preset | None,
        columns: Sequence[str],
        decimal: DecimalMark | None,
        security_type: SecurityType | None = None,
    ) -> "FileFormat":
        """Return the format that request parameters describe; `columns` are texts such as `symbol:Ticker`.

        Raises `Invalid` (`invalid_map`) for a text of another form, and for columns or a decimal mark beside a preset.
        """
        pairs = [text.partition(":") for text in columns]
        named = {member: column.strip() for member, _, column in pairs}
        if not all(named.values()) or len(named) < len(pairs):
            raise Invalid("invalid_map", "Send one `map` for each member, such as map=symbol:Ticker.")
        if preset and (columns or decimal):
            raise Invalid("invalid_map", "A preset names columns and decimal mark. Leave out `map` and `decimal`.")
        return cls(preset, named, decimal, security_type)

    @property
    def derives_ids(self) -> bool:
        """Return whether rows may come without `ref_id`: in an export of somebody else, not in a file made for us."""
        return self.preset is not None or bool(self.columns)


class ImportFile(Struct, Generic[E], frozen=True):
    """The rows of a file that an import records, and the number of the other rows by their label in the file.

    `unrecorded` are those of the other rows that change holdings, at most 100, each with advice.
    """

    rows: list[ImportRow[E]]
    ignored: Mapping[str, int]
    unrecorded: tuple[RowError, ...] = ()


def read_trades(text: str, format: FileFormat) -> ImportFile[NewTrade]:
    """Return the trades of a CSV file; the columns may come in any order.

    Raises `Invalid` for a file that is not CSV, has unknown or missing columns, no rows or more than 20,000; and with
    line and field of every invalid row.
    """
    default = format.security_type or (SecurityType.STOCK if format.preset else None)
    defaults = {"security_type": default.value} if default else {}

    def to_trade(_: FileEntry, members: dict[str, str]) -> NewTrade:
        new = RecordTrade.model_validate({**defaults, **members}).to_domain()
        require_fits_kind(new)
        return new

    return _read(text, format, EntryKind.TRADE, to_trade)


def read_cash(text: str, format: FileFormat) -> ImportFile[NewCashEntry]:
    """Return the cash entries of a CSV file; raises `Invalid` like `read_trades`."""

    def to_entry(entry: FileEntry, members: dict[str, str]) -> NewCashEntry:
        new = MoveCash.model_validate(members).to_domain()
        return replace(new, earlier_type=CashType(entry.earlier["type"])) if entry.earlier else new

    return _read(text, format, EntryKind.CASH, to_entry)


def write_trades(trades: Iterable[Trade], currency: str) -> str:
    """Return the CSV file of trades in their present revision, as an import takes the file."""
    rows = (
        {
            "ref_id": trade.ref_id,
            "side": trade.side.value,
            "security_type": trade.security_type.value,
            "symbol": trade.symbol,
            "quantity": plain(trade.quantity) if trade.quantity else "",
            "amount": plain(trade.amount) if trade.amount else "",
            "fees": plain(trade.fees),
            "status": trade.status.value,
            "executed_at": format_time(trade.executed_at),
            "currency": currency,
            "kind": trade.kind.value,
            "spun_off_from": trade.spun_off_from or "",
            "acquired_on": trade.acquired_on.isoformat() if trade.acquired_on else "",
        }
        for trade in trades
        if not trade.is_parent_side  # the import of the new units records the parent's side
    )
    return _write([column for column in COLUMNS if column != "price"], rows)


def write_cash(entries: Iterable[CashEntry], currency: str) -> str:
    """Return the CSV file of cash entries, as an import takes the file."""
    rows = (
        {
            "ref_id": entry.ref_id,
            "type": entry.type.value,
            "amount": plain(entry.amount),
            "executed_at": format_time(entry.executed_at),
            "currency": currency,
            "symbol": entry.symbol or "",
        }
        for entry in entries
    )
    return _write(CASH_COLUMNS, rows)


def _write(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _read(
    text: str, format: FileFormat, kind: EntryKind, to_domain: Callable[[FileEntry, dict[str, str]], E]
) -> ImportFile[E]:
    content = CsvText.of(text)
    entries = read_statement(format.preset, content) if format.preset else _generic_entries(content, format, kind)
    ref_ids = RefIds(format.preset.value if format.preset else "row")
    rows: list[ImportRow[E]] = []
    ignored: Counter[str] = Counter()
    unrecorded: list[RowError] = []
    errors: list[dict[str, str]] = []
    lines: dict[str, int] = {}
    for entry in entries:
        if len(errors) >= MAX_ERRORS:
            break
        if entry.fault:
            errors.append(_row_error(entry.line, *entry.fault))
            continue
        if entry.kind is not kind:
            ignored[entry.label] += 1
            if entry.advice and kind is EntryKind.TRADE:
                unrecorded.append(RowError(**_row_error(entry.line, entry.label, entry.advice)))
            continue
        if len(rows) + len(errors) >= MAX_ROWS:
            raise Invalid("too_many_rows", f"The file has more than {MAX_ROWS} rows. Split it into several files.")
        members = {name: cell for name, cell in entry.members.items() if cell}
        if format.derives_ids:
            members.setdefault("ref_id", ref_ids.derive(entry))
        try:
            rows.append(ImportRow(entry.line, to_domain(entry, members), entry.currency))
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False)
            errors += [_validation_error(entry.line, detail) for detail in details]
            continue
        except Refusal as refusal:
            errors.append(_row_error(entry.line, "", refusal.detail))
            continue
        earlier = lines.setdefault(members["ref_id"], entry.line)
        if earlier != entry.line:
            errors.append(_row_error(entry.line, "ref_id", f"Line {earlier} has the same ref_id."))
    if errors:
        raise Invalid("invalid_rows", "Some rows are invalid; nothing was recorded. See `errors`.", errors=errors)
    if not rows and not ignored:
        raise Invalid("no_rows", "The file has a header but no rows.")
    return ImportFile(rows, ignored, tuple(unrecorded[:MAX_STORED_ERRORS]))


def _generic_entries(text: CsvText, format: FileFormat, kind: EntryKind) -> Iterator[FileEntry]:
    header, rows = text.rows()
    used = _used_columns(header, format, kind)
    return (_generic_entry(text, row, used, format.decimal, kind) for row in rows)


def _used_columns(header: Sequence[str], format: FileFormat, kind: EntryKind) -> dict[str, str]:
    """Return the columns of the file by member; raises `Invalid` (`invalid_header`) where the header does not fit."""
    known = _COLUMNS[kind]
    strange = [member for member in format.columns if member not in known]
    if strange:
        raise Invalid("invalid_map", f"`map` names {_listed(strange)}; the members are {', '.join(known)}.")
    column_of = {member: format.columns.get(member, member) for member in known}
    used = {member: column for member, column in column_of.items() if column in header}
    optional = {"ref_id"} if format.derives_ids else set()
    optional |= {"security_type"} if format.security_type else set()
    required = [member for member in _REQUIRED[kind] if member not in optional]
    missing = [column_of[member] for member in (*required, *format.columns) if member not in used]
    unknown = [] if format.columns else [column for column in header if column not in known]
    repeated = [column for column in used.values() if header.count(column) > 1]
    if missing or unknown or repeated:
        raise Invalid(
            "invalid_header",
            f"The first line must name each column once, out of: {', '.join(known)}. Required: {', '.join(required)}. "
            f"Missing: {_listed(missing)}. Unknown: {_listed(unknown)}. Repeated: {_listed(repeated)}.",
        )
    return used


def _listed(names: Collection[str]) -> str:
    return ", ".join(dict.fromkeys(name[:64] or "(empty)" for name in list(names)[:10])) or "none"


def _generic_entry(
    text: CsvText, row: CsvRow, used: Mapping[str, str], decimal: DecimalMark | None, kind: EntryKind
) -> FileEntry:
    if row.fault:
        return FileEntry(row.line, fault=("", row.fault))
    members = {member: row.cells[column] for member, column in used.items()}
    for member in [name for name in _NUMBERS if name in members]:
        try:
            members[member] = text.plain_number(members[member], decimal)
        except ValueError as error:
            return FileEntry(row.line, fault=(used[member], str(error)))
    currency = members.pop("currency", "")
    if "side" in members:
        members["side"] = members["side"].upper()
    for name in ("type", "kind"):
        if name in members:
            members[name] = members[name].lower()
    return FileEntry(row.line, "", kind, members, currency)


def _row_error(line: int, field: str, detail: str) -> dict[str, str]:
    return {"field": f"line {line}: {field}" if field else f"line {line}", "detail": detail}


def _validation_error(line: int, error: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in error["loc"])
    return _row_error(line, field, str(error["msg"]).removeprefix("Value error, "))
