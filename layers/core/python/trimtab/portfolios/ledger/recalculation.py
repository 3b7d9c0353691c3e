"""Recalculation: a job for a trade that needs more trades folded than a client can wait for."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.kernel import ids
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.model import Lock, Portfolio
from trimtab.portfolios.portfolio.pending_jobs import OpenWork

LOCK_DURATION = timedelta(hours=24)


class RecalculationStatus(StrEnum):
    """REQUESTED until a worker has recorded the trade (COMPLETED) or the reason against it (REJECTED)."""

    REQUESTED = "REQUESTED"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"


class Recalculation(OpenWork, Record, frozen=True):
    """A job that records one new or corrected trade.

    The request stores the job with the trade and locks the portfolio; the worker writes trade, holding and cash.
    `reason` is set where the trade was rejected. `resends` counts the messages the sweeper has sent again, `is_stuck`
    is true once the sweeper has given up.
    """

    tenant_id: str
    portfolio_id: str
    user_id: str
    job_id: str
    trade: Trade
    created_at: datetime
    updated_at: datetime
    status: RecalculationStatus = RecalculationStatus.REQUESTED
    reason: str | None = None
    resends: int = 0
    is_stuck: bool = False

    def complete(self, now: datetime) -> "Recalculation":
        """Return the job with the status COMPLETED."""
        return self._end(RecalculationStatus.COMPLETED, None, now)

    def reject(self, reason: str, now: datetime) -> "Recalculation":
        """Return the job with the status REJECTED and the reason."""
        return self._end(RecalculationStatus.REJECTED, reason, now)

    def stuck(self, now: datetime) -> "Recalculation":
        """Return the job as given up by the sweeper, with the event that alerts an operator.

        A message that arrives later still completes the job.
        """
        event = Event("recalculation.stuck", {"job_id": self.job_id, "portfolio_id": self.portfolio_id})
        return replace(self, is_stuck=True, version=self.version + 1, updated_at=now, events=(event,))

    def _end(self, status: RecalculationStatus, reason: str | None, now: datetime) -> "Recalculation":
        return replace(self, status=status, reason=reason, version=self.version + 1, updated_at=now, events=())


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
    return job, portfolio.locked(Lock(job.job_id, f"{trade.symbol} is being recalculated", now + LOCK_DURATION), now)
