"""The table `watches`: for each symbol, at which prices which portfolios want to be looked at.

The edges are texts of fixed width, so that the two local indexes sort them as numbers; the epoch stands behind them,
so that a keys-only entry tells it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trimtab.portfolios.domain.portfolio import Portfolio
from trimtab.portfolios.domain.watching import Edges, edge_text
from trimtab.portfolios.service.ports import Crossed
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

UPPER = dynamo.Index("upper_edge", "pk", "upper_edge")
LOWER = dynamo.Index("lower_edge", "pk", "lower_edge")
MAX_ACTIONS = 100


@dataclass(frozen=True, slots=True)
class DynamoWatches:
    """The watches in DynamoDB. A symbol has `shards` partitions; readers and writers must agree on how many."""

    client: "DynamoDBClient"
    table: str
    shards: int

    def write(self, portfolio: Portfolio, edges: Mapping[str, Edges], dropped: Iterable[str]) -> None:
        """See `Watches.write`: in transactions of a hundred rows."""
        epoch = portfolio.watching.begun
        actions = [self._put(portfolio, symbol, each, epoch) for symbol, each in sorted(edges.items())]
        actions += [self._delete(portfolio, symbol, epoch) for symbol in sorted(dropped)]
        for start in range(0, len(actions), MAX_ACTIONS):
            dynamo.transact(self.client, actions[start : start + MAX_ACTIONS])

    def crossed(self, symbol: str, price: Decimal) -> Iterator[Crossed]:
        """See `Watches.crossed`. A row that both edges name is given twice."""
        text = edge_text(price)
        for shard in range(self.shards):
            partition = f"SYM#{symbol}#{shard}"
            for index, condition in (
                (UPPER, ("#s <= :price", {":price": f"{text}~"})),  # `~` sorts behind every epoch
                (LOWER, ("#s >= :price", {":price": text})),
            ):
                for row in dynamo.query_keys(self.client, self.table, index, partition, condition):
                    yield _crossed(row, index)

    def _key(self, portfolio: Portfolio, symbol: str) -> dynamo.Key:
        shard = int(portfolio.portfolio_id[-4:], 16) % self.shards
        return {"pk": f"SYM#{symbol}#{shard}", "sk": f"{portfolio.tenant_id}#{portfolio.portfolio_id}"}

    def _put(self, portfolio: Portfolio, symbol: str, edges: Edges, epoch: int) -> dict[str, Any]:
        item = {
            **self._key(portfolio, symbol),
            "upper_edge": f"{edge_text(edges.upper)}#{epoch}",
            "lower_edge": f"{edge_text(edges.lower)}#{epoch}",
            "epoch": epoch,
        }
        return {"Put": {"TableName": self.table, "Item": dynamo.to_item(item), **_over_a_lower(epoch)}}

    def _delete(self, portfolio: Portfolio, symbol: str, epoch: int) -> dict[str, Any]:
        key = dynamo.to_item(self._key(portfolio, symbol))
        return {"Delete": {"TableName": self.table, "Key": key, **_over_a_lower(epoch)}}


def _over_a_lower(epoch: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "attribute_not_exists(pk) OR epoch < :epoch",
        "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}},
    }


def _crossed(row: dynamo.Item, index: dynamo.Index) -> Crossed:
    tenant_id, _, portfolio_id = row["sk"].rpartition("#")
    return Crossed(tenant_id, portfolio_id, int(row[index.sort].rpartition("#")[2]))
