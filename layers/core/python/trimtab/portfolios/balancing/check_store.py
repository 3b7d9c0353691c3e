"""What checks keep in the table `portfolios`: the last one that decided nothing, and when time asks for the next."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.kernel.clock import format_time, parse_time
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import CheckNote, Listing
from trimtab.portfolios.rebalancing.model import Why
from trimtab.portfolios.store import from_portfolio, portfolio_key, to_portfolio
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

CALENDAR_DUE = dynamo.Index("calendar_due", "calendar_due_pk", "calendar_due_sk")
LAST_CHECK = "CHECK#last"


class DynamoChecks(Struct, frozen=True):
    """The notes of checks in DynamoDB. A note is not guarded by itself: the portfolio beside it is."""

    client: "DynamoDBClient"
    table: str

    def save(self, portfolio: Portfolio, note: CheckNote | None = None) -> None:
        """See `Checks.save`."""
        put = dynamo.guarded_put(self.table, from_portfolio(portfolio))
        if note is None:
            dynamo.put(self.client, self.table, from_portfolio(portfolio))
        else:
            dynamo.transact(self.client, [{"Put": put}, {"Put": {"TableName": self.table, "Item": _item(note)}}])

    def note(self, note: CheckNote) -> None:
        """See `Checks.note`."""
        self.client.put_item(TableName=self.table, Item=_item(note))

    def last(self, tenant_id: str, portfolio_id: str) -> CheckNote | None:
        """See `Checks.last`."""
        item = dynamo.get(self.client, self.table, {**portfolio_key(tenant_id, portfolio_id), "sk": LAST_CHECK})
        if item is None:
            return None
        why = Why(*json.loads(item["why"]))
        return CheckNote(tenant_id, portfolio_id, item["trigger"], parse_time(item["at"]), why)

    def due(self, shard: str, now: datetime, *, limit: int, after: Any) -> Listing[Portfolio]:
        """See `DueStore.due`."""
        condition = ("#s <= :now", {":now": format_time(now)})
        page = dynamo.query(
            self.client,
            self.table,
            CALENDAR_DUE,
            f"DUE#{shard}",
            condition,
            limit=limit,
            after=after,
            newest_first=False,
        )
        return Listing([to_portfolio(item) for item in page.items], page.next_position)


def _item(it: CheckNote) -> Any:
    return dynamo.to_item(
        {
            **portfolio_key(it.tenant_id, it.portfolio_id),
            "sk": LAST_CHECK,
            "trigger": it.trigger,
            "at": format_time(it.at),
            "why": json.dumps([it.why.rule, it.why.detail, it.why.facts], separators=(",", ":")),
        }
    )
