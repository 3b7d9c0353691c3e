"""What waits for a worker: the sweeper's index."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.store import JOB, from_job, to_job
from trimtab.portfolios.ports import Listing
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.store import from_rebalance, to_rebalance
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OPEN_WORK = dynamo.Index("open_work", "open_work_pk", "open_work_sk")


class DynamoOpenWork(Struct, frozen=True):
    """Open work in the table `portfolios`."""

    client: "DynamoDBClient"
    table: str

    def overdue(self, shard: str, now: datetime, *, limit: int, after: Any) -> Listing[Rebalance | Recalculation]:
        """See `OpenWorkStore.overdue`."""
        due = ("#s <= :now", {":now": format_time(now)})
        page = dynamo.query(
            self.client, self.table, OPEN_WORK, f"OPEN#{shard}", due, limit=limit, after=after, newest_first=False
        )
        work = [to_job(it) if it["sk"].startswith(JOB) else to_rebalance(it) for it in page.items]
        return Listing(work, page.next_position)

    def put(self, work: Rebalance | Recalculation) -> None:
        """See `OpenWorkStore.put`."""
        item = from_rebalance(work) if isinstance(work, Rebalance) else from_job(work)
        dynamo.put(self.client, self.table, item)
