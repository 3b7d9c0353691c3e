"""Connecting, subscribing and disconnecting of WebSocket clients."""

from msgspec import Struct

from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Conflict, NotFound
from trimtab.kernel.retry import retry_on_conflict
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.domain.connections import MAX_CONNECTIONS, Connection, Subscription, new_connection


class Connections(Struct, frozen=True):
    """Keeps the connections of tenants."""

    store: ConnectionStore
    clock: Clock

    def connect(self, caller: Caller, connection_id: str, token_expires_at: int) -> None:
        """Store a new connection. Raises `Forbidden` without the scope, `Conflict` for one connection too many."""
        caller.require("events:read")
        now = self.clock()
        open_ones = [each for each in self.store.all(caller.tenant_id) if not each.is_expired(now)]
        if len(open_ones) >= MAX_CONNECTIONS:
            raise Conflict("too_many_connections", f"A tenant has at most {MAX_CONNECTIONS} connections. Close some.")
        self.store.create(new_connection(caller.tenant_id, connection_id, caller.user_id, token_expires_at, now))

    def subscribe(self, connection_id: str, subscription: Subscription) -> None:
        """Add a subscription to a connection. Raises `NotFound` for an ended connection, `Forbidden` or `Conflict`."""

        def attempt() -> None:
            connection = self._open(connection_id)
            if subscription.user_id is not None:
                _caller(connection).require_acting_for(subscription.user_id)
            changed = connection.subscribe(subscription)
            if changed is not connection:
                self.store.put(changed)

        retry_on_conflict(attempt)

    def disconnect(self, connection_id: str) -> None:
        """Forget a connection; a repeat has no effect."""
        connection = self.store.get(connection_id)
        if connection:
            self.store.delete(connection)

    def _open(self, connection_id: str) -> Connection:
        connection = self.store.get(connection_id)
        if connection is None or connection.is_expired(self.clock()):
            raise NotFound("connection_ended", "The connection has expired. Connect again with a new token.")
        return connection


def _caller(connection: Connection) -> Caller:
    return Caller(connection.tenant_id, frozenset(), connection.user_id)
