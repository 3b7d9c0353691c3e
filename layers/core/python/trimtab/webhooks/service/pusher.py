"""Pushing of logged events to the WebSocket connections of a tenant."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from msgspec import Struct

from trimtab.kernel.clock import Clock
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.adapters.event_log import EventLog
from trimtab.webhooks.adapters.sockets import ConnectionGone, PushFailed, Sockets
from trimtab.webhooks.domain.connections import Connection
from trimtab.webhooks.domain.event_log import LogEntry

MAX_PUSH_SECONDS = 20
"""The time after which no further connection is served; the rest of the pushes is dropped."""


class Pusher(Struct, frozen=True):
    """Pushes events, best effort: the log has every event, a push only says early that there is one."""

    log: EventLog
    store: ConnectionStore
    sockets: Sockets
    clock: Clock
    threads: int = 8

    def push(self, tenant_id: str, sequences: Sequence[int]) -> int:
        """Push the entries to each connection that wants them, in their order, and return the number of pushes.

        Connections that have expired are closed; connections that are gone or whose token has expired are forgotten.
        """
        end = self.clock() + timedelta(seconds=MAX_PUSH_SECONDS)
        connections = self.store.all(tenant_id)
        entries = (
            sorted(self.log.entries(tenant_id, sequences), key=lambda entry: entry.sequence) if connections else []
        )
        with ThreadPoolExecutor(self.threads) as pool:
            pushed = sum(pool.map(partial(self._push, entries, end), connections))
        count("EventsPushed", pushed)
        return pushed

    def _push(self, entries: Sequence[LogEntry], end: datetime, connection: Connection) -> int:
        """Push to one connection and return the number of pushes; no failure of a connection raises."""
        try:
            if connection.is_expired(self.clock()):
                self.sockets.close(connection.connection_id)
                raise ConnectionGone
            return self._push_wanted([entry for entry in entries if connection.wants(entry)], end, connection)
        except ConnectionGone:
            self.store.delete(connection)
        except PushFailed as failure:
            count("FailedPushes")
            logger.info("push failed", connection_id=connection.connection_id, reason=str(failure))
        return 0

    def _push_wanted(self, entries: Sequence[LogEntry], end: datetime, connection: Connection) -> int:
        for number, entry in enumerate(entries):
            if self.clock() >= end:
                count("FailedPushes", len(entries) - number)
                return number
            self.sockets.post(connection.connection_id, entry.event)
        return len(entries)
