"""Requests for imports: recorded at once up to one transaction's worth, otherwise a job for a worker."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.ledger.cash_posting import require_tracking
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.ledger.import_plan import entries_of, items_of, plan_import, plan_undo, read_entries
from trimtab.portfolios.ledger.import_rows import ImportRow, ImportRows, is_large, pack_rows
from trimtab.portfolios.ledger.imports import ENTRIES_PER_CHUNK, Import, ImportStatus, import_lock
from trimtab.portfolios.ledger.service import require_owned
from trimtab.portfolios.ledger.store import PAGE_SIZE, LedgerStore
from trimtab.portfolios.ledger.trade_file import ImportFile
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues


class ImportResult(Struct, frozen=True):
    """An import, and the numbers of rows that the request recorded, and found recorded (skipped)."""

    job: Import
    recorded: int
    already_recorded: int


class ImportService(Struct, frozen=True):
    """Starts, reads and undoes imports of trades and cash entries."""

    ledger: LedgerStore
    queues: WorkerQueues
    clock: Clock

    def import_rows(
        self,
        caller: Caller,
        portfolio_id: str,
        kind: EntryKind,
        file: ImportFile[Any],
    ) -> ImportResult:
        """Record the rows that are not recorded yet, all or none; leave more than 90 rows to a worker.

        A repeat with the same rows is the same import: recorded rows are skipped, and an open job is woken again.
        Raises `Conflict` (`ref_id_reused`) if a `ref_id` was recorded with other values, and `Unprocessable` if a row
        is in the future or all rows together would make a quantity or tracked cash negative; a worker rejects the
        import for the same reasons.
        """
        rows = file.rows
        import_id, stored_rows = pack_rows(caller.tenant_id, portfolio_id, kind, rows)

        def attempt() -> ImportResult:
            now = self.clock()
            portfolio, found = self._find(caller, portfolio_id, import_id)
            if found is not None and found.is_open:
                return self._wake(found)
            if found is not None and found.status is ImportStatus.COMPLETED and is_large(rows):
                return self._repeat(portfolio, found, rows)
            job = found or Import(
                tenant_id=portfolio.tenant_id,
                portfolio_id=portfolio_id,
                user_id=portfolio.user_id,
                import_id=import_id,
                kind=kind,
                rows=len(rows),
                requested_at=now,
                updated_at=now,
                version=0,
            )
            job = job.renew(now, file.ignored, file.unrecorded)
            if is_large(rows):
                return self._start(portfolio, job, stored_rows)
            return self._record(portfolio, job, rows, stored_rows)

        return retry_on_conflict(attempt)

    def get_import(self, caller: Caller, portfolio_id: str, import_id: str) -> Import:
        """Return an import into a portfolio; raises `NotFound` where there is none."""
        _, job = self._find(caller, portfolio_id, import_id)
        if job is None:
            raise not_found("import")
        return job

    def list_imports(self, portfolio: Portfolio, *, limit: int, after: Any) -> Page[Import]:
        """Return a page of the imports into the portfolio, newest first."""
        return self.ledger.imports(portfolio.tenant_id, portfolio.portfolio_id, limit=limit, after=after)

    def undo(self, caller: Caller, portfolio_id: str, import_id: str) -> Import:
        """Undo an import as a whole: its entries count no more and are deleted, more than 90 by a worker.

        An import that is being recorded is cancelled: the worker deletes what is written, which never counted. An
        import that was undone, cancelled or rejected is returned unchanged. Raises `Unprocessable`, naming the first
        conflict, if a quantity or tracked cash would be negative at any instant.
        """

        def attempt() -> Import:
            now = self.clock()
            portfolio, job = self._find(caller, portfolio_id, import_id)
            if job is None:
                raise not_found("import")
            match job.status:
                case ImportStatus.REQUESTED | ImportStatus.RUNNING:
                    cancelled = job.cancel(now, by=caller.subject)
                    self.ledger.put(cancelled)
                    return self._wake(cancelled).job
                case ImportStatus.UNDOING | ImportStatus.CANCELLING:
                    return self._wake(job).job
                case ImportStatus.UNDONE | ImportStatus.CANCELLED | ImportStatus.REJECTED:
                    return job
                case ImportStatus.COMPLETED:
                    portfolio.require_tradable(now)
            entries = entries_of(self.ledger, portfolio, job)
            affects_from = min((entry.executed_at for entry in entries), default=None)
            stored = items_of(entries)
            at_once = len(stored) <= ENTRIES_PER_CHUNK
            undone = job.undo(affects_from, now, by=caller.subject, at_once=at_once)
            after = plan_undo(self.ledger, portfolio, entries, now)
            if at_once:
                self.ledger.put(undone, after, deleted=stored)
                return undone
            self.ledger.put(undone, replace(after, lock=import_lock(undone)))
            return self._wake(undone).job

        return retry_on_conflict(attempt)

    def _find(self, caller: Caller, portfolio_id: str, import_id: str) -> tuple[Portfolio, Import | None]:
        portfolio, job = self.ledger.portfolio_and_import(caller.tenant_id, portfolio_id, import_id)
        return require_owned(portfolio, caller), job

    def _record(
        self, portfolio: Portfolio, job: Import, rows: Sequence[ImportRow[Any]], stored_rows: Sequence[ImportRows]
    ) -> ImportResult:
        """Record an import in one transaction; write nothing where the completed import has all rows already."""
        now = self.clock()
        plan = plan_import(self.ledger, portfolio, job, rows, now)
        recorded = len(plan.entries)
        ended = job.complete(job.recorded + recorded, plan.affects_from, now)
        if recorded:
            self.ledger.put(*items_of(plan.entries), *stored_rows, ended, plan.after)
        elif job.status is not ImportStatus.COMPLETED:
            self.ledger.put(*stored_rows, ended)
        return ImportResult(ended, recorded, len(rows) - recorded)

    def _start(self, portfolio: Portfolio, job: Import, stored_rows: Sequence[ImportRows]) -> ImportResult:
        """Store the rows, then the job with the lock of the portfolio; a repeat stores the same rows again."""
        now = self.clock()
        portfolio.require_tradable(now)
        if job.kind is EntryKind.CASH:
            require_tracking(portfolio)
        for each in stored_rows:
            self.ledger.put(each)
        requested = job.request(now)
        self.ledger.put(requested, portfolio.take_lock(import_lock(requested), now))
        return self._wake(requested)

    def _wake(self, job: Import) -> ImportResult:
        self.queues.wake(job)
        return ImportResult(job, job.recorded, job.already_recorded)

    def _repeat(self, portfolio: Portfolio, job: Import, rows: Sequence[ImportRow[Any]]) -> ImportResult:
        """Return the completed import; raises `Conflict` if its rows were recorded by an import that is undone.

        The entries are read only where another import was undone since.
        """
        if self._was_undone_since(portfolio, job.updated_at):
            recorded = read_entries(self.ledger, portfolio, job.kind, [row.entry.ref_id for row in rows])
            missing = sum(1 for row in rows if row.entry.ref_id not in recorded)
            if missing:
                raise Conflict(
                    "import_incomplete",
                    f"{missing} rows of this import are not recorded any more. Undo the import, then send the file "
                    "again.",
                )
        return ImportResult(job, 0, len(rows))

    def _was_undone_since(self, portfolio: Portfolio, since: datetime) -> bool:
        """Return whether any import into the portfolio was undone at or after a time."""
        position: Any = None
        while True:
            page = self.list_imports(portfolio, limit=PAGE_SIZE, after=position)
            if any(job.undone_by is not None and job.updated_at >= since for job in page.items):
                return True
            position = page.next_position
            if position is None:
                return False
