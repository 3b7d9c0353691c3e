"""Recalculation jobs: a worker records a trade if recomputing the holding takes too long for the client's request."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.messages import RecalculationRequested, TenantMessage
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, pack, unpack
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.pending_jobs import PendingJob, WorkerQueue

JOB_PREFIX = "JOB#"
LOCK_DURATION = timedelta(hours=24)


class RecalculationStatus(StrEnum):
    """REQUESTED until a worker has recorded the trade (COMPLETED) or the reason against it (REJECTED)."""

    REQUESTED = "REQUESTED"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"


class Recalculation(PendingJob, frozen=True, kw_only=True):
    """A job that records one new or corrected trade.

    The request stores the job, including the trade, and locks the portfolio. The worker then writes trade, holding and
    cash. `reason` is set if the trade was rejected.
    """

    user_id: str
    job_id: str
    trade: Trade
    created_at: datetime
    status: RecalculationStatus = RecalculationStatus.REQUESTED
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        """True until the trade is recorded or rejected."""
        return self.status is RecalculationStatus.REQUESTED

    def wake_message(self) -> tuple[WorkerQueue, TenantMessage]:
        """Return the message for the recalculation worker, and the queue of the worker."""
        message = RecalculationRequested(
            tenant_id=self.tenant_id,
            portfolio_id=self.portfolio_id,
            job_id=self.job_id,
        )
        return WorkerQueue.RECALCULATIONS, message

    def complete(self, now: datetime) -> "Recalculation":
        """Return the job with the status COMPLETED."""
        return self._end(RecalculationStatus.COMPLETED, None, now)

    def reject(self, reason: str, now: datetime) -> "Recalculation":
        """Return the job with the status REJECTED and the reason."""
        return self._end(RecalculationStatus.REJECTED, reason, now)

    def mark_stuck(self, now: datetime) -> "Recalculation":
        """Return the job marked as stuck, with the event that alerts an operator; the sweeper sends no more messages.

        A message that arrives later still completes the job.
        """
        event = Event("recalculation.stuck", {"job_id": self.job_id, "portfolio_id": self.portfolio_id})
        return replace(self, is_stuck=True, version=self.version + 1, updated_at=now, events=(event,))

    def _end(self, status: RecalculationStatus, reason: str | None, now: datetime) -> "Recalculation":
        return replace(self, status=status, reason=reason, version=self.version + 1, updated_at=now, events=())

    def to_item(self) -> dict[str, Any]:
        """Return the job's item as plain values; the trade is one JSON text, because it is only read as a whole."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, JOB_PREFIX + self.job_id),
            **self.index_keys(self.job_id),
            "tenant_id": self.tenant_id,
            "user_id": self.user_id,
            "trade": pack(self.trade.attributes()),
            "status": self.status.value,
            "reason": self.reason,
            "resends": self.resends or None,
            "is_stuck": self.is_stuck or None,
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.updated_at),
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Recalculation":
        """Return the job of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                attributes = {
                    **item,
                    "portfolio_id": portfolio_id_in(item["pk"]),
                    "job_id": item["sk"].removeprefix(JOB_PREFIX),
                    "trade": unpack(item["trade"], Trade),
                    "events": (),
                }
                return from_attributes(attributes, cls)
            case version:
                raise UnknownForm("recalculation", version)


def request_recalculation(portfolio: Portfolio, trade: Trade, now: datetime) -> tuple[Recalculation, Portfolio]:
    """Return the job that records the trade, and the portfolio locked by the job for at most 24 hours."""
    job = Recalculation(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        user_id=portfolio.user_id,
        job_id=ids.derive_id(portfolio.portfolio_id, trade.ref_id, portfolio.version),
        trade=trade,
        created_at=now,
        updated_at=now,
    )
    return job, portfolio.take_lock(Lock(job.job_id, f"{trade.symbol} is being recalculated", now + LOCK_DURATION), now)
