"""Price watches in DynamoDB (table `watches`): for each symbol, the price bounds of every portfolio that needs it.

Two local indexes of keys sort the watches of a symbol by upper and by lower bound. Their sort keys are packed,
`<bound>#<version of the quote seen>#<epoch>`, because a keys-only entry must tell a quote apart from an older one and
the range condition must sort by the bound alone. Another form of these keys would need another index.

Versions of a quote are compared, not times: a withdrawn or corrected price is a new version with an older or equal
time.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.quotes import Quote, StoredPrice
from trimtab.contracts.stored_form import FORM
from trimtab.kernel.money import HIGHEST_PRICE, sortable_price
from trimtab.portfolios.balancing.price_bounds import PriceBounds
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.runtime.dynamodb.client import Item, Key, serialize
from trimtab.runtime.dynamodb.paging import Index, query_keys
from trimtab.runtime.dynamodb.writes import transact

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

UPPER = Index("upper_bound", "pk", "upper_bound")
LOWER = Index("lower_bound", "pk", "lower_bound")
MAX_ACTIONS = 100
"""Actions of one DynamoDB transaction."""
AFTER_ALL = "~"
"""Sorts after every time and epoch that follow a price in a sort key."""


class BoundKey(Struct, frozen=True):
    """Sort key of a watch in an index: the bound, the version of the quote that the evaluation saw, and its epoch.

    `seen` is 0 where the evaluation found no quote of the symbol.
    """

    bound: Decimal
    seen: int
    epoch: int

    def to_text(self) -> str:
        """Return the key; keys sort like their bounds."""
        return f"{sortable_price(self.bound)}#{self.seen}#{self.epoch}"

    @classmethod
    def from_text(cls, text: str) -> "BoundKey":
        """Return the key from the text of `to_text`.

        Keys of form 1 have no version or the time of the quote instead: every quote counts as newer.
        """
        bound, *seen, epoch = text.split("#")
        return cls(Decimal(bound), int(seen[0]) if seen and seen[0].isdecimal() else 0, int(epoch))


class PriceWatch(Struct, frozen=True):
    """The watch of a portfolio on a symbol, written in an epoch that saw this version of the quote (0: no quote)."""

    tenant_id: str
    portfolio_id: str
    symbol: str
    bounds: PriceBounds
    seen: int
    epoch: int

    def to_item(self, shards: int) -> Item:
        """Return the plain values of the item; `shards` is the number of partitions of a symbol."""
        return {
            **watch_key(self.tenant_id, self.portfolio_id, self.symbol, shards),
            "upper_bound": BoundKey(self.bounds.upper, self.seen, self.epoch).to_text(),
            "lower_bound": BoundKey(self.bounds.lower, self.seen, self.epoch).to_text(),
            "epoch": self.epoch,
            FORM: 2,
        }


class CrossedPortfolio(Struct, frozen=True):
    """A portfolio with a watch that a quote crosses, and the epoch of the watch."""

    tenant_id: str
    portfolio_id: str
    epoch: int


def watch_key(tenant_id: str, portfolio_id: str, symbol: str, shards: int) -> Key:
    """Return the key of a watch: a partition of its symbol, chosen by the portfolio id."""
    return {"pk": f"SYM#{symbol}#{int(portfolio_id[-4:], 16) % shards}", "sk": f"{tenant_id}#{portfolio_id}"}


class WatchStore(Struct, frozen=True):
    """Price watches in DynamoDB. Readers and writers must agree on `shards`, the number of partitions of a symbol."""

    client: "DynamoDBClient"
    table: str
    shards: int

    def write(
        self,
        portfolio: Portfolio,
        bounds: Mapping[str, PriceBounds],
        quotes: Mapping[str, Quote],
        dropped: Iterable[str],
    ) -> None:
        """Replace the watches of a portfolio in the present epoch, and delete the watches of dropped symbols.

        `quotes` are the quotes of the evaluation. Writes transactions of up to a hundred rows. Raises
        `ConditionFailed` where a newer evaluation has written one of the rows.
        """
        owner, epoch = (portfolio.tenant_id, portfolio.portfolio_id), portfolio.watch_state.epoch_started
        watches = (
            PriceWatch(*owner, symbol, around, quotes[symbol].version if symbol in quotes else 0, epoch)
            for symbol, around in sorted(bounds.items())
        )
        actions = [self._put(watch) for watch in watches]
        actions += [self._delete(watch_key(*owner, symbol, self.shards), epoch) for symbol in sorted(dropped)]
        for start in range(0, len(actions), MAX_ACTIONS):
            transact(self.client, actions[start : start + MAX_ACTIONS])

    def crossed(self, symbol: str, stored: StoredPrice) -> Iterator[CrossedPortfolio]:
        """Yield the portfolios whose watches the stored price crosses, by strongly consistent reads.

        A price in new units crosses every watch: the bounds and the quantities behind them are those of other units.
        Watches whose evaluation saw the same or a newer version of the quote are left out. A watch crossed at both
        bounds is yielded twice.
        """
        text = sortable_price(HIGHEST_PRICE if stored.is_in_new_units else stored.price)
        conditions = [(UPPER, ("#s <= :price", {":price": f"{text}{AFTER_ALL}"}))]
        if not stored.is_in_new_units:
            conditions.append((LOWER, ("#s >= :price", {":price": text})))
        for shard in range(self.shards):
            partition = f"SYM#{symbol}#{shard}"
            for index, condition in conditions:
                for entry in query_keys(self.client, self.table, index, partition, condition):
                    key = BoundKey.from_text(entry[index.sort])
                    if key.seen < stored.version:
                        tenant_id, _, portfolio_id = entry["sk"].rpartition("#")
                        yield CrossedPortfolio(tenant_id, portfolio_id, key.epoch)

    def _put(self, watch: PriceWatch) -> dict[str, Any]:
        item = serialize(watch.to_item(self.shards))
        return {"Put": {"TableName": self.table, "Item": item, **_if_epoch_is_lower(watch.epoch)}}

    def _delete(self, key: Key, epoch: int) -> dict[str, Any]:
        return {"Delete": {"TableName": self.table, "Key": serialize(key), **_if_epoch_is_lower(epoch)}}


def _if_epoch_is_lower(epoch: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "attribute_not_exists(pk) OR epoch < :epoch",
        "ExpressionAttributeValues": {":epoch": {"N": str(epoch)}},
    }
