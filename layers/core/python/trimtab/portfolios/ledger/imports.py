"""Imports: the record of one imported file, and the state of the job that writes a large file.

An import of at most `ENTRIES_PER_CHUNK` rows is recorded in one transaction. A larger one is a job: its rows are
stored, the portfolio is locked, and a worker writes the entries chunk by chunk. Until the job ends, its entries count
nowhere: readers leave out the entries of the import that holds the lock. One transaction then changes holdings and cash
and releases the lock, so that nobody ever sees half of an import.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.messages import RecalculationRequested, TenantMessage
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, pack, unpack
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Refusal
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.pending_jobs import PendingJob, WorkerQueue

IMPORT_PREFIX = "IMPORT#"
ENTRIES_PER_CHUNK = 90
"""Entries of one transaction, of at most 100 items."""
MAX_STORED_ERRORS = 100


class ImportStatus(StrEnum):
    """Status of an import.

    REQUESTED: the rows are stored, and a worker has to validate them. RUNNING: the rows are valid, and entries are
    being written. COMPLETED: all rows are recorded. REJECTED: nothing is recorded, for a reason. UNDOING: the entries
    count no more and are being deleted. UNDONE: the entries are deleted. CANCELLING: the import was cancelled before it
    was complete, and what is written is being deleted. CANCELLED: nothing is recorded, because of the cancellation.
    """

    REQUESTED = "REQUESTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


class RowError(Struct, frozen=True):
    """A row of the file that is not recorded: its line and field, and the reason or what to do."""

    field: str
    detail: str


class Import(PendingJob, frozen=True, kw_only=True):
    """An import of one file, with an id derived from the portfolio, the kind of the entries and the rows.

    `rows` counts the rows of the file, `recorded` the entries that the import has written, `already_recorded` the rows
    that were recorded before. `ignored` counts the other rows by the broker's name; `unrecorded` are those that change
    holdings, at most 100. `reason` and `errors` tell why the
    import was rejected. `affects_from` is the earliest time of execution of the entries, `undone_by` the author of the
    undo or of the cancellation.
    """

    user_id: str
    import_id: str
    kind: EntryKind
    rows: int
    requested_at: datetime
    status: ImportStatus = ImportStatus.REQUESTED
    recorded: int = 0
    already_recorded: int = 0
    ignored: Mapping[str, int] = {}
    unrecorded: tuple[RowError, ...] = ()
    affects_from: datetime | None = None
    reason: str | None = None
    errors: tuple[RowError, ...] = ()
    undone_by: str | None = None

    @property
    def is_open(self) -> bool:
        """True while a worker has entries to write or to delete."""
        return self.is_recording or self.is_deleting

    @property
    def is_recording(self) -> bool:
        """True while a worker has entries to write."""
        return self.status in {ImportStatus.REQUESTED, ImportStatus.RUNNING}

    @property
    def is_deleting(self) -> bool:
        """True while a worker has entries to delete."""
        return self.status in {ImportStatus.UNDOING, ImportStatus.CANCELLING}

    def wake_message(self) -> tuple[WorkerQueue, TenantMessage]:
        """Return the message for the worker of recalculations and imports, and the queue of the worker."""
        message = RecalculationRequested(
            tenant_id=self.tenant_id, portfolio_id=self.portfolio_id, job_id=self.import_id
        )
        return WorkerQueue.RECALCULATIONS, message

    def mark_stuck(self, now: datetime) -> "Import":
        """Return the import marked as stuck, with the event that alerts an operator; a later message completes it."""
        event = Event("recalculation.stuck", {"job_id": self.import_id, "portfolio_id": self.portfolio_id})
        return self._next(now, is_stuck=True, events=(event,))

    def renew(self, now: datetime, ignored: Mapping[str, int], unrecorded: tuple[RowError, ...]) -> "Import":
        """Return the import, in the same version, without traces of an earlier run that has left no entries."""
        if self.status is ImportStatus.COMPLETED:
            return self
        counts = {"recorded": 0, "already_recorded": 0, "ignored": ignored, "unrecorded": unrecorded}
        outcome = {"affects_from": None, "reason": None, "errors": (), "undone_by": None}
        return replace(self, status=ImportStatus.REQUESTED, requested_at=now, **counts, **outcome)

    def request(self, now: datetime) -> "Import":
        """Return the import as requested from a worker."""
        return self._next(now, status=ImportStatus.REQUESTED)

    def record_chunk(self, entries: int, now: datetime) -> "Import":
        """Return the import after a further chunk of entries."""
        return self._next(now, status=ImportStatus.RUNNING, recorded=self.recorded + entries)

    def complete(self, recorded: int, affects_from: datetime | None, now: datetime) -> "Import":
        """Return the completed import, with an event if it has recorded entries executed from `affects_from` on."""
        counts = {"recorded": recorded, "already_recorded": self.rows - recorded}
        completed = self._next(now, status=ImportStatus.COMPLETED, affects_from=affects_from, **counts)
        return replace(completed, events=completed._announce("import.completed"))

    def reject(self, refusal: Refusal, now: datetime) -> "Import":
        """Return the rejected import, with the reason and at most 100 row errors; written entries are yet to delete."""
        errors = tuple(RowError(error["field"], error["detail"]) for error in refusal.errors[:MAX_STORED_ERRORS])
        status = ImportStatus.UNDOING if self.recorded else ImportStatus.REJECTED
        return self._next(now, status=status, reason=refusal.detail, errors=errors)

    def undo(self, affects_from: datetime | None, now: datetime, *, by: str, at_once: bool) -> "Import":
        """Return the import whose entries count no more from now on, with an event.

        The import is UNDONE if its entries are deleted `at_once`, else UNDOING.
        """
        undoing = self._next(now, status=ImportStatus.UNDOING, affects_from=affects_from, undone_by=by)
        undoing = replace(undoing, events=undoing._announce("import.undone"))
        return replace(undoing, status=ImportStatus.UNDONE, recorded=0) if at_once else undoing

    def cancel(self, now: datetime, *, by: str) -> "Import":
        """Return the import that writes no further entries; the written ones never counted and are yet to delete."""
        return self._next(now, status=ImportStatus.CANCELLING, undone_by=by)

    def delete_chunk(self, entries: int, now: datetime) -> "Import":
        """Return the import after the deletion of a chunk of entries."""
        return self._next(now, recorded=self.recorded - entries)

    def end_undo(self, now: datetime) -> "Import":
        """Return the import without entries: CANCELLED after a cancellation, REJECTED with a reason, else UNDONE."""
        status = ImportStatus.REJECTED if self.reason else ImportStatus.UNDONE
        if self.status is ImportStatus.CANCELLING:
            status = ImportStatus.CANCELLED
        return self._next(now, status=status, recorded=0)

    def _next(self, now: datetime, **changes: Any) -> "Import":
        progress = {"version": self.version + 1, "updated_at": now, "resends": 0, "is_stuck": False, "events": ()}
        return replace(self, **{**progress, **changes})

    def _announce(self, type: str) -> tuple[Event, ...]:
        """Return the event about the entries of the import, none where the import has no entries."""
        if self.affects_from is None:
            return ()
        data = {
            "import_id": self.import_id,
            "portfolio_id": self.portfolio_id,
            "user_id": self.user_id,
            "kind": self.kind.value,
            "recorded": self.recorded,
            "affects_from": format_time(self.affects_from),
        }
        return (Event(type, data),)

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the import's item; members that equal their defaults are not stored."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, IMPORT_PREFIX + self.import_id),
            **self.index_keys(self.import_id),
            "by_time": f"{IMPORT_PREFIX}{format_time(self.requested_at)}#{self.import_id}",
            "tenant_id": self.tenant_id,
            "user_id": self.user_id,
            "kind": self.kind.value,
            "rows": self.rows,
            "status": self.status.value,
            "recorded": self.recorded or None,
            "already_recorded": self.already_recorded or None,
            "ignored": dict(self.ignored) or None,
            "unrecorded": pack(self.unrecorded) if self.unrecorded else None,
            "affects_from": format_time(self.affects_from) if self.affects_from else None,
            "reason": self.reason,
            "errors": pack(self.errors) if self.errors else None,
            "undone_by": self.undone_by,
            "resends": self.resends or None,
            "is_stuck": self.is_stuck or None,
            "requested_at": format_time(self.requested_at),
            "updated_at": format_time(self.updated_at),
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Import":
        """Return the import of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                attributes = {
                    **item,
                    "portfolio_id": portfolio_id_in(item["pk"]),
                    "import_id": item["sk"].removeprefix(IMPORT_PREFIX),
                    **{name: unpack(item.get(name, "[]"), tuple[RowError, ...]) for name in ("errors", "unrecorded")},
                    "events": (),
                }
                return from_attributes(attributes, cls)
            case version:
                raise UnknownForm("import", version)


def import_lock(job: Import) -> Lock:
    """Return the lock of an import, without an end: its entries must not count because time has passed."""
    return Lock(job.import_id, "an import is being recorded or undone")


def is_locked_by(portfolio: Portfolio, job: Import) -> bool:
    """Return whether the import holds the lock of the portfolio."""
    return portfolio.lock is not None and portfolio.lock.owner == job.import_id


def counted(portfolio: Portfolio | None, entries: Sequence[Any]) -> list[Any]:
    """Return the trades or cash entries without those of the import that holds the lock of the portfolio."""
    owner = portfolio.lock.owner if portfolio and portfolio.lock else None
    return [entry for entry in entries if entry.import_id is None or entry.import_id != owner]
