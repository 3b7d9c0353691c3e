"""Sender of the messages that wake the workers of pending jobs."""

from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from trimtab.portfolios.portfolio.pending_jobs import PendingJob, WorkerQueue
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import send_message

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class QueueSettings(Settings):
    """URLs of the workers' queues; a function has the URLs of the queues to which the function sends."""

    rebalance_requests_queue_url: str = ""
    recalculations_queue_url: str = ""
    checks_queue_url: str = ""
    executions_queue_url: str = ""

    def url_of(self, queue: WorkerQueue) -> str:
        """Return the URL of a queue."""
        match queue:
            case WorkerQueue.REBALANCE_REQUESTS:
                return self.rebalance_requests_queue_url
            case WorkerQueue.RECALCULATIONS:
                return self.recalculations_queue_url
            case WorkerQueue.CHECKS:
                return self.checks_queue_url
            case WorkerQueue.EXECUTIONS:
                return self.executions_queue_url
            case _:
                assert_never(queue)


class WorkerQueues(Struct, frozen=True):
    """Sender of wake-up messages to the workers of pending jobs."""

    client: "SQSClient"
    urls: QueueSettings

    def wake(self, job: PendingJob, *, delay_seconds: int = 0) -> None:
        """Wake the worker of the job, after a delay of at most 900 seconds (longer ones are cut)."""
        queue, message = job.wake_message()
        url = self.urls.url_of(queue)
        send_message(self.client, url, message, delay_seconds=delay_seconds, job_trace=job.trace)
