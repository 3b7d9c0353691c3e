"""Quotes and splits: stored for everyone, written by the platform."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.market.domain.quotes import NewQuote, is_ahead, newest_by_symbol, with_split


class Store(Protocol):
    """Keeps what is known of symbols."""

    def advance(self, quote: NewQuote) -> Decimal | None:
        """Stores the quote if it is newer than the stored one, and gives the price that counts then: this one, or the
        stored one of the same instant; None where the stored one is newer."""

    def quote(self, symbol: str) -> Quote | None:
        """What is known of the symbol, read consistently."""

    def put(self, quote: Quote, split: Split, at: datetime) -> None:
        """Stores it with this split that is new in it since this instant, on the version before, and tells the
        platform; raises `ConditionFailed` where that is not the version before."""


class Stored(Struct, frozen=True):
    """The prices that count now by symbol, with their times, of the quotes that were not older than what was known; and
    how many were dropped, because something newer was known or because they lie ahead of now."""

    prices: Mapping[str, tuple[Decimal, datetime]]
    dropped: int


class Market(Struct, frozen=True):
    """What the platform knows of symbols."""

    store: Store
    clock: Clock

    def store_quotes(self, quotes: Sequence[NewQuote]) -> Stored:
        """The newest quote of each symbol, stored where it is newer than the one that is known.

        The price of a repeat counts again: whoever stored it first may have ended before it told anybody.
        """
        now = self.clock()
        newest = newest_by_symbol([quote for quote in quotes if not is_ahead(quote, now)])
        prices = [(quote, self.store.advance(quote)) for quote in newest]
        counted = {quote.symbol: (price, quote.as_of) for quote, price in prices if price is not None}
        return Stored(counted, len(quotes) - len(counted))

    def enter_split(self, symbol: str, split: Split) -> Quote:
        """With the split among the symbol's splits; every holding of it is adjusted from that day on."""

        def attempt() -> Quote:
            quote = self.store.quote(symbol) or Quote(symbol)
            entered = with_split(quote, split)
            if entered is not quote:
                self.store.put(entered, split, self.clock())
            return entered

        return retrying_on_conflict(attempt)
