"""WebSocket connections in the table `webhooks`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.runtime.dynamodb.batches import batch_delete
from trimtab.runtime.dynamodb.client import get_item, serialize
from trimtab.runtime.dynamodb.paging import query_range
from trimtab.runtime.dynamodb.writes import put_item, transact, versioned_put
from trimtab.webhooks.domain.connections import (
    CONNECTION,
    MAX_CONNECTIONS,
    Connection,
    connection_key,
    connection_tenant_key,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class ConnectionStore(Struct, frozen=True):
    """Reads and writes connections. Items of connections that ended unnoticed stay until they expire."""

    client: "DynamoDBClient"
    table: str

    def get(self, connection_id: str) -> Connection | None:
        """Return a connection, None for an unknown one."""
        found = get_item(self.client, self.table, connection_tenant_key(connection_id))
        item = get_item(self.client, self.table, connection_key(found["tenant_id"], connection_id)) if found else None
        return Connection.from_item(item) if item else None

    def all(self, tenant_id: str, limit: int = 2 * MAX_CONNECTIONS) -> Sequence[Connection]:
        """Return the connections of a tenant, expired ones included, at most `limit`."""
        pk = connection_key(tenant_id, "")["pk"]
        between = (CONNECTION, f"{CONNECTION}~")
        page = query_range(self.client, self.table, pk, between, limit=limit, newest_first=False)
        return [Connection.from_item(item) for item in page.items]

    def create(self, connection: Connection) -> None:
        """Store a new connection; raises `ConditionFailed` if the id exists."""
        tenant = {"Put": {"TableName": self.table, "Item": serialize(connection.tenant_item())}}
        transact(self.client, [{"Put": versioned_put(self.table, connection.to_item())}, tenant])

    def put(self, connection: Connection) -> None:
        """Store a changed connection (optimistic locking); raises `ConditionFailed`."""
        put_item(self.client, self.table, connection.to_item())

    def delete(self, connection: Connection) -> None:
        """Delete a connection; a repeated delete has no effect."""
        keys = [
            connection_key(connection.tenant_id, connection.connection_id),
            connection_tenant_key(connection.connection_id),
        ]
        batch_delete(self.client, self.table, keys)
