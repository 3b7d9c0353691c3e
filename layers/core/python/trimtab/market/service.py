"""Quotes and splits: stored for everyone, written by the platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.market.domain import NewQuote, newest_by_symbol, with_split


class Store(Protocol):
    """Keeps what is known of symbols."""

    def advance(self, quote: NewQuote) -> bool:
        """Stores the quote if it is newer than the stored one; False if it is not."""

    def quote(self, symbol: str) -> Quote | None:
        """What is known of the symbol, read consistently."""

    def put(self, quote: Quote) -> None:
        """Stores it on the version before; raises `ConditionFailed` otherwise."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How many quotes were newer than what was known, and how many were dropped."""

    stored: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Market:
    """What the platform knows of symbols."""

    store: Store
    clock: Clock

    def store_quotes(self, quotes: Sequence[NewQuote]) -> Stored:
        """The newest quote of each symbol, stored where it is newer than the one that is known."""
        newest = newest_by_symbol(list(quotes), self.clock())
        stored = sum(self.store.advance(quote) for quote in newest)
        return Stored(stored, len(quotes) - stored)

    def enter_split(self, symbol: str, split: Split) -> Quote:
        """With the split among the symbol's splits; every holding of it is adjusted from that day on."""

        def attempt() -> Quote:
            quote = self.store.quote(symbol) or Quote(symbol)
            entered = with_split(quote, split)
            if entered is not quote:
                self.store.put(entered)
            return entered

        return retrying_on_conflict(attempt)
