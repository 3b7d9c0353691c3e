"""Cash as a fold of the ledger: the trades that change cash, and the check that cash is never below zero.

The balance at an instant is the sum of all cash entries, fills and counted trades executed until then, in any order of
entry. A change at an instant changes the balance at that instant and at all later ones, never an earlier one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import ZERO, plain

CashChange = tuple[datetime, Decimal]
"""Time of execution, and the change of cash (money): below zero where cash goes out."""

NO_ENTRY = datetime.min.replace(tzinfo=UTC)
"""`newest_at` of a portfolio that is created with a rule that counts every trade."""


class CashTracking(StrEnum):
    """Recorded trades that change the cash of a portfolio. Fills of rebalances always do.

    FROM_FIRST_ENTRY: trades executed at or after the earliest cash entry, or the first rebalance; earlier trades were
    paid from outside. ON: all trades. MARGIN: all trades, and cash may be below zero. OFF: no trade, and no cash entry
    is accepted.
    """

    OFF = "off"
    FROM_FIRST_ENTRY = "from_first_entry"
    ON = "on"
    MARGIN = "margin"

    @property
    def counts_all(self) -> bool:
        """True where every trade changes cash, so that cash is tracked from the creation of the portfolio on."""
        return self in {CashTracking.ON, CashTracking.MARGIN}


class CashRule(Struct, frozen=True, omit_defaults=True):
    """The rule of a portfolio's cash.

    `since` is the start of the tracked cash under FROM_FIRST_ENTRY. A portfolio with cash and without `since` was
    stored by an earlier release: each of its trades counts as recorded. `newest_at` is the time of the newest entry
    that changed cash, or later; None where unknown.
    """

    tracking: CashTracking = CashTracking.FROM_FIRST_ENTRY
    since: datetime | None = None
    newest_at: datetime | None = None

    def counts(self, executed_at: datetime, *, as_recorded: bool) -> bool:
        """Return whether a recorded trade changes cash; `as_recorded` counts where an earlier release decided."""
        match self.tracking:
            case CashTracking.OFF:
                return False
            case CashTracking.ON | CashTracking.MARGIN:
                return True
            case CashTracking.FROM_FIRST_ENTRY:
                return as_recorded if self.since is None else executed_at >= self.since
            case _:
                assert_never(self.tracking)

    def start(self, at: datetime) -> "CashRule":
        """Return the rule with cash tracked from `at` on, at the latest."""
        if self.tracking is not CashTracking.FROM_FIRST_ENTRY:
            return self
        return replace(self, since=min(at, self.since or at), newest_at=self.newest_at or at)

    def extend(self, at: datetime) -> "CashRule":
        """Return the rule after an entry executed at this time."""
        return self if self.newest_at is None else replace(self, newest_at=max(at, self.newest_at))


def first_fall(changes: Iterable[CashChange]) -> datetime | None:
    """Return the earliest time from which the changes together lower the balance, None where they never do.

    >>> from datetime import UTC
    >>> january = lambda day: datetime(2026, 1, day, tzinfo=UTC)
    >>> first_fall([(january(5), Decimal(100)), (january(6), Decimal(-150)), (january(7), Decimal(80))]).day
    6
    """
    total = ZERO
    for at, change in _by_instant(changes):
        total += change
        if total < 0:
            return at
    return None


def require_cash(
    balance: Decimal, recorded: Iterable[CashChange], changes: Iterable[CashChange], *, may_stay_negative: bool = True
) -> None:
    """Raise `Unprocessable` (`insufficient_cash`) where the changes would make cash negative at any instant.

    `balance` is the newest balance (money) before the changes; `recorded` holds at least the recorded changes later
    than `first_fall(changes)`. A balance that is negative already may stay so, and rise, unless `may_stay_negative` is
    false.

    >>> from datetime import UTC
    >>> january = lambda day: datetime(2026, 1, day, tzinfo=UTC)
    >>> deposit, buy = (january(7), Decimal(500)), (january(6), Decimal(-200))
    >>> try:
    ...     require_cash(Decimal(500), [deposit], [buy])  # the cash of 7 January does not pay on 6 January
    ... except Unprocessable as refusal:
    ...     print(refusal.detail.partition(". ")[0])
    Cash would be below zero from 2026-01-06T00:00:00.000000Z on, by 200 at the lowest
    """
    before, added = balance, ZERO
    changes = list(changes)
    steps = {at: (change, ZERO) for at, change in _by_instant(recorded)}
    for at, change in _by_instant(changes):
        steps[at] = (steps[at][0] if at in steps else ZERO, change)
        added += change
    first, missing = None, ZERO
    for at in sorted(steps, reverse=True):
        if before + added < 0 and (added < 0 or not may_stay_negative):
            first, missing = at, max(missing, -(before + added))
        before, added = before - steps[at][0], added - steps[at][1]
    if first is not None:
        raise Unprocessable(
            "insufficient_cash",
            f"Cash would be below zero from {format_time(first)} on, by {plain(missing)} at the lowest. Record the "
            "deposit that paid for it, with its time, or set cash_tracking to `margin`.",
        )


def _by_instant(changes: Iterable[CashChange]) -> list[CashChange]:
    """Return the sum of the changes of each instant, earliest first."""
    sums: dict[datetime, Decimal] = {}
    for at, change in changes:
        sums[at] = sums.get(at, ZERO) + change
    return sorted(sums.items())
