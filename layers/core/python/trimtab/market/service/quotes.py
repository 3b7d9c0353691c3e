"""Quotes and splits: read by all tenants, written by the platform."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from trimtab.contracts.quotes import Quote, Split, StoredPrice
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retry_on_conflict
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.domain.quotes import NewQuote, add_split, entered_split, is_in_future, newest_by_symbol


class StoredQuotes(Struct, frozen=True):
    """The result of storing quotes.

    `prices` maps each symbol whose quote was not outdated to the price that is valid now. `discarded` counts the quotes
    that were older than the stored quote or in the future.
    """

    prices: Mapping[str, StoredPrice]
    discarded: int


class QuoteService(Struct, frozen=True):
    """The use cases of quotes and splits."""

    store: QuoteStore
    clock: Clock

    def store_quotes(self, quotes: Sequence[NewQuote]) -> StoredQuotes:
        """Store the newest quote of each symbol if it is newer than the stored quote.

        A repeated quote is part of the result again: the first attempt may have ended before the quote was acted on.
        """
        now = self.clock()
        newest = newest_by_symbol([quote for quote in quotes if not is_in_future(quote, now)])
        prices = [(quote.symbol, self.store.advance(quote, self.clock())) for quote in newest]
        valid = {symbol: price for symbol, price in prices if price is not None}
        return StoredQuotes(valid, len(quotes) - len(valid))

    def enter_split(self, symbol: str, split: Split) -> Quote:
        """Add a split to a symbol; holdings are adjusted from the day of the split on.

        Raises `Conflict` if the day has a different split.
        """

        def attempt() -> Quote:
            quote = self.store.quote(symbol) or Quote(symbol, version=0)
            after = add_split(quote, split)
            if after is not quote:
                self.store.put_split(after, entered_split(symbol, split, self.clock()))
            return after

        return retry_on_conflict(attempt)
