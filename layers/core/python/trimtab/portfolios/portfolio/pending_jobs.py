"""Open work: an item that was stored for a worker to decide, and that the sweeper looks after until it is decided."""

from datetime import datetime, timedelta
from typing import Any, Self, cast

from msgspec.structs import replace

RESEND_AFTER = timedelta(minutes=5)
MAX_RESENDS = 3


class OpenWork:
    """What an aggregate that waits for a worker has in common with its kind."""

    __slots__ = ()

    updated_at: datetime
    resends: int
    is_stuck: bool
    version: int

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its decision."""
        return bool(cast(Any, self).status == "REQUESTED")

    @property
    def due_at(self) -> datetime:
        """When it should have been decided: five minutes after it was accepted, twice as long after each resend."""
        return self.updated_at + RESEND_AFTER * (1 << self.resends)

    def is_overdue(self, now: datetime) -> bool:
        """Whether its message seems to have been lost."""
        return self.is_open and not self.is_stuck and self.due_at <= now

    @property
    def is_given_up(self) -> bool:
        """Whether it has been sent again as often as it will be."""
        return self.resends >= MAX_RESENDS

    def resent(self, now: datetime) -> Self:
        """Stamped for another resend."""
        it = cast(Any, self)
        return cast(Self, replace(it, resends=it.resends + 1, version=it.version + 1, updated_at=now, events=()))
