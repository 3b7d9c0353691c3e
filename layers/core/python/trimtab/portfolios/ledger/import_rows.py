"""Rows of an imported file: stored beside the import, compared with what is recorded, and made into entries."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from msgspec import Struct

from trimtab.contracts.stored_form import UnknownForm, form_version, pack, unpack
from trimtab.kernel import ids
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.ledger.imports import ENTRIES_PER_CHUNK, IMPORT_PREFIX, Import
from trimtab.portfolios.ledger.new_entries import NewCashEntry, NewTrade
from trimtab.portfolios.ledger.trades import MAX_CLOCK_LEAD
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.keys import item_key
from trimtab.portfolios.portfolio.model import Portfolio

E = TypeVar("E")
Entry = TypeVar("Entry", NewTrade, NewCashEntry)

ROWS_PER_ITEM = 400
"""A row takes at most about 700 bytes, and an item may have 400 KB."""


class ImportRow(Struct, Generic[E], frozen=True, omit_defaults=True):
    """An entry of a file, its line number, and its currency (empty: that of the portfolio)."""

    line: int
    entry: E
    currency: str = ""


class ImportRows(Struct, frozen=True):
    """One item of stored rows of an import, packed as one JSON text; never changed, because the id follows from it."""

    tenant_id: str
    portfolio_id: str
    import_id: str
    number: int
    rows: str

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item, which needs no guard: each write stores the same rows."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, rows_key(self.import_id, self.number)),
            "v": 1,
            "version": None,
            "tenant_id": self.tenant_id,
            "rows": self.rows,
        }


def rows_key(import_id: str, number: int) -> str:
    """Return the sort key of an item of stored rows."""
    return f"{IMPORT_PREFIX}{import_id}#ROWS#{number:03}"


def pack_rows(
    tenant_id: str, portfolio_id: str, kind: EntryKind, rows: Sequence[ImportRow[Any]]
) -> tuple[str, list[ImportRows]]:
    """Return the id of the import of these rows into the portfolio, and the items that store the rows."""
    texts = [pack(list(rows[start : start + ROWS_PER_ITEM])) for start in range(0, len(rows), ROWS_PER_ITEM)]
    import_id = ids.derive_id(portfolio_id, "import", kind.value, ids.fingerprint(*texts))
    names = (tenant_id, portfolio_id, import_id)
    return import_id, [ImportRows(*names, number, text) for number, text in enumerate(texts)]


def is_large(rows: Sequence[ImportRow[Any]]) -> bool:
    """Return whether the entries of the rows are too many for one transaction; a spin-off is stored as two items."""
    spin_offs = sum(1 for row in rows if isinstance(row.entry, NewTrade) and row.entry.spun_off_from)
    return len(rows) + spin_offs > ENTRIES_PER_CHUNK


def count_items(rows: int) -> int:
    """Return the number of items that store the rows."""
    return -(-rows // ROWS_PER_ITEM)


def unpack_rows(kind: EntryKind, items: Sequence[Mapping[str, Any]]) -> list[ImportRow[Any]]:
    """Return the rows in stored items; raises `UnknownForm` for an item of a newer release."""
    type: Any = list[ImportRow[NewTrade]] if kind is EntryKind.TRADE else list[ImportRow[NewCashEntry]]
    rows: list[ImportRow[Any]] = []
    for item in sorted(items, key=lambda item: str(item["sk"])):
        if form_version(item) != 1:
            raise UnknownForm("rows of an import", form_version(item))
        rows += unpack(item["rows"], type)
    return rows


def require_recordable(
    portfolio: Portfolio, rows: Sequence[ImportRow[Entry]], recorded: Mapping[str, Any], now: datetime
) -> None:
    """Raise a `Refusal` that names every row that cannot be recorded.

    `recorded` holds the entries with the `ref_id` of a row.
    """
    reused = [row for row in rows if row.entry.ref_id in recorded and not row.entry.matches(recorded[row.entry.ref_id])]
    if reused:
        errors = _row_errors(reused, "ref_id", "This ref_id was recorded with other values.")
        raise Conflict("ref_id_reused", "Some rows were recorded with other values; see `errors`.", errors=errors)
    latest = now + MAX_CLOCK_LEAD
    future = [row for row in rows if row.entry.executed_at and row.entry.executed_at > latest]
    if future:
        errors = _row_errors(future, "executed_at", "The time is more than 5 minutes in the future.")
        raise Unprocessable("executed_at_in_future", "Some rows are in the future; see `errors`.", errors=errors)
    foreign = [row for row in rows if row.currency not in {"", portfolio.currency}]
    if foreign:
        errors = _row_errors(foreign, "currency", f"The portfolio is in {portfolio.currency}.")
        raise Unprocessable("other_currency", "Some rows are in another currency; see `errors`.", errors=errors)


def times_of_recording(job: Import, rows: Sequence[ImportRow[Entry]]) -> dict[str, datetime]:
    """Return the time of recording of each row by `ref_id`: a microsecond apart, so that rows keep the file order."""
    return {row.entry.ref_id: job.requested_at + timedelta(microseconds=n) for n, row in enumerate(rows)}


def tie_ranks(rows: Sequence[ImportRow[NewTrade]]) -> dict[str, int]:
    """Return the rank among the trades of one instant by `ref_id`: one more for each buy after a sell, zero left out.

    The rank keeps the order of the file: within a rank buys come before sells.
    """
    newest: dict[tuple[str, datetime], tuple[int, Side]] = {}
    ranks: dict[str, int] = {}
    for new in (row.entry for row in rows):
        if new.executed_at is not None:
            rank, side = newest.get((new.symbol, new.executed_at), (0, Side.BUY))
            rank += side is Side.SELL and new.side is Side.BUY
            newest[new.symbol, new.executed_at] = (rank, new.side)
            ranks[new.ref_id] = rank
    return {ref_id: rank for ref_id, rank in ranks.items() if rank}


def _row_errors(rows: Sequence[ImportRow[Entry]], field: str, detail: str) -> list[dict[str, str]]:
    return [{"field": f"line {row.line}: {field}", "detail": detail} for row in rows]
