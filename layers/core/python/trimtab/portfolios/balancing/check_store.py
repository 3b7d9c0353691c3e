"""Price checks in DynamoDB: the last one that decided nothing, and the portfolios that are due for one."""

import json
from datetime import datetime
from typing import Any

from msgspec import Struct

from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.pages import Page
from trimtab.portfolios.portfolio.keys import item_key
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.rebalancing.model import Why
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.paging import Index, query_index

CALENDAR_DUE = Index("calendar_due", "calendar_due_pk", "calendar_due_sk")
LAST_CHECK = "CHECK#last"


class CheckNote(Struct, frozen=True):
    """A check that decided nothing: the newest one of a portfolio is kept, with its reason."""

    tenant_id: str
    portfolio_id: str
    trigger: str
    at: datetime
    why: Why

    def to_item(self) -> Item:
        """Return the plain values of the note's item. No version guards a note: the newest one wins."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, LAST_CHECK),
            "trigger": self.trigger,
            "at": format_time(self.at),
            "why": json.dumps([self.why.rule, self.why.detail, self.why.facts], separators=(",", ":")),
            "version": None,
        }


class CheckStore(PortfolioStore, frozen=True):
    """Adds the readers of checks to the store of the aggregate."""

    def last_check(self, tenant_id: str, portfolio_id: str) -> CheckNote | None:
        """Return the newest check that decided nothing."""
        item = self.item(tenant_id, portfolio_id, LAST_CHECK)
        if item is None:
            return None
        why = Why(*json.loads(item["why"]))
        return CheckNote(tenant_id, portfolio_id, item["trigger"], parse_time(item["at"]), why)

    def due(self, shard: str, now: datetime, *, limit: int, after: Any) -> Page[Portfolio]:
        """Return a page of a shard's portfolios that are due for a check, the longest waiting first."""
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
