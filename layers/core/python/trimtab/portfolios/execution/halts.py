"""Halt switches in the table `portfolios`: one item for all tenants, one per tenant.

The item of a tenant also holds the incidents that the automatic controls count. So an incident is counted and the
tenant halted in one conditional write.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.events import Event, pack_events
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, pack, unpack
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.retry import retry_on_conflict
from trimtab.portfolios.execution.halt_controls import (
    REMEDY,
    HaltBounds,
    HaltControl,
    IncidentIds,
    Incidents,
    explain_halt,
)
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import Item, Key
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PARTITION, ALL_TENANTS, TENANT_PREFIX = "HALT", "ALL_TENANTS", "T#"
AUTOMATIC = "automatic"
"""Author of a halt that a control switched on."""


class Halt(Struct, frozen=True):
    """A halt switch that is on: no order of the tenant (None: of any tenant) is sent to a broker.

    `by` is the person who switched the halt on; `control` is set where a control did.
    """

    tenant_id: str | None
    reason: str
    by: str
    at: datetime
    control: HaltControl | None = None

    def to_attributes(self) -> Item:
        """Return the attributes of the switch's item, without its keys and versions."""
        attributes = {"reason": self.reason, "by": self.by, "at": format_time(self.at)}
        return attributes | ({"control": self.control.value} if self.control else {})

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
                control = HaltControl(item["control"]) if "control" in item else None
                return cls(tenant_id, item["reason"], item["by"], parse_time(item["at"]), control)
            case version:
                raise UnknownForm("halt switch", version)


class HaltStore(Struct, frozen=True):
    """Halt switches in DynamoDB. A switch that is off has an item without a reason, or no item."""

    client: "DynamoDBClient"
    table: str
    bounds: HaltBounds = HaltBounds()

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
        self._update(
            halt.tenant_id, lambda before: {**_incidents_attribute(_incidents_of(before)), **halt.to_attributes()}
        )

    def switch_off(self, tenant_id: str | None, now: datetime) -> None:
        """Switch a halt off; has no effect if it is off. The controls count from now on."""

        def lifted(before: Item | None) -> Item | None:
            if before is None:
                return None
            incidents = _incidents_of(before)
            return _incidents_attribute(Incidents(incidents.seen, now)) if incidents.seen else {}

        self._update(tenant_id, lifted)

    def record(self, tenant_id: str, incidents: IncidentIds, now: datetime) -> None:
        """Count incidents by their ids, and halt the tenant where the bound of a control is reached.

        Idempotent by id within the window. Nothing is counted while the tenant is halted. Raises `Conflict` after too
        many concurrent writes.
        """
        found = {control: ids for control, ids in incidents.items() if ids and self.bounds.of(control)}
        if not found:
            return

        def counted(before: Item | None) -> Item | None:
            known = added = _incidents_of(before)
            for control, ids in found.items():
                added = added.add(control, ids, now, self.bounds)
            if added is known or (before is not None and "reason" in before):
                return None
            attributes = _incidents_attribute(added)
            over = next((control for control in found if added.is_over(control, now, self.bounds)), None)
            if over is None:
                return attributes
            return {**attributes, **self._halt(tenant_id, over, added.count(over, now, self.bounds), now)}

        self._update(tenant_id, counted)

    def _halt(self, tenant_id: str, control: HaltControl, count: int, now: datetime) -> Item:
        """Return the attributes of an automatic halt, with the event that alerts an operator."""
        reason = explain_halt(control, count, self.bounds)
        details = {"control": control.value, "count": count, "window_seconds": self.bounds.window_seconds}
        event = Event("orders.halted", {**details, "reason": reason, "remedy": REMEDY})
        return {
            **Halt(tenant_id, reason, AUTOMATIC, now, control).to_attributes(),
            "tenant_id": tenant_id,
            "updated_at": format_time(now),
            "events": pack_events([event]),
        }

    def _update(self, tenant_id: str | None, attributes_after: Callable[[Item | None], Item | None]) -> None:
        """Write the item that follows from the stored one, after any concurrent write; None writes nothing."""

        def attempt() -> None:
            found = batch_get(self.client, self.table, [halt_key(tenant_id)], consistent=True)
            before = found[0] if found else None
            attributes = attributes_after(before)
            if attributes is None:
                return
            version = (before["version"] if before else 0) + 1
            put_item(self.client, self.table, {**halt_key(tenant_id), **attributes, FORM: 1, "version": version})

        retry_on_conflict(attempt)


def _incidents_of(item: Mapping[str, Any] | None) -> Incidents:
    return unpack(item["incidents"], Incidents) if item and "incidents" in item else Incidents()


def _incidents_attribute(incidents: Incidents) -> Item:
    return {"incidents": pack(incidents)} if incidents.seen else {}


def halt_key(tenant_id: str | None) -> Key:
    """Return the key of a switch: that of a tenant, or of all tenants (None)."""
    return {"pk": PARTITION, "sk": ALL_TENANTS if tenant_id is None else TENANT_PREFIX + tenant_id}
