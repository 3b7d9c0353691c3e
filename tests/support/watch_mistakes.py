"""Known ways to get price watches wrong, each put in on purpose: what looks for missed drifts has to find them."""

from typing import Any

import pytest

from functions.market_on_quote_received import handler as quote_function
from trimtab.market.schemas import to_domain
from trimtab.portfolios.balancing import watch_store as watches
from trimtab.portfolios.balancing.price_checks import Checking
from trimtab.portfolios.balancing.watch_store import WatchStore
from trimtab.runtime.dynamodb.writes import transact


def deletes_before_it_writes(patch: pytest.MonkeyPatch) -> None:
    write = WatchStore.write

    def key_of(self: WatchStore, portfolio: Any, symbol: str) -> Any:
        return self._delete(portfolio, symbol, 0)["Delete"]["Key"]

    def write_anew(self: WatchStore, portfolio: Any, edges: Any, *rest: Any) -> None:
        for symbol in edges:
            transact(self.client, [{"Delete": {"TableName": self.table, "Key": key_of(self, portfolio, symbol)}}])
        write(self, portfolio, edges, *rest)

    patch.setattr(WatchStore, "write", write_anew)


def compares_no_epochs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(watches, "_over_a_lower", lambda _: {})


def reads_no_quote_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Checking, "_has_moved_on", lambda *_: False)


def looks_for_watches_before_it_stores(patch: pytest.MonkeyPatch) -> None:
    def store(messages: Any) -> None:
        quotes = [quote for message in messages for quote in to_domain(message.quotes)]
        quote_function.crossings().look_for({quote.symbol: (quote.price, quote.as_of) for quote in quotes})
        quote_function.market().store_quotes(quotes)

    patch.setattr(quote_function, "store", store)


MISTAKES = [deletes_before_it_writes, compares_no_epochs, reads_no_quote_again, looks_for_watches_before_it_stores]
