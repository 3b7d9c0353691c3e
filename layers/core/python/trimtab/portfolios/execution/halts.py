"""Halt switches in the table `portfolios`: one item for all tenants, one per tenant."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.stored_form import FORM, UnknownForm, form_version
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.retry import retry_on_conflict
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import Item, Key, get_item
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION, ALL_TENANTS, TENANT_PREFIX = "HALT", "ALL_TENANTS", "T#"


class Halt(Struct, frozen=True):
    """A halt switch that is on: no order of the tenant (None: of any tenant) is sent to a broker."""

    tenant_id: str | None
    reason: str
    by: str
    at: datetime

    def to_attributes(self) -> Item:
        """Return the attributes of the switch's item, without its keys and versions."""
        return {"reason": self.reason, "by": self.by, "at": format_time(self.at)}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Halt | None":
        """Return the halt of an item, None for a switch that is off.

        Raises `UnknownForm` for an item of a newer release.
        """
        match form_version(item):
            case 1:
                if "reason" not in item:
                    return None
                tenant_id = None if item["sk"] == ALL_TENANTS else item["sk"].removeprefix(TENANT_PREFIX)
                return cls(tenant_id, item["reason"], item["by"], parse_time(item["at"]))
            case version:
                raise UnknownForm("halt switch", version)


class HaltStore(Struct, frozen=True):
    """Halt switches in DynamoDB. A switch that is off has an item without a reason, or no item."""

    client: "DynamoDBClient"
    table: str

    def reason(self, tenant_id: str) -> str | None:
        """Return why the orders of the tenant are halted, None if they are not; one strongly consistent read."""
        halts = self.active(tenant_id)
        return halts[0].reason if halts else None

    def active(self, tenant_id: str) -> list[Halt]:
        """Return the switches that are on for the tenant, that of all tenants first."""
        keys = [halt_key(None), halt_key(tenant_id)]
        items = batch_get(self.client, self.table, keys, consistent=True)
        halts = [halt for item in items if (halt := Halt.from_item(item))]
        return sorted(halts, key=lambda halt: halt.tenant_id or "")

    def switch_on(self, halt: Halt) -> None:
        """Switch a halt on; if it is on already, replace its reason."""
        self._put(halt.tenant_id, halt.to_attributes())

    def switch_off(self, tenant_id: str | None) -> None:
        """Switch a halt off; has no effect if it is off."""
        self._put(tenant_id, {})

    def _put(self, tenant_id: str | None, attributes: Item) -> None:
        """Write the item after any concurrent write: the last operator wins."""

        def attempt() -> None:
            before = get_item(self.client, self.table, halt_key(tenant_id))
            if before is None and not attributes:
                return
            version = (before["version"] if before else 0) + 1
            put_item(self.client, self.table, {**halt_key(tenant_id), **attributes, FORM: 1, "version": version})

        retry_on_conflict(attempt)


def halt_key(tenant_id: str | None) -> Key:
    """Return the key of a switch: that of a tenant, or of all tenants (None)."""
    return {"pk": PARTITION, "sk": ALL_TENANTS if tenant_id is None else TENANT_PREFIX + tenant_id}
