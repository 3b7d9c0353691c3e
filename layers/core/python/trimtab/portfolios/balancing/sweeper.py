"""Sweeping: what was accepted and never decided is asked for again, and what time asks for is checked."""

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
from trimtab.portfolios.balancing.pending_job_store import PendingJobStore
from trimtab.portfolios.portfolio.pending_jobs import PendingJob
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues

T = TypeVar("T")

SHARDS = "0123456789abcdef"
PAGE = 100
PAGES_A_SHARD = 10


class Swept(Struct):
    """How much a pass sent again, how much it gave up, and how many portfolios it found due for a check."""

    resent: int = 0
    stuck: int = 0
    due: int = 0


class Sweeper(Struct, frozen=True):
    """What the five-minute rule does."""

    store: PendingJobStore
    calendar: CheckStore
    requests: WorkerQueues
    checks: CheckQueue
    clock: Clock

    def sweep(self) -> Swept:
        """Sends again what was accepted and never decided; after three times it says so and stops.

        Each resend is stamped on the item before it is sent, so that two sweepers do not send twice, and a lost one
        costs a wait and nothing else.
        """
        now, swept = self.clock(), Swept()
        for shard in SHARDS:
            for work in _all(partial(self.store.overdue, shard, now)):
                self._repair(work, now, swept)
            for portfolio in _all(partial(self.calendar.due, shard, now)):
                self.checks.request_check(portfolio.tenant_id, portfolio.portfolio_id, "due")
                swept.due += 1
        return swept

    def _repair(self, work: PendingJob, now: datetime, swept: Swept) -> None:
        if not work.is_overdue(now):
            return  # the index lags behind the item
        repaired = work.mark_stuck(now) if work.is_out_of_resends else work.count_resend(now)
        try:
            self.store.put(repaired)
        except ConditionFailed:
            return  # decided, or stamped by another sweeper, in the meantime
        if work.is_out_of_resends:
            swept.stuck += 1
        else:
            self.requests.wake(repaired)
            swept.resent += 1


def _all(page_after: Callable[..., Page[T]]) -> Iterator[T]:
    """What a shard has, page after page, as much of it as one pass looks at."""
    position: Any = None
    for _ in range(PAGES_A_SHARD):
        page = page_after(limit=PAGE, after=position)
        yield from page.items
        position = page.next_position
        if position is None:
            return
