"""Halt switches in the table `portfolios`: one item for all tenants, one per tenant."""

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import Item, Key, get_item
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class Halt(Struct, frozen=True):
    """No order is sent to a broker while it stands: those of one tenant, or (without one) of all."""

    tenant_id: str | None
    reason: str
    by: str
    at: datetime


class HaltStore(Struct, frozen=True):
    """The halt switches in DynamoDB. A switch that is off has an item without a reason, or none."""

    client: "DynamoDBClient"
    table: str

    def reason(self, tenant_id: str) -> str | None:
        """Why the tenant's orders are halted, None if they are not. One consistent read of both switches."""
        standing = self.standing(tenant_id)
        return standing[0].reason if standing else None

    def standing(self, tenant_id: str) -> list[Halt]:
        """The switches that are on for the tenant. that of everything first."""
        keys = [_key(None), _key(tenant_id)]
        found = batch_get(self.client, self.table, keys, consistent=True)
        return sorted((_to_halt(item) for item in found if "reason" in item), key=lambda it: it.tenant_id or "")

    def halt(self, halt: Halt) -> None:
        """Switches it on; a second time only the reason changes."""
        self._put(halt.tenant_id, {"reason": halt.reason, "by": halt.by, "at": format_time(halt.at)})

    def lift(self, tenant_id: str | None) -> None:
        """Switches it off; nothing happens where it is off."""
        self._put(tenant_id, {})

    def _put(self, tenant_id: str | None, values: Item) -> None:
        """Of two operators at once both are heard, the later one last."""

        def attempt() -> None:
            before = get_item(self.client, self.table, _key(tenant_id))
            if before is None and not values:
                return
            version = (before["version"] if before else 0) + 1
            put_item(self.client, self.table, {**_key(tenant_id), **values, "version": version})

        retrying_on_conflict(attempt)


def _key(tenant_id: str | None) -> Key:
    return {"pk": "HALT", "sk": "EVERYTHING" if tenant_id is None else f"T#{tenant_id}"}


def _to_halt(item: Item) -> Halt:
    tenant_id = None if item["sk"] == "EVERYTHING" else item["sk"].removeprefix("T#")
    return Halt(tenant_id, item["reason"], item["by"], parse_time(item["at"]))
