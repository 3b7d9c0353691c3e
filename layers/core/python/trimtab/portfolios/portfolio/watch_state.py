"""Where the price watches of a portfolio stand, and what asked for them or for a rebalance."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from trimtab.portfolios.portfolio.keys import instant_of, time_text


class Trigger(StrEnum):
    """What asked for a rebalance: a drift report, a price that crossed an edge, time, a new target, a person."""

    REPORT = "report"
    CROSSED = "crossed"
    DUE = "due"
    TARGET = "target"
    PERSON = "person"


class WatchDue(StrEnum):
    """Why the price watches of a portfolio have to be written again; a new target is worth a rebalance at once."""

    HOLDINGS = "holdings"
    REFUSED = "refused"
    TARGET = "target"


class Watching(Struct, frozen=True):
    """Where the price watches of a portfolio stand.

    `begun` is the epoch of the newest evaluation, `done` that of the newest whose watches are all in place, `decided`
    that of the newest which did not leave the decision to the next quote. `symbols` have rows in the table of watches.
    `due` says that something changed, `pending` the same once an evaluation has begun that is not done. `calendar_at`
    is the next day of the calendar rule. `kept` is what asked for a rebalance and could not be decided (the portfolio
    was locked, orders were halted, a cooldown ran): the next evaluation decides by it, and `again_at` is when it is due
    where nothing else asks before.
    """

    begun: int = 0
    done: int = 0
    decided: int = 0
    symbols: tuple[str, ...] = ()
    due: WatchDue | None = None
    pending: WatchDue | None = None
    calendar_at: datetime | None = None
    kept: Trigger | None = None
    again_at: datetime | None = None

    @property
    def reason(self) -> WatchDue | None:
        """The weightier of what changed before and after the present evaluation began."""
        return max((each for each in (self.due, self.pending) if each), key=list(WatchDue).index, default=None)

    @property
    def next_at(self) -> datetime | None:
        """When time alone asks for the next check. A calendar day waits with what was kept: it was refused as well."""
        return self.again_at or self.calendar_at

    def to_attributes(self, portfolio_id: str) -> dict[str, Any]:
        """Return the attributes of the portfolio item that hold the state.

        The filter of the table's stream looks at `watch_due`; the keys of the index `calendar_due` are those of
        `next_at`.
        """
        return {
            "watch_begun": self.begun or None,
            "watch_done": self.done or None,
            "watch_decided": self.decided if self.done else None,
            "watched": ",".join(self.symbols) or None,
            "watch_due": self.due and self.due.value,
            "watch_pending": self.pending and self.pending.value,
            "calendar_at": time_text(self.calendar_at),
            "watch_kept": self.kept and self.kept.value,
            "again_at": time_text(self.again_at),
            "calendar_due_pk": f"DUE#{portfolio_id[-1]}" if self.next_at else None,
            "calendar_due_sk": time_text(self.next_at),
        }

    @classmethod
    def from_attributes(cls, item: Mapping[str, Any]) -> "Watching":
        """Return the state that a portfolio item holds."""
        return cls(
            begun=item.get("watch_begun", 0),
            done=item.get("watch_done", 0),
            decided=item.get("watch_decided", 0),
            symbols=tuple(item["watched"].split(",")) if "watched" in item else (),
            due=WatchDue(item["watch_due"]) if "watch_due" in item else None,
            pending=WatchDue(item["watch_pending"]) if "watch_pending" in item else None,
            calendar_at=instant_of(item.get("calendar_at")),
            kept=Trigger(item["watch_kept"]) if "watch_kept" in item else None,
            again_at=instant_of(item.get("again_at")),
        )
