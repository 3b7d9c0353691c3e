"""Store of the portfolio aggregate, the only writer of the table `portfolios`.

The store knows portfolios only: every other record of the partition writes and reads itself, and the stores of the
higher modules add their readers.
"""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.portfolio.attention import StuckRebalance
from trimtab.portfolios.portfolio.keys import (
    PORTFOLIO,
    attention_partition,
    item_key,
    partition_of,
    portfolio_id_in,
    tenant_partition,
    user_partition,
)
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.names import claimed_by, portfolio_in
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import Item, get_item, serialize
from trimtab.runtime.dynamodb.paging import Index, query_index, query_keys
from trimtab.runtime.dynamodb.writes import put_item, transact, versioned_delete, versioned_put

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_TIME = Index("by_time", "pk", "by_time")
BY_USER = Index("by_user", "by_user_pk", "by_user_sk")
BY_TENANT = Index("by_tenant", "by_tenant_pk", "by_tenant_sk")
PENDING_JOBS = Index("pending_jobs", "pending_jobs_pk", "pending_jobs_sk")
"""Jobs that wait for a worker, by shard (`OPEN#…`); portfolios and stuck rebalances that need a person, by tenant."""


class Storable(Protocol):
    """A value stored as one item. The `version` of the item guards the write; None leaves the write unguarded."""

    def to_item(self) -> Item:
        """Return the plain values of the item; None stands for an absent attribute."""


class PortfolioStore(Struct, frozen=True):
    """Reader of portfolios, and writer of every record of the table. Reads are strongly consistent."""

    client: "DynamoDBClient"
    table: str

    def portfolio(self, tenant_id: str, portfolio_id: str) -> Portfolio | None:
        """Return the portfolio, None if there is none."""
        return portfolio_in(self.item(tenant_id, portfolio_id))

    def portfolio_named(self, tenant_id: str, user_id: str, name: str) -> Portfolio | None:
        """Return the user's portfolio that has or had the name, None if there is none."""
        item = self.item(tenant_id, portfolio_id_of(tenant_id, user_id, name))
        owner = claimed_by(item)
        return self.portfolio(tenant_id, owner) if owner else portfolio_in(item)

    def insert(self, portfolio: Portfolio, *entries: Storable) -> Portfolio | None:
        """Store a first version with entries, unless a portfolio of the user has or had the name: return that one."""
        existing = self.insert_item(portfolio, *entries)
        owner = claimed_by(existing)
        return self.portfolio(portfolio.tenant_id, owner) if owner else portfolio_in(existing)

    def portfolios(self, tenant_id: str, user_id: str | None, *, limit: int, after: Any) -> Page[Portfolio]:
        """Return a page of the user's portfolios, or of the tenant's, newest first.

        The indexes are eventually consistent: a new portfolio appears a moment after its creation.
        """
        index = BY_TENANT if user_id is None else BY_USER
        partition = tenant_partition(tenant_id) if user_id is None else user_partition(tenant_id, user_id)
        page = query_index(self.client, self.table, index, partition, limit=limit, after=after)
        return page.map(Portfolio.from_item)

    def portfolio_ids_of(self, tenant_id: str, user_id: str, limit: int) -> list[str]:
        """Return the ids of a user's portfolios, closed ones included, at most `limit`."""
        every = ("#s >= :first", {":first": "0"})
        keys = query_keys(self.client, self.table, BY_USER, user_partition(tenant_id, user_id), every, consistent=False)
        return [portfolio_id_in(key["pk"]) for key in islice(keys, limit)]

    def portfolios_with_attention(
        self, tenant_id: str, *, limit: int, after: Any
    ) -> Page[tuple[Portfolio, StuckRebalance | None]]:
        """Return a page of the tenant's portfolios that need a person, the longest waiting first.

        A portfolio with a stuck rebalance may be on two pages: with the rebalance, and with its other reasons.
        """
        partition = attention_partition(tenant_id)
        page = query_index(
            self.client, self.table, PENDING_JOBS, partition, limit=limit, after=after, newest_first=False
        )
        stuck = {item["pk"]: StuckRebalance.from_item(item) for item in page.items if item["sk"] != PORTFOLIO}
        found = {item["pk"]: item for item in page.items if item["sk"] == PORTFOLIO}
        keys = [{"pk": pk, "sk": PORTFOLIO} for pk in stuck if pk not in found]
        found |= {item["pk"]: item for item in batch_get(self.client, self.table, keys, consistent=True)}
        ordered = dict.fromkeys(item["pk"] for item in page.items)
        return Page([(Portfolio.from_item(found[pk]), stuck.get(pk)) for pk in ordered], page.next_position)

    def put(self, *records: Storable, deleted: Sequence[Storable] = ()) -> None:
        """Store all records or none, each on the version before, and delete others in the versions that were read.

        Raises `ConditionFailed`, and changes nothing, where another version is stored.
        """
        items = [record.to_item() for record in records]
        if len(items) > 1 or deleted:
            deletes = [{"Delete": versioned_delete(self.table, record.to_item())} for record in deleted]
            transact(self.client, [*({"Put": self._put_of(item)} for item in items), *deletes])
        elif items[0]["version"] is None:
            self.client.put_item(**self._put_of(items[0]))
        else:
            put_item(self.client, self.table, items[0])

    def _put_of(self, item: Item) -> Any:
        if item["version"] is None:
            return {"TableName": self.table, "Item": serialize(item)}
        return versioned_put(self.table, item)

    # For the stores of the modules above -------------------------------------------------------------------------

    def insert_item(self, record: Storable, *more: Storable) -> Item | None:
        """Store a first version, with further records, unless an item exists at the key; return that item then."""
        try:
            self.put(record, *more)
        except ConditionFailed as refused:
            if 0 not in refused.failed:
                raise  # a transaction holds the item: whether the item will exist is not known yet
            existing: Item = refused.failed[0]
            return existing
        return None

    def item(self, tenant_id: str, portfolio_id: str, *sort_key: str) -> Item | None:
        """Return the portfolio's item, or the item at another sort key of the partition."""
        return get_item(self.client, self.table, item_key(tenant_id, portfolio_id, *sort_key))

    def portfolio_and_item(
        self, tenant_id: str, portfolio_id: str, sort_key: str
    ) -> tuple[Portfolio | None, Item | None]:
        """Return the portfolio and another item of the partition, in one call."""
        keys = [item_key(tenant_id, portfolio_id), item_key(tenant_id, portfolio_id, sort_key)]
        found = {item["sk"]: item for item in batch_get(self.client, self.table, keys, consistent=True)}
        portfolio, other = (found.get(key["sk"]) for key in keys)
        return portfolio_in(portfolio), other

    def query_items(
        self,
        index: Index,
        tenant_id: str,
        portfolio_id: str,
        condition: tuple[str, dict[str, str]],
        *,
        limit: int,
        after: Any,
        consistent: bool = False,
        newest_first: bool = True,
    ) -> Page[Item]:
        """Return a page of the portfolio's items in a local index, in the order of the index; see `query_index`."""
        partition = partition_of(tenant_id, portfolio_id)
        return query_index(
            self.client,
            self.table,
            index,
            partition,
            condition,
            limit=limit,
            after=after,
            consistent=consistent,
            newest_first=newest_first,
        )
