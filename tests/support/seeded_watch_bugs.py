"""Known bugs of price watches, seeded on purpose: the search for missed drifts must find each of them."""

import sys
from typing import Any

import pytest

from functions.market_on_quote_received import handler as quote_function
from trimtab.contracts.quotes import StoredPrice
from trimtab.market.schemas import to_domain
from trimtab.portfolios.balancing import watch_store
from trimtab.portfolios.balancing.price_checks import PriceChecker
from trimtab.portfolios.balancing.watch_store import WatchStore, watch_key
from trimtab.portfolios.portfolio.watch_state import WatchState
from trimtab.runtime.dynamodb.client import serialize
from trimtab.runtime.dynamodb.writes import transact


def deletes_before_writing(patch: pytest.MonkeyPatch) -> None:
    write = WatchStore.write

    def delete_and_write(self: WatchStore, portfolio: Any, bounds: Any, *rest: Any) -> None:
        for symbol in bounds:
            key = serialize(watch_key(portfolio.tenant_id, portfolio.portfolio_id, symbol, self.shards))
            transact(self.client, [{"Delete": {"TableName": self.table, "Key": key}}])
        write(self, portfolio, bounds, *rest)

    patch.setattr(WatchStore, "write", delete_and_write)


def compares_no_epochs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(watch_store, "_if_epoch_is_lower", lambda _: {})


def never_rereads_quotes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PriceChecker, "_is_crossed_by_newer_quote", lambda *_: False)


def queries_watches_before_storing_quotes(patch: pytest.MonkeyPatch) -> None:
    def store(messages: Any) -> None:
        quotes = [quote for message in messages for quote in to_domain(message.quotes)]
        quote_function.watch_matcher().request_checks(
            {quote.symbol: StoredPrice(quote.price, sys.maxsize) for quote in quotes}
        )
        quote_function.quote_service().store_quotes(quotes)

    patch.setattr(quote_function, "store", store)


def takes_every_quote_for_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchState, "is_followed_by", lambda *_: False)


SEEDED_BUGS = [
    deletes_before_writing,
    compares_no_epochs,
    never_rereads_quotes,
    queries_watches_before_storing_quotes,
    takes_every_quote_for_seen,
]
