"""The queues that wake the workers, from the inside."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.portfolio.model import Trigger
from trimtab.portfolios.ports import Crossed
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.runtime import sqs
from trimtab.runtime.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class QueueSettings(Settings):
    """Where the queues are; a function knows those that it sends to."""

    rebalance_requests_queue_url: str = ""
    recalculations_queue_url: str = ""
    checks_queue_url: str = ""
    executions_queue_url: str = ""


class Queues(Struct, frozen=True):
    """The queues `rebalance-requests`, `recalculations`, `checks` and `rebalance-executions`."""

    client: "SQSClient"
    urls: QueueSettings

    def send(self, work: Rebalance | Recalculation, *, delay_seconds: int = 0) -> None:
        """See `Requests.send`."""
        if isinstance(work, Recalculation):
            url, message = self.urls.recalculations_queue_url, _job(work)
        elif work.is_with_the_broker:
            url, message = self.urls.executions_queue_url, _execution(work)
        elif work.trigger is Trigger.REPORT:
            url, message = self.urls.rebalance_requests_queue_url, _report(work)
        else:
            url, message = self.urls.checks_queue_url, _check(work.tenant_id, work.portfolio_id, "person")
            message["rebalance_id"] = work.rebalance_id
        sqs.send(self.client, url, message, tenant_id=work.tenant_id, delay_seconds=delay_seconds)

    def crossed(self, portfolios: Iterable[Crossed]) -> None:
        """See `CheckQueue.crossed`."""
        messages = (
            (it.tenant_id, {**_check(it.tenant_id, it.portfolio_id, "crossed"), "epoch": it.epoch}) for it in portfolios
        )
        sqs.send_all(self.client, self.urls.checks_queue_url, messages)

    def ask(self, tenant_id: str, portfolio_id: str, trigger: str) -> None:
        """See `CheckQueue.ask`."""
        message = _check(tenant_id, portfolio_id, trigger)
        sqs.send(self.client, self.urls.checks_queue_url, message, tenant_id=tenant_id)


def _check(tenant_id: str, portfolio_id: str, trigger: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "type": "check.requested",
        "tenant_id": tenant_id,
        "portfolio_id": portfolio_id,
        "trigger": trigger,
    }


def _execution(rebalance: Rebalance) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "type": "execution.requested",
        "tenant_id": rebalance.tenant_id,
        "portfolio_id": rebalance.portfolio_id,
        "rebalance_id": rebalance.rebalance_id,
    }


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
