"""The table `market`: one item a symbol for its newest quote and its splits; and the queue `quotes`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts import quotes
from trimtab.contracts.events import PLATFORM, Event, pack_events
from trimtab.contracts.messages import QuoteBody, QuoteReceived
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.domain.quotes import NewQuote
from trimtab.runtime.dynamodb.client import Item, get_item, serialize
from trimtab.runtime.dynamodb.writes import transact, update_item, versioned_put
from trimtab.runtime.sqs.sender import send_message

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_sqs import SQSClient


class DynamoMarket(Struct, frozen=True):
    """The store of the market context."""

    client: "DynamoDBClient"
    table: str

    def advance(self, quote: NewQuote) -> Decimal | None:
        """See `Store.advance`. One conditional update and no read; the splits beside it stay."""
        values = {
            ":price": plain(quote.price),
            ":as_of": format_time(quote.as_of),
            ":source": quote.source or "unnamed",
            ":one": 1,
        }
        try:
            update_item(
                self.client,
                TableName=self.table,
                Key=serialize(quotes.quote_key(quote.symbol)),
                UpdateExpression="SET price = :price, as_of = :as_of, #source = :source ADD version :one",
                ConditionExpression="attribute_not_exists(as_of) OR as_of < :as_of",
                ExpressionAttributeNames={"#source": "source"},
                ExpressionAttributeValues=serialize(values),
            )
        except ConditionFailed as refused:
            stored = refused.failed.get(0)
            if stored is None:
                raise  # a split is being entered: whether the quote is newer is not known yet
            return Decimal(stored["price"]) if stored["as_of"] == format_time(quote.as_of) else None
        return quote.price

    def quote(self, symbol: str) -> Quote | None:
        """See `Store.quote`."""
        item = get_item(self.client, self.table, quotes.quote_key(symbol))
        return quotes.from_item(item) if item else None

    def put(self, quote: Quote, split: Split, at: datetime) -> None:
        """See `Store.put`. The event stands on a record of its own: on the quote, each price would repeat it."""
        items = (quotes.to_item(quote), split_item(quote.symbol, split, at))
        transact(self.client, [{"Put": versioned_put(self.table, item)} for item in items])


def split_item(symbol: str, split: Split, at: datetime) -> Item:
    """The record that a split was entered; the stream takes its event from here to the bus."""
    day = split.effective_at.date().isoformat()
    data = {"symbol": symbol, "effective_on": day, "ratio": plain(split.new), "per": plain(split.old)}
    return {
        "pk": quotes.quote_key(symbol)["pk"],
        "sk": f"SPLIT#{day}",
        "tenant_id": PLATFORM,
        "version": 1,
        "updated_at": format_time(at),
        "events": pack_events([Event("split.entered", data)]),
    }


class Quotes(Struct, frozen=True):
    """The queue `quotes`."""

    client: "SQSClient"
    url: str

    def send(self, quotes: Sequence[NewQuote], tenant_id: str) -> None:
        """Hand the quotes to the worker that stores them, in the message group of the tenant that sent them."""
        rows = [QuoteBody(symbol=it.symbol, price=it.price, as_of=it.as_of, source=it.source) for it in quotes]
        send_message(self.client, self.url, QuoteReceived(quotes=rows), group=tenant_id)
