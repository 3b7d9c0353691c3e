"""The sweeper: sends lost messages of pending jobs again, and requests the price checks that are due."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.portfolios.balancing.check_store import CheckStore
from trimtab.portfolios.balancing.lock_repair import find_repair
from trimtab.portfolios.balancing.pending_job_store import PendingJobStore
from trimtab.portfolios.portfolio.pending_jobs import PendingJob
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.portfolios.rebalancing.model import Rebalance

T = TypeVar("T")

SHARDS = "0123456789abcdef"
PAGE_SIZE = 100
MAX_PAGES_PER_SHARD = 10


class SweepResult(Struct):
    """Counts of one pass: messages sent again, jobs given up, rebalances cancelled unsent, and checks requested."""

    resent: int = 0
    stuck: int = 0
    cancelled: int = 0
    due: int = 0


class Sweeper(Struct, frozen=True):
    """Performs a pass every five minutes."""

    store: PendingJobStore
    checks: CheckStore
    worker_queues: WorkerQueues
    check_queue: CheckQueue
    clock: Clock

    def sweep(self) -> SweepResult:
        """Send the messages of overdue jobs again, and request the checks that are due.

        A planned rebalance whose deadline passed before anything was sent is cancelled and its portfolio unlocked. A
        job without progress after three resends is marked as stuck, with an event that alerts an operator. The
        resend is counted on the item before the message is sent: two sweepers do not both send it, and a lost message
        only costs time.
        """
        now, result = self.clock(), SweepResult()
        for shard in SHARDS:
            for job in _read_pages(partial(self.store.overdue, shard, now)):
                self._resend(job, now, result)
            for portfolio in _read_pages(partial(self.checks.due, shard, now)):
                self.check_queue.request_check(portfolio.tenant_id, portfolio.portfolio_id, "schedule")
                result.due += 1
        return result

    def _resend(self, job: PendingJob, now: datetime, result: SweepResult) -> None:
        if not job.is_overdue(now):
            return  # the index is eventually consistent
        if isinstance(job, Rebalance) and job.has_expired_unsent(now):
            result.cancelled += self._cancel_unsent(job, now)
            return
        counted = job.mark_stuck(now) if job.is_out_of_resends else job.count_resend(now)
        try:
            self.store.put(counted)
        except ConditionFailed:
            return  # completed, or counted by another sweeper
        if job.is_out_of_resends:
            result.stuck += 1
        else:
            self.worker_queues.wake(counted)
            result.resent += 1

    def _cancel_unsent(self, job: Rebalance, now: datetime) -> bool:
        """Cancel the rebalance and unlock its portfolio; return whether this pass did."""
        portfolio, rebalance = self.store.portfolio_and_rebalance(job.tenant_id, job.portfolio_id, job.rebalance_id)
        repair = find_repair(portfolio, rebalance, now) if portfolio else None
        if repair is None:
            return False
        try:
            self.store.put(*repair.records)
        except ConditionFailed:
            return False  # a worker was faster, or the next pass repeats the attempt
        return True


def _read_pages(read_page: Callable[..., Page[T]]) -> Iterator[T]:
    """Yield the elements of a shard, up to the limit of one pass."""
    position: Any = None
    for _ in range(MAX_PAGES_PER_SHARD):
        page = read_page(limit=PAGE_SIZE, after=position)
        yield from page.items
        position = page.next_position
        if position is None:
            return
