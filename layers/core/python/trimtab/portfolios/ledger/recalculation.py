"""A recalculation: a trade that needs more earlier trades folded than a client can wait for."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.kernel import ids
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.model import Lock, Portfolio
from trimtab.portfolios.portfolio.pending_jobs import OpenWork

LOCKED_FOR = timedelta(hours=24)


class RecalculationStatus(StrEnum):
    """REQUESTED until a worker has written the trade, or recorded why it cannot be."""

    REQUESTED = "REQUESTED"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"


class Recalculation(OpenWork, Record, frozen=True):
    """The trade as it shall be; nothing but the portfolio's lock is changed before it is completed."""

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

    def completed(self, now: datetime) -> "Recalculation":
        """Its trade is written."""
        return self._ended(RecalculationStatus.COMPLETED, None, now)

    def rejected(self, reason: str, now: datetime) -> "Recalculation":
        """Its trade cannot be written, for this reason."""
        return self._ended(RecalculationStatus.REJECTED, reason, now)

    def stuck(self, now: datetime) -> "Recalculation":
        """Given up by the sweeper, with the event that alerts an operator; a late message still does it."""
        event = Event("recalculation.stuck", {"job_id": self.job_id, "portfolio_id": self.portfolio_id})
        return replace(self, is_stuck=True, version=self.version + 1, updated_at=now, events=(event,))

    def _ended(self, status: RecalculationStatus, reason: str | None, now: datetime) -> "Recalculation":
        return replace(self, status=status, reason=reason, version=self.version + 1, updated_at=now, events=())


def begun(portfolio: Portfolio, trade: Trade, now: datetime) -> tuple[Recalculation, Portfolio]:
    """The request to fold all trades with this one, and the portfolio locked by it."""
    job = Recalculation(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        user_id=portfolio.user_id,
        job_id=ids.derive_id(portfolio.portfolio_id, trade.ref_id, portfolio.version),
        trade=trade,
        created_at=now,
        updated_at=now,
    )
    return job, portfolio.locked(Lock(job.job_id, f"{trade.symbol} is being recalculated", now + LOCKED_FOR), now)
