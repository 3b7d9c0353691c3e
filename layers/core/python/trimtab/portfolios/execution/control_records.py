"""Records of the pre-trade controls: the planned notional of a tenant, and the claim of a shared account.

Both are written in the transaction that stores a plan, each on the version before.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes
from trimtab.kernel.money import ZERO, plain

CONTROL_PARTITION = "CONTROL"


class TenantNotional(Record, frozen=True):
    """Value of the orders that a tenant's rebalances planned on a UTC day; each plan counts once, with its journal."""

    tenant_id: str
    day: date
    notional: Decimal = ZERO

    def add(self, notional: Decimal) -> "TenantNotional":
        """Return the next version with the value of a plan added."""
        return TenantNotional(self.tenant_id, self.day, self.notional + notional, version=self.version + 1)

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item."""
        return {**notional_key(self.tenant_id, self.day), "notional": plain(self.notional), **self.record_attributes()}

    @classmethod
    def from_item(cls, tenant_id: str, day: date, item: Mapping[str, Any]) -> "TenantNotional":
        """Return the notional of an item; raises `UnknownForm` for an item of a newer release."""
        if form_version(item) != 1:
            raise UnknownForm("planned notional of a tenant", form_version(item))
        return cls(tenant_id, day, Decimal(item["notional"]), version=item["version"])


class AccountClaim(Record, frozen=True):
    """The one portfolio that trades through a shared account at the broker."""

    account: str
    tenant_id: str
    portfolio_id: str

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item."""
        owner = {"tenant_id": self.tenant_id, "portfolio_id": self.portfolio_id}
        return {**claim_key(self.account), **owner, **self.record_attributes()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "AccountClaim":
        """Return the claim of an item; raises `UnknownForm` for an item of a newer release."""
        if form_version(item) != 1:
            raise UnknownForm("account claim", form_version(item))
        return from_attributes({**item, "account": item["sk"].removeprefix("ACCOUNT#")}, cls)


def notional_key(tenant_id: str, day: date) -> dict[str, str]:
    """Return the key of the planned notional of a tenant's day."""
    return {"pk": f"{CONTROL_PARTITION}#{tenant_id}", "sk": f"NOTIONAL#{day.isoformat()}"}


def claim_key(account: str) -> dict[str, str]:
    """Return the key of the claim of a shared account."""
    return {"pk": CONTROL_PARTITION, "sk": f"ACCOUNT#{account}"}
