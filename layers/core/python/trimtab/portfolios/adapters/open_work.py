"""What waits for a worker: the sweeper's index, and the queues that wake the workers."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.portfolios.adapters.ledger import JOB, from_job, to_job
from trimtab.portfolios.adapters.store import from_rebalance, to_rebalance
from trimtab.portfolios.domain.rebalance import Rebalance
from trimtab.portfolios.domain.recalculation import Recalculation
from trimtab.portfolios.service.ports import Listing
from trimtab.runtime import dynamo, sqs

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_sqs import SQSClient

OPEN_WORK = dynamo.Index("open_work", "open_work_pk", "open_work_sk")


@dataclass(frozen=True, slots=True)
class DynamoOpenWork:
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


@dataclass(frozen=True, slots=True)
class RequestQueues:
    """The queues `rebalance-requests` and `recalculations`, from the inside."""

    client: "SQSClient"
    rebalances_url: str
    recalculations_url: str

    def send(self, work: Rebalance | Recalculation) -> None:
        """See `Requests.send`."""
        if isinstance(work, Rebalance):
            sqs.send(self.client, self.rebalances_url, _report(work), tenant_id=work.tenant_id)
        else:
            sqs.send(self.client, self.recalculations_url, _job(work), tenant_id=work.tenant_id)


def _report(report: Rebalance) -> dict[str, Any]:
    """The message that a provider would send for the same report."""
    message = {
        "schema_version": 1,
        "type": "rebalance.requested",
        "tenant_id": report.tenant_id,
        "request_id": report.request_id,
        "user_id": report.user_id,
        "name": report.name,
        "new_allocation": {asset: plain(weight) for asset, weight in report.weights.items()},
    }
    return {**message, "as_of": format_time(report.as_of)} if report.as_of_given else message


def _job(job: Recalculation) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "type": "recalculation.requested",
        "tenant_id": job.tenant_id,
        "portfolio_id": job.portfolio_id,
        "job_id": job.job_id,
    }
