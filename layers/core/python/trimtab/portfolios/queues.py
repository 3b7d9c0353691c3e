"""The queues that wake the workers, from the inside."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from trimtab.contracts.messages import (
    CheckRequested,
    ExecutionRequested,
    RebalanceRequested,
    RecalculationRequested,
    TenantMessage,
)
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.portfolio.model import Trigger
from trimtab.portfolios.ports import Crossed
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs import sender

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
            url = self.urls.recalculations_queue_url
        elif work.is_with_the_broker:
            url = self.urls.executions_queue_url
        elif work.trigger is Trigger.REPORT:
            url = self.urls.rebalance_requests_queue_url
        else:
            url = self.urls.checks_queue_url
        sender.send(self.client, url, _message(work), delay_seconds=delay_seconds)

    def crossed(self, portfolios: Iterable[Crossed]) -> None:
        """See `CheckQueue.crossed`."""
        messages = (
            CheckRequested(
                tenant_id=portfolio.tenant_id,
                portfolio_id=portfolio.portfolio_id,
                trigger="crossed",
                epoch=portfolio.epoch,
            )
            for portfolio in portfolios
        )
        sender.send_all(self.client, self.urls.checks_queue_url, messages)

    def ask(self, tenant_id: str, portfolio_id: str, trigger: Literal["due", "changed"]) -> None:
        """See `CheckQueue.ask`."""
        message = CheckRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, trigger=trigger)
        sender.send(self.client, self.urls.checks_queue_url, message)


def _message(work: Rebalance | Recalculation) -> TenantMessage:
    tenant_id, portfolio_id = work.tenant_id, work.portfolio_id
    if isinstance(work, Recalculation):
        return RecalculationRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, job_id=work.job_id)
    if work.is_with_the_broker:
        return ExecutionRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, rebalance_id=work.rebalance_id)
    if work.trigger is not Trigger.REPORT:
        return CheckRequested(
            tenant_id=tenant_id, portfolio_id=portfolio_id, trigger="person", rebalance_id=work.rebalance_id
        )
    return RebalanceRequested(
        tenant_id=tenant_id,
        request_id=work.request_id,
        user_id=work.user_id,
        name=work.name,
        new_allocation=dict(work.weights),
        as_of=work.as_of if work.as_of_given else None,
    )
