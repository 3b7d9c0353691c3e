"""The store of quotes and splits, in the table `market`: one item a symbol."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.quotes import Quote, StoredPrice, quote_key
from trimtab.contracts.stored_form import FORM
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.domain.quotes import EnteredSplit, NewQuote
from trimtab.runtime.dynamodb.client import get_item, serialize
from trimtab.runtime.dynamodb.writes import put_records, update_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class QuoteStore(Struct, frozen=True):
    """The store of quotes and splits."""

    client: "DynamoDBClient"
    table: str

    def advance(self, quote: NewQuote, stored_at: datetime) -> StoredPrice | None:
        """Write the quote if it is newer than the stored quote: one conditional update and no read.

        Returns the price that is valid afterwards: the new price, or the stored price if both quotes have the same
        time. Returns None if the stored quote is newer. The splits in the item do not change.
        """
        names = {"#source": "source", "#version": "version", "#form": FORM}
        values = {
            ":symbol": quote.symbol,
            ":price": plain(quote.price),
            ":as_of": format_time(quote.as_of),
            ":source": quote.source or "unnamed",
            ":stored_at": format_time(stored_at),
            ":form": 1,
            ":one": 1,
        }
        assignments = "symbol = :symbol, price = :price, as_of = :as_of, #source = :source, stored_at = :stored_at"
        try:
            written = update_item(
                self.client,
                TableName=self.table,
                Key=serialize(quote_key(quote.symbol)),
                UpdateExpression=f"SET {assignments}, #form = :form ADD #version :one",
                ConditionExpression="attribute_not_exists(as_of) OR as_of < :as_of",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=serialize(values),
            )
        except ConditionFailed as refused:
            stored = refused.failed.get(0)
            if stored is None:
                raise  # a concurrent transaction enters a split: which quote is newer is not known yet
            is_same = stored["as_of"] == format_time(quote.as_of)
            return StoredPrice(Decimal(stored["price"]), int(stored["version"])) if is_same else None
        return StoredPrice(quote.price, int(written["version"]))

    def quote(self, symbol: str) -> Quote | None:
        """Return the quote and the splits of a symbol, read consistently, None for an unknown symbol."""
        item = get_item(self.client, self.table, quote_key(symbol))
        return Quote.from_item(item) if item else None

    def put_split(self, quote: Quote, split: EnteredSplit) -> None:
        """Write the quote with a new split, and the record of the split with its event, in one transaction.

        Raises `ConditionFailed` if another version of the quote is stored. The event is part of the split's record:
        on the quote, every new price would publish the event again.
        """
        put_records(self.client, self.table, quote, split)
