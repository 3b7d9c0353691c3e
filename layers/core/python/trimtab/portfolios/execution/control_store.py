"""Stored state of the pre-trade controls in the table `portfolios`.

The planned notional of a tenant, the claim of a shared account, and the messages sent to the broker in a minute.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.stored_form import FORM
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.execution.control_records import (
    CONTROL_PARTITION,
    AccountClaim,
    TenantNotional,
    claim_key,
    notional_key,
)
from trimtab.portfolios.execution.trading_controls import TradingControls
from trimtab.runtime.dynamodb.client import Item, get_item
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class ControlStore(Struct, frozen=True):
    """Reader of the stored state, and counter of the messages to the broker."""

    client: "DynamoDBClient"
    table: str
    controls: TradingControls = TradingControls()

    def tenant_notional(self, tenant_id: str, now: datetime) -> TenantNotional | None:
        """Return the planned notional of the tenant's day, None where the control is off."""
        if not self.controls.max_tenant_notional:
            return None
        item = get_item(self.client, self.table, notional_key(tenant_id, now.date()))
        if item is None:
            return TenantNotional(tenant_id, now.date(), version=0)
        return TenantNotional.from_item(tenant_id, now.date(), item)

    def claim(self, account: str) -> AccountClaim | None:
        """Return the claim of a shared account, None where no portfolio has planned through it."""
        item = get_item(self.client, self.table, claim_key(account))
        return AccountClaim.from_item(item) if item else None

    def reserve_messages(self, wanted: int, now: datetime) -> int:
        """Reserve messages to the broker in the present minute; return the number that may be sent, at most `wanted`.

        Under contention nothing is reserved: the caller tries again after a pause.
        """
        limit = self.controls.max_messages_per_minute
        if not limit:
            return wanted
        key, minute = {"pk": CONTROL_PARTITION, "sk": "MESSAGES"}, now.strftime("%Y-%m-%dT%H:%M")
        before: Item = get_item(self.client, self.table, key) or {}
        sent = before.get("sent", 0) if before.get("minute") == minute else 0
        granted = max(0, min(wanted, limit - sent))
        counted = {**key, "minute": minute, "sent": sent + granted, FORM: 1, "version": before.get("version", 0) + 1}
        if not granted:
            return 0
        try:
            put_item(self.client, self.table, counted)
        except ConditionFailed:
            return 0
        return granted
