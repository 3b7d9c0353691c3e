"""Stores quotes from the queue `quotes`, and requests checks of portfolios whose price watches were crossed."""

from functools import lru_cache
from typing import Any

from trimtab.contracts.messages import QuoteReceived
from trimtab.kernel.clock import utc_now
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.schemas import to_domain
from trimtab.market.service.quotes import QuoteService
from trimtab.portfolios.balancing.check_queue import CheckQueue
from trimtab.portfolios.balancing.watch_matching import WatchMatcher
from trimtab.portfolios.balancing.watch_store import WatchStore
from trimtab.runtime import tracing
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client
from trimtab.runtime.sqs.worker import batch_worker


class QuoteSettings(Settings):
    """The settings of the function."""

    market_table: str
    watches_table: str
    watch_shards: int
    checks_queue_url: str
    threads: int = 8


@lru_cache(maxsize=1)
def settings() -> QuoteSettings:
    """Return the settings, read on first use."""
    return QuoteSettings.load()


@lru_cache(maxsize=1)
def quote_service() -> QuoteService:
    """Return the quote service, wired to DynamoDB."""
    client, table = dynamodb_client(), settings().market_table
    return QuoteService(QuoteStore(client, table), BarStore(client, table), utc_now, parallel_map())


@lru_cache(maxsize=1)
def parallel_map() -> Any:
    """Return the `map` of a pool of `threads` threads, or the builtin `map` for one thread."""
    return tracing.parallel_map(settings().threads)


@lru_cache(maxsize=1)
def watch_matcher() -> WatchMatcher:
    """Return the watch matcher, wired to DynamoDB and SQS. It queries up to `threads` symbols at the same time."""
    watches = WatchStore(dynamodb_client(), settings().watches_table, settings().watch_shards)
    return WatchMatcher(watches, CheckQueue(sqs_client(), settings().checks_queue_url), parallel_map())


def store(messages: list[QuoteReceived]) -> None:
    """Store the newest plausible quote of each symbol in the batch; raising returns the batch to the queue."""
    quotes = [quote for message in messages for quote in to_domain(message.quotes)]
    stored = quote_service().store_quotes(quotes)
    crossed = watch_matcher().request_checks({**stored.newly_held, **stored.prices})
    count("QuotesStored", len(stored.prices))
    count("QuotesHeld", stored.held)
    count("QuotesDiscarded", stored.discarded)
    count("PortfoliosCrossed", crossed)
    logger.info(
        "quotes stored", stored=len(stored.prices), held=stored.held, discarded=stored.discarded, crossed=crossed
    )


handler = batch_worker(QuoteReceived, store)
