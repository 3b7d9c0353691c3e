"""Price checks in DynamoDB: the last check without trades, and the portfolios due for a check."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, pack, unpack
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.pages import Page
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.rebalancing.model import Reason
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.paging import Index, query_index

CALENDAR_DUE = Index("calendar_due", "calendar_due_pk", "calendar_due_sk")
LAST_CHECK = "CHECK#last"


class LastCheck(Struct, frozen=True):
    """The newest check of a portfolio without trades, and the reason."""

    tenant_id: str
    portfolio_id: str
    trigger: str
    at: datetime
    reason: Reason

    def to_item(self) -> Item:
        """Return the plain values of the item. No version guards it: the newest check wins."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, LAST_CHECK),
            "tenant_id": self.tenant_id,
            "trigger": self.trigger,
            "at": format_time(self.at),
            "reason": pack(self.reason),
            FORM: 1,
            "version": None,
        }

    @classmethod
    def from_item(cls, item: Item) -> "LastCheck":
        """Return the check of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                reason, at = unpack(item["reason"], Reason), parse_time(item["at"])
                return cls(item["tenant_id"], portfolio_id_in(item["pk"]), item["trigger"], at, reason)
            case version:
                raise UnknownForm("last check", version)


class CheckStore(PortfolioStore, frozen=True):
    """Adds the readers of checks to the store of the aggregate."""

    def last_check(self, tenant_id: str, portfolio_id: str) -> LastCheck | None:
        """Return the newest check without trades, None before the first."""
        item = self.item(tenant_id, portfolio_id, LAST_CHECK)
        return LastCheck.from_item(item) if item else None

    def due(self, shard: str, now: datetime, *, limit: int, after: Any) -> Page[Portfolio]:
        """Return a page of the portfolios in a shard that are due for a check, the longest waiting first."""
        condition = ("#s <= :now", {":now": format_time(now)})
        page = query_index(
            self.client,
            self.table,
            CALENDAR_DUE,
            f"DUE#{shard}",
            condition,
            limit=limit,
            after=after,
            newest_first=False,
        )
        return page.map(Portfolio.from_item)
