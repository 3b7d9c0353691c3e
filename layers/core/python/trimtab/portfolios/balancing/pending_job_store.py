"""Pending jobs in DynamoDB: reader of the sweeper's index."""

from datetime import datetime
from typing import Any

from trimtab.kernel.clock import format_time
from trimtab.kernel.pages import Page
from trimtab.portfolios.ledger.imports import IMPORT_PREFIX, Import
from trimtab.portfolios.ledger.recalculation import JOB_PREFIX, Recalculation
from trimtab.portfolios.portfolio.pending_jobs import PendingJob
from trimtab.portfolios.portfolio.store import PENDING_JOBS
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.paging import query_index


class PendingJobStore(RebalanceStore, frozen=True):
    """Adds the reader of overdue jobs to the store of rebalances."""

    def overdue(self, shard: str, now: datetime, *, limit: int, after: Any) -> Page[PendingJob]:
        """Return a page of the overdue jobs in a shard, the longest waiting first."""
        due = ("#s <= :now", {":now": format_time(now)})
        page = query_index(
            self.client, self.table, PENDING_JOBS, f"OPEN#{shard}", due, limit=limit, after=after, newest_first=False
        )
        return page.map(_job_from)


def _job_from(item: Item) -> PendingJob:
    if item["sk"].startswith(IMPORT_PREFIX):
        return Import.from_item(item)
    return (Recalculation if item["sk"].startswith(JOB_PREFIX) else Rebalance).from_item(item)
