"""The store of quotes and splits, in the table `market`: one item a symbol."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord, asset_key
from trimtab.contracts.quotes import Quote, StoredPrice, quote_key
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain, sortable_price
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.domain.quote_decision import QuoteDecision
from trimtab.market.domain.quotes import NewQuote
from trimtab.market.domain.splits import SplitLogEntry
from trimtab.runtime.dynamodb.batches import batch_get_many
from trimtab.runtime.dynamodb.client import serialize
from trimtab.runtime.dynamodb.writes import put_records, update_item

if TYPE_CHECKING:
    from datetime import datetime

    from types_boto3_dynamodb import DynamoDBClient

_NAMES = {
    "#held": "held",
    "#high": "high",
    "#low": "low",
    "#previous": "previous",
    "#range": "accepted_range",
    "#source": "source",
    "#until": "until",
    "#version": "version",
}
ADVANCE = (
    "SET #previous.price = price, #previous.as_of = as_of, #previous.#source = #source,"
    " price = :price, as_of = :as_of, #source = :source, stored_at = :stored_at ADD #version :one"
)
IS_PLAUSIBLE = (
    "as_of < :as_of AND :as_of < #range.#until AND :sortable BETWEEN #range.#low AND #range.#high"
    " AND attribute_exists(#previous) AND (attribute_not_exists(#held) OR #held.#source <> :source)"
)
"""True if the quote is newer than the stored quote and lies in the accepted range: no further look is needed."""


class QuoteStore(Struct, frozen=True):
    """The store of quotes and splits."""

    client: "DynamoDBClient"
    table: str

    def advance(self, quote: NewQuote, stored_at: "datetime") -> StoredPrice | None:
        """Write the quote if it is newer than the stored quote and in the accepted range: one update and no read.

        Returns None, without a write, if the quote has to be judged against the market.
        """
        values = {
            ":price": plain(quote.price),
            ":sortable": sortable_price(quote.price),
            ":as_of": format_time(quote.as_of),
            ":source": quote.source,
            ":stored_at": format_time(stored_at),
            ":one": 1,
        }
        try:
            written = update_item(
                self.client,
                TableName=self.table,
                Key=serialize(quote_key(quote.symbol)),
                UpdateExpression=ADVANCE,
                ConditionExpression=IS_PLAUSIBLE,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=serialize(values),
            )
        except ConditionFailed:
            return None
        return StoredPrice(quote.price, int(written["version"]))

    def quote_and_asset(self, symbol: str) -> tuple[Quote, AssetRecord | None]:
        """Return the quote (version 0 if none is stored) and the asset of a symbol, read consistently in one call."""
        return self.quotes_and_assets([symbol])[symbol]

    def quotes_and_assets(self, symbols: Sequence[str]) -> dict[str, tuple[Quote, AssetRecord | None]]:
        """Return the quote (version 0 if none is stored) and the asset of each symbol; fifty symbols a call."""
        keys = [key for symbol in symbols for key in (quote_key(symbol), asset_key(symbol))]
        items = batch_get_many(self.client, self.table, keys, consistent=True)
        found = {(item["pk"], item["sk"]): item for item in items}
        pairs = {}
        for symbol in symbols:
            quote, asset = (found.get((key["pk"], key["sk"])) for key in (quote_key(symbol), asset_key(symbol)))
            known = Quote.from_item(quote) if quote else Quote(symbol, version=0)
            pairs[symbol] = (known, AssetRecord.from_item(asset) if asset else None)
        return pairs

    def put_decision(self, before: Quote, decision: QuoteDecision) -> None:
        """Write the quote of a decision with its log entry, if the decision changes the quote."""
        if decision.quote is not before:
            put_records(self.client, self.table, decision.quote, *([decision.entry] if decision.entry else []))

    def put_split(self, quote: Quote, entry: SplitLogEntry) -> None:
        """Write the quote with changed splits, and the log entry with its event, in one transaction.

        Raises `ConditionFailed` if another version of the quote is stored. The event is part of the log entry: on the
        quote, every new price would publish the event again.
        """
        put_records(self.client, self.table, quote, entry)

    def clear_range(self, symbol: str) -> None:
        """Remove the accepted range: the next quote is judged against the asset's present limits."""
        try:
            update_item(
                self.client,
                TableName=self.table,
                Key=serialize(quote_key(symbol)),
                UpdateExpression="REMOVE #range ADD #version :one",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#range": "accepted_range", "#version": "version"},
                ExpressionAttributeValues=serialize({":one": 1}),
            )
        except ConditionFailed as refused:
            if 0 not in refused.failed:
                raise  # a concurrent transaction
