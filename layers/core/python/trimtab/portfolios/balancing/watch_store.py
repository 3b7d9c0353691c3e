"""The table `watches`: for each symbol, at which prices which portfolios want to be looked at.

The edges are texts of fixed width, so that the two local indexes sort them as numbers; behind them stand the time of
the quote that the evaluation saw, if there was one, and the epoch, so that a keys-only entry tells them.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time, parse_time
from trimtab.portfolios.balancing.price_bounds import Edges, edge_text
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.runtime.dynamodb.client import Item, Key, serialize
from trimtab.runtime.dynamodb.paging import Index, query_keys
from trimtab.runtime.dynamodb.writes import transact

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

UPPER = Index("upper_edge", "pk", "upper_edge")
LOWER = Index("lower_edge", "pk", "lower_edge")
MAX_ACTIONS = 100


class Crossed(Struct, frozen=True):
    """A portfolio that has a watch which a quote crossed, and the newest epoch of those watches."""

    tenant_id: str
    portfolio_id: str
    epoch: int


class WatchStore(Struct, frozen=True):
    """The watches in DynamoDB. A symbol has `shards` partitions; readers and writers must agree on how many."""

    client: "DynamoDBClient"
    table: str
    shards: int

    def write(
        self, portfolio: Portfolio, edges: Mapping[str, Edges], seen: Mapping[str, Quote], dropped: Iterable[str]
    ) -> None:
        """Writes the portfolio's watches of its present epoch, which has seen these quotes, and takes away those of the
        dropped symbols.

        Raises `ConditionFailed` where a newer evaluation has written one of them: then that one's count.

        In transactions of a hundred rows.
        """
        epoch = portfolio.watching.begun
        actions = [
            self._put(portfolio, symbol, each, seen.get(symbol), epoch) for symbol, each in sorted(edges.items())
        ]
        actions += [self._delete(portfolio, symbol, epoch) for symbol in sorted(dropped)]
        for start in range(0, len(actions), MAX_ACTIONS):
            transact(self.client, actions[start : start + MAX_ACTIONS])

    def crossed(self, symbol: str, price: Decimal, as_of: datetime) -> Iterator[Crossed]:
        """The watches that the price crosses, read consistently, without those whose epoch has seen this quote.

        A row that both edges name is given twice.
        """
        text = edge_text(price)
        for shard in range(self.shards):
            partition = f"SYM#{symbol}#{shard}"
            for index, condition in (
                (UPPER, ("#s <= :price", {":price": f"{text}~"})),  # `~` sorts behind every time and epoch
                (LOWER, ("#s >= :price", {":price": text})),
            ):
                for row in query_keys(self.client, self.table, index, partition, condition):
                    if not _has_seen(row[index.sort], as_of):
                        yield _crossed(row, index)

    def _key(self, portfolio: Portfolio, symbol: str) -> Key:
        shard = int(portfolio.portfolio_id[-4:], 16) % self.shards
        return {"pk": f"SYM#{symbol}#{shard}", "sk": f"{portfolio.tenant_id}#{portfolio.portfolio_id}"}

    def _put(self, portfolio: Portfolio, symbol: str, edges: Edges, seen: Quote | None, epoch: int) -> dict[str, Any]:
        behind = f"{format_time(seen.as_of)}#{epoch}" if seen and seen.as_of else str(epoch)
        item = {
            **self._key(portfolio, symbol),
            "upper_edge": f"{edge_text(edges.upper)}#{behind}",
            "lower_edge": f"{edge_text(edges.lower)}#{behind}",
            "epoch": epoch,
        }
        return {"Put": {"TableName": self.table, "Item": serialize(item), **_over_a_lower(epoch)}}

    def _delete(self, portfolio: Portfolio, symbol: str, epoch: int) -> dict[str, Any]:
        key = serialize(self._key(portfolio, symbol))
        return {"Delete": {"TableName": self.table, "Key": key, **_over_a_lower(epoch)}}


def _over_a_lower(epoch: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "attribute_not_exists(pk) OR epoch < :epoch",
        "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}},
    }


def _has_seen(sort: str, as_of: datetime) -> bool:
    """Whether the evaluation that wrote the row saw this quote or a newer one; one without a quote has seen none."""
    seen = sort.split("#")[1:-1]
    return bool(seen) and parse_time(seen[0]) >= as_of


def _crossed(row: Item, index: Index) -> Crossed:
    tenant_id, _, portfolio_id = row["sk"].rpartition("#")
    return Crossed(tenant_id, portfolio_id, int(row[index.sort].rpartition("#")[2]))
