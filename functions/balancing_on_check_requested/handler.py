"""Check the portfolios on the queue `checks`: plan a rebalance, or write their price watches again."""

from functools import lru_cache

from trimtab.contracts.messages import CheckRequested
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.balancing.decision_reader import DecisionReader
from trimtab.portfolios.balancing.price_checks import PriceChecker
from trimtab.portfolios.balancing.watch_store import WatchStore
from trimtab.portfolios.execution.brokers import BrokerTermsSettings
from trimtab.portfolios.execution.wiring import StoreSettings, rebalance_stores
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count, measure_seconds
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, sent_at, worker


class CheckSettings(StoreSettings, BrokerTermsSettings):
    """Environment of the function; `run_seconds` is the deadline of a rebalance."""

    watches_table: str
    watch_shards: int
    run_seconds: int


@lru_cache(maxsize=1)
def price_checker() -> PriceChecker:
    """Return the price checker, wired to DynamoDB and SQS."""
    settings = CheckSettings.load()
    stores = rebalance_stores(settings)
    return PriceChecker(
        stores.rebalances,
        stores.ledger,
        DecisionReader(HoldingsReader(stores.ledger, utc_now), stores.halts, settings.terms, utc_now, stores.controls),
        WatchStore(dynamodb_client(), settings.watches_table, settings.watch_shards),
        stores.queues,
        utc_now,
        settings.run_seconds,
    )


def check(message: CheckRequested, record: SQSRecord) -> None:
    """Check the portfolio of one message; an exception returns the message to the queue."""
    outcome = price_checker().run(message)
    if outcome is None:
        raise PoisonError(f"portfolio {message.portfolio_id} or rebalance {message.rebalance_id} not found")
    count("ChecksEvaluated" if outcome.is_evaluated else "ChecksSkipped")
    measure_seconds("WatchLag", utc_now() - sent_at(record, {}))
    count("RebalancesPlanned", int(outcome.rebalance is not None and outcome.rebalance.execution is not None))
    logger.info(
        "portfolio checked", portfolio_id=message.portfolio_id, trigger=message.trigger, code=outcome.reason_code
    )


handler = worker(CheckRequested, check)
