"""The table `market`: one item a symbol for its newest quote and its splits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.contracts import quotes
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.domain import NewQuote
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class DynamoMarket:
    """The store of the market context."""

    client: "DynamoDBClient"
    table: str

    def advance(self, quote: NewQuote) -> bool:
        """See `Store.advance`. One conditional update and no read; the splits beside it stay."""
        values = {
            ":price": plain(quote.price),
            ":as_of": format_time(quote.as_of),
            ":source": quote.source or "unnamed",
            ":one": 1,
        }
        try:
            dynamo.update(
                self.client,
                TableName=self.table,
                Key=dynamo.to_item(quotes.quote_key(quote.symbol)),
                UpdateExpression="SET price = :price, as_of = :as_of, #source = :source ADD version :one",
                ConditionExpression="attribute_not_exists(as_of) OR as_of < :as_of",
                ExpressionAttributeNames={"#source": "source"},
                ExpressionAttributeValues=dynamo.to_item(values),
            )
        except ConditionFailed:
            return False
        return True

    def quote(self, symbol: str) -> Quote | None:
        """See `Store.quote`."""
        item = dynamo.get(self.client, self.table, quotes.quote_key(symbol))
        return quotes.from_item(item) if item else None

    def put(self, quote: Quote) -> None:
        """See `Store.put`."""
        dynamo.put(self.client, self.table, quotes.to_item(quote))
