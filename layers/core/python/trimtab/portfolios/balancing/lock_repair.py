"""Repair of locks whose rebalance has no effect any more: nothing was sent before the deadline, or it has ended."""

from datetime import datetime

from msgspec import Struct

from trimtab.portfolios.execution import state_machine
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.watch_state import EvaluationCause
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus


class LockRepair(Struct, frozen=True):
    """The unlocked portfolio, and the rebalance if the repair cancels it; both are written in one transaction."""

    portfolio: Portfolio
    cancelled: Rebalance | None = None

    @property
    def records(self) -> tuple[Portfolio | Rebalance, ...]:
        """The records to write."""
        return (self.cancelled, self.portfolio) if self.cancelled else (self.portfolio,)


def find_repair(portfolio: Portfolio, rebalance: Rebalance | None, now: datetime) -> LockRepair | None:
    """Return the repair of a lock, None where the lock is right: another owner's, or that of a rebalance in progress.

    `rebalance` is the owner of the lock as stored. A STALE portfolio keeps its lock for the operator.
    """
    if rebalance is None or portfolio.lock is None or portfolio.lock.owner != rebalance.rebalance_id:
        return None
    if not portfolio.is_busy(now):
        return None
    released = portfolio.release(now, EvaluationCause.HOLDINGS, rebalanced=False)
    if not rebalance.is_open and rebalance.status is not RebalanceStatus.STALE:
        return LockRepair(released)
    if rebalance.has_expired_unsent(now):
        return LockRepair(released, state_machine.cancel_unsent(rebalance, now, state_machine.DEADLINE_PASSED))
    return None
