"""Lock of a portfolio: keeps all but one owner from changing holdings and cash."""

from datetime import datetime

from msgspec import Struct


class Lock(Struct, frozen=True):
    """Exclusive right of one rebalance, recalculation or import to change holdings and cash.

    A lock without an end holds until the owner releases the lock: an owner that may have sent orders must not expire.
    """

    owner: str
    reason: str
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Return whether the lock still excludes others."""
        return self.until is None or self.until > now
