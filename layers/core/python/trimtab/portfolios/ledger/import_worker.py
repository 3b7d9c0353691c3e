"""Worker of imports (queue `recalculations`): writes and deletes entries that are too many for one transaction."""

from datetime import datetime, timedelta

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, Refusal, Unavailable
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.ledger.import_plan import chunks_of, entries_of, items_of, plan_import
from trimtab.portfolios.ledger.imports import Import, is_locked_by
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues

RUN_FOR = timedelta(minutes=2)
"""Time after which a run leaves the rest to a new message; a run reads and validates all rows first."""


class ImportWorker(Struct, frozen=True):
    """Completes, rejects, cancels and undoes imports.

    Every write has the version of the import, so any call may be repeated.
    """

    ledger: LedgerStore
    queues: WorkerQueues
    clock: Clock
    run_for: timedelta = RUN_FOR

    def run(self, tenant_id: str, portfolio_id: str, import_id: str) -> Import | None:
        """Continue an import; return its state, None where there is no such import.

        Raises `Conflict` where the import does not hold the lock of the portfolio.
        """
        stop_at = self.clock() + self.run_for

        def attempt() -> Import | None:
            portfolio, job = self.ledger.portfolio_and_import(tenant_id, portfolio_id, import_id)
            if portfolio is None or job is None or not job.is_open:
                return job
            if not is_locked_by(portfolio, job):
                raise Conflict("locked", "The import does not hold the lock of the portfolio.")
            if job.is_deleting:
                return self._delete(portfolio, job, stop_at)
            return self._record(portfolio, job, stop_at)

        return retry_on_conflict(attempt)

    def _record(self, portfolio: Portfolio, job: Import, stop_at: datetime) -> Import:
        """Write the entries chunk by chunk, then one portfolio with all of them and without the lock."""
        now = self.clock()
        try:
            plan = plan_import(self.ledger, portfolio, job, self.ledger.import_rows(job), now)
        except Unavailable:
            raise
        except Refusal as refusal:
            return self._reject(portfolio, job.reject(refusal, now), stop_at)
        for chunk in chunks_of(plan.unwritten):
            if self.clock() >= stop_at:
                return self._continue_later(job)
            job = job.record_chunk(len(chunk), self.clock())
            self.ledger.put(*items_of(chunk), job)
        ended = job.complete(len(plan.entries), plan.affects_from, self.clock())
        self.ledger.put(ended, plan.after.release_lock_of(job.import_id, now))
        return ended

    def _reject(self, portfolio: Portfolio, rejected: Import, stop_at: datetime) -> Import:
        """Reject the import: at once where nothing is written, else after the written entries are deleted."""
        if rejected.is_open:
            self.ledger.put(rejected)
            return self._delete(portfolio, rejected, stop_at)
        self.ledger.put(rejected, self._unlock(portfolio, rejected))
        return rejected

    def _delete(self, portfolio: Portfolio, job: Import, stop_at: datetime) -> Import:
        """Delete the entries, which count no more, chunk by chunk; then release the lock."""
        for chunk in chunks_of(entries_of(self.ledger, portfolio, job)):
            if self.clock() >= stop_at:
                return self._continue_later(job)
            job = job.delete_chunk(len(chunk), self.clock())
            self.ledger.put(job, deleted=items_of(chunk))
        ended = job.end_undo(self.clock())
        self.ledger.put(ended, self._unlock(portfolio, job))
        return ended

    def _unlock(self, portfolio: Portfolio, job: Import) -> Portfolio:
        now = self.clock()
        return portfolio.release_lock_of(job.import_id, now).post(now)

    def _continue_later(self, job: Import) -> Import:
        self.queues.wake(job)
        return job
