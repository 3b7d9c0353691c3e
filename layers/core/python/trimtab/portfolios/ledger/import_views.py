"""Responses of the routes for imports."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.ledger.imports import Import, ImportStatus, RowError

Answer = dict[str, Any]


class RowErrorView(Model):
    """A row that is not recorded."""

    field: str
    """The line and the column of the file. Example: `line 12: ref_id`"""
    detail: str
    """The reason, or what to do. Example: `This ref_id was recorded with other values.`"""


class ImportLinks(Model):
    """Addresses relative to the URL of the request (RFC 3986)."""

    self: str
    """The path of the import, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/imports/731eb848-c0f2-552f-b8d8-c216b7119182`"""
    imports: str
    """The path of all imports into the portfolio, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/imports`"""


class ImportView(Model):
    """An import of one file.

    Entries of an import that is REQUESTED or RUNNING count in no list, balance or return before it is COMPLETED; those
    of an import that is UNDOING count no more, and those of an import that is CANCELLING never counted. Meanwhile the
    portfolio is locked.
    """

    import_id: str
    """The id of the import, the same for the same rows. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    portfolio_id: str
    """The id of the portfolio. Example: `265076e4-f1a0-5d1f-99a9-59a8b0e03f01`"""
    kind: EntryKind
    """The kind of the entries."""
    status: ImportStatus
    """The status: REJECTED or CANCELLED if nothing was recorded, UNDONE if the entries were deleted. Example:
    `COMPLETED`"""
    rows: int
    """The number of rows of the file that the import records. Example: `120`"""
    recorded: int
    """The number of rows recorded so far; in the response to an imported file, by this request. Example: `120`"""
    already_recorded: int
    """The number of rows that were recorded before. Example: `0`"""
    ignored: dict[str, int]
    """The number of rows of a broker's statement that the import does not record, by the broker's name for them."""
    unrecorded: list[RowErrorView]
    """The rows of a broker's statement that change holdings and that the import of trades does not record (spin-offs,
    splits, units without a cost), at most 100, each with what to do."""
    reason: str | None
    """The reason why the import was rejected, null otherwise."""
    errors: list[RowErrorView]
    """The rows that led to the rejection, at most 100."""
    undone_by: str | None
    """The subject of the token that undid or cancelled the import, null before. Example: `client-1`"""
    requested_at: datetime
    """The time of the request (UTC)."""
    updated_at: datetime
    """The time of the newest change or progress (UTC)."""
    links: ImportLinks
    """The addresses of the import."""


class ImportList(Model):
    """A page of imports, newest first."""

    items: list[ImportView]
    """The imports of the page."""
    next_cursor: str | None
    """The cursor of the next page, null on the last page."""


def import_view(job: Import) -> Answer:
    """Return an `ImportView`."""
    imports = f"/portfolios/{job.portfolio_id}/imports"
    return {
        "import_id": job.import_id,
        "portfolio_id": job.portfolio_id,
        "kind": job.kind.value,
        "status": job.status.value,
        "rows": job.rows,
        "recorded": job.recorded,
        "already_recorded": job.already_recorded,
        "ignored": dict(sorted(job.ignored.items())),
        "reason": job.reason,
        "unrecorded": _row_errors(job.unrecorded),
        "errors": _row_errors(job.errors),
        "undone_by": job.undone_by,
        "requested_at": format_time(job.requested_at),
        "updated_at": format_time(job.updated_at),
        "links": {"self": f"{imports}/{job.import_id}", "imports": imports},
    }


def _row_errors(errors: Iterable[RowError]) -> list[Answer]:
    return [{"field": error.field, "detail": error.detail} for error in errors]
