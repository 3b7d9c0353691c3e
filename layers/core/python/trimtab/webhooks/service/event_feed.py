"""Reading of the events of a caller, from any position on."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.domain.event_log import LogEntry

PAGE_SIZE = 100
MAX_PAGES = 5


class FeedPage(Struct, frozen=True):
    """Events in the order of the log, and the position at which the next request resumes."""

    events: list[Mapping[str, Any]]
    position: int
    has_more: bool


class EventFeed(Struct, frozen=True):
    """Lists the events of a tenant; an end user gets the events about that user only."""

    log: EventLog
    clock: Clock

    def read(self, caller: Caller, after: int, limit: int, type: str | None) -> FeedPage:
        """Return up to `limit` events after a position, with at most 500 entries of the log read.

        A page may have fewer events than `limit` although more follow.
        """
        now, events, position = self.clock(), list[Mapping[str, Any]](), after
        is_filtered = type is not None or caller.user_id is not None
        for _ in range(MAX_PAGES):
            page = self.log.read(caller.tenant_id, position, PAGE_SIZE if is_filtered else limit, now)
            for number, entry in enumerate(page.entries, 1):
                position = entry.sequence
                if not entry.is_expired(now) and _is_wanted(entry, caller, type):
                    events.append(entry.event)
                if len(events) == limit:
                    return FeedPage(events, position, page.has_more or number < len(page.entries))
            if not page.has_more or not page.entries:
                return FeedPage(events, position, page.has_more)
        return FeedPage(events, position, True)


def _is_wanted(entry: LogEntry, caller: Caller, type: str | None) -> bool:
    is_type = type is None or entry.type == type
    return is_type and (caller.user_id is None or entry.user_id == caller.user_id)
