"""Pending jobs: records waiting for a worker, watched by the sweeper until the worker is done."""

from abc import abstractmethod
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from msgspec.structs import replace

from trimtab.contracts.messages import TenantMessage
from trimtab.contracts.records import Record
from trimtab.contracts.traces import TRACE
from trimtab.kernel.clock import format_time

RESEND_AFTER = timedelta(minutes=5)
MAX_RESENDS = 3


class WorkerQueue(StrEnum):
    """Queues of the workers of pending jobs."""

    REBALANCE_REQUESTS = "rebalance-requests"
    RECALCULATIONS = "recalculations"
    CHECKS = "checks"
    EXECUTIONS = "rebalance-executions"


class PendingJob(Record, frozen=True, kw_only=True):
    """A record waiting for a worker. `resends` counts the messages that the sweeper has sent again.

    `is_stuck` is true once the sweeper has given up; a late message still completes a stuck job. `trace` is the
    trace of the request that created the job, set by the first write; every later message of the job continues the
    trace. Jobs that differ only in their traces are equal.
    """

    tenant_id: str
    portfolio_id: str
    updated_at: datetime
    resends: int = 0
    is_stuck: bool = False
    trace: str | None = None

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """True while a worker has a next step."""

    @property
    def waits_from(self) -> datetime:
        """Start of the wait for a worker."""
        return self.updated_at

    def record_attributes(self, form: int = 1) -> dict[str, Any]:
        """Return the attributes of every record, and the trace of the job."""
        return {**super().record_attributes(form), TRACE: self.trace}

    @abstractmethod
    def wake_message(self) -> tuple[WorkerQueue, TenantMessage]:
        """Return the message for the worker of the job, and the queue of the worker."""

    @abstractmethod
    def mark_stuck(self, now: datetime) -> Self:
        """Return the job as given up, with the event that alerts an operator."""

    @property
    def due_at(self) -> datetime:
        """Time from which the job is overdue: five minutes after the start of the wait, doubled with each resend."""
        return self.waits_from + RESEND_AFTER * (1 << self.resends)

    @property
    def expires_at(self) -> datetime | None:
        """Time from which the sweeper ends the job, although a worker has a next step; None for no such time."""
        return None

    @property
    def swept_at(self) -> datetime | None:
        """Time from which the sweeper acts on the job; None once the job has ended, or is stuck and never expires."""
        if not self.is_open:
            return None
        return self.expires_at if self.is_stuck else self.due_at

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the message of the job was probably lost, or the job has expired."""
        return self.swept_at is not None and self.swept_at <= now

    @property
    def is_out_of_resends(self) -> bool:
        """True once the sweeper has sent the message as often as allowed."""
        return self.resends >= MAX_RESENDS

    def count_resend(self, now: datetime) -> Self:
        """Return the job stamped for another resend."""
        return replace(self, resends=self.resends + 1, version=self.version + 1, updated_at=now, events=())

    def index_keys(self, job_id: str) -> dict[str, str]:
        """Return the keys of the sweeper's index while the job waits: a shard, and when the job is due."""
        if self.swept_at is None:
            return {}
        return {"pending_jobs_pk": f"OPEN#{job_id[-1]}", "pending_jobs_sk": format_time(self.swept_at)}
