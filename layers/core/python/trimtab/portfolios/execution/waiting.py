"""Waits of an execution: for a poll of the broker, for the end of a halt, or for the open of an exchange. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord
from trimtab.kernel import sessions
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS, BrakeLimits
from trimtab.portfolios.rebalancing.journal import Execution

MARKET_CLOSED, HALTED, MESSAGE_RATE = "market_closed", "halted", "message_rate"
"""Codes of the reasons to wait."""
MIN_SESSION = timedelta(hours=1)
"""Least time between the open of an exchange and the deadline of an execution that waited for the open."""


class RetryLimits(Struct, frozen=True):
    """Limits of one execution; times are in seconds.

    * `order_seconds`: an order still open after this time is cancelled.
    * `reversal_seconds`: pause before refused reversals are sent again.
    * `halt_seconds`: pause before the halt switches are read again.
    * `max_attempts`: number of submissions without an answer after which an order is lost.
    * `extra_attempts`: further submissions of a lost order while other orders of the wave are still being cancelled.
    * `max_pause_seconds`: longest pause between two polls of the broker.
    * `brake`: pauses after rollbacks, and the duration of a quarantine.
    """

    order_seconds: int = 300
    reversal_seconds: int = 30
    halt_seconds: int = 60
    max_attempts: int = 8
    extra_attempts: int = 2
    max_pause_seconds: int = 60
    brake: BrakeLimits = DEFAULT_LIMITS


class Pause(Struct, frozen=True):
    """A wait until a time; `reason` is the code of what the execution waits for, None while orders are polled."""

    until: datetime
    reason: str | None = None


def pause(execution: Execution, reason_to_wait: Pause, *, is_planned: bool) -> Execution:
    """Return the waiting journal, without a lease.

    While an exchange is closed no time passes for an execution that has begun: at least `MIN_SESSION` is left after the
    open. A rebalance that has sent nothing keeps its deadline, because its prices would be too old.
    """
    deadline = execution.deadline
    if reason_to_wait.reason == MARKET_CLOSED and not is_planned:
        deadline = max(deadline, reason_to_wait.until + MIN_SESSION)
    return replace(
        execution,
        lease_until=None,
        wake_at=reason_to_wait.until,
        waits_for=reason_to_wait.reason,
        deadline=deadline,
    )


def next_opening(assets: Iterable[AssetRecord], now: datetime) -> datetime | None:
    """Return the time at which the exchanges of all assets are open, None if they are open now.

    The exchanges with sessions share one calendar, so at the latest of their openings all of them are open.
    """
    opening = max((sessions.next_open(asset.exchange, now) for asset in assets), default=now)
    return opening if opening > now else None


def wake_time(execution: Execution, now: datetime, limits: RetryLimits) -> datetime:
    """Return the time at which a waiting execution continues.

    While orders are open, the pause between two polls doubles up to the limit. Otherwise return the stored time, not a
    later time: two messages for the same rebalance would postpone each other forever.
    """
    if execution.is_wave_over and execution.wake_at is not None:
        return execution.wake_at
    return now + timedelta(seconds=int(min(2**execution.polls, limits.max_pause_seconds)))
