"""Locks without effect are found; locks of work in progress and of stale portfolios stay."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from tests.unit.samples import portfolio, rebalance
from trimtab.portfolios.balancing.lock_repair import find_repair
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.rebalancing.journal import new_execution
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus

NOW = datetime(2026, 11, 26, 15, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=6)


def rebalance_of(status: RebalanceStatus) -> Rebalance:
    """Return a rebalance with a journal without orders."""
    execution = new_execution("r-1", (), (), Policy(), is_funded=True, deadline=DEADLINE)
    return rebalance(rebalance_id="r-1", status=status, execution=execution)


@pytest.mark.parametrize(
    ("status", "now", "is_released", "is_cancelled"),
    [
        (RebalanceStatus.PLANNED, NOW, False, False),
        (RebalanceStatus.PLANNED, DEADLINE, True, True),
        (RebalanceStatus.EXECUTING, DEADLINE, False, False),
        (RebalanceStatus.COMPENSATING, DEADLINE, False, False),
        (RebalanceStatus.STALE, DEADLINE, False, False),
        (RebalanceStatus.COMPLETED, NOW, True, False),
        (RebalanceStatus.ROLLED_BACK, NOW, True, False),
        (RebalanceStatus.CANCELLED, NOW, True, False),
    ],
)
def test_only_a_lock_without_effect_is_released(
    status: RebalanceStatus, now: datetime, is_released: bool, is_cancelled: bool
) -> None:
    locked = portfolio(lock=Lock("r-1", "it is being rebalanced"))
    repair = find_repair(locked, rebalance_of(status), now)
    assert (repair is not None) == is_released
    if repair is not None:
        assert repair.portfolio.lock is None
        assert (repair.cancelled is not None) == is_cancelled


def test_the_lock_of_another_owner_and_of_a_stale_portfolio_stays() -> None:
    ended = rebalance_of(RebalanceStatus.COMPLETED)
    assert find_repair(portfolio(lock=Lock("other", "it is being rebalanced")), ended, NOW) is None
    stale = portfolio(lock=Lock("r-1", "it is being rebalanced")).mark_stale("fees", NOW)
    assert find_repair(stale, ended, NOW) is None
    assert find_repair(portfolio(lock=Lock("r-1", "it is being rebalanced")), None, NOW) is None


def test_a_stuck_planned_rebalance_is_swept_at_its_deadline_and_other_stuck_jobs_never() -> None:
    planned = replace(rebalance_of(RebalanceStatus.PLANNED), is_stuck=True)
    assert (planned.is_overdue(DEADLINE - timedelta(seconds=1)), planned.is_overdue(DEADLINE)) == (False, True)
    assert replace(planned, status=RebalanceStatus.EXECUTING).swept_at is None
