"""Wiring shared by the functions that decide, execute and cancel rebalances."""

from msgspec import Struct

from trimtab.portfolios.execution.halt_controls import HaltBounds
from trimtab.portfolios.execution.halts import HaltStore
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.sqs.sender import sqs_client


class StoreSettings(QueueSettings):
    """Names of the tables, URLs of the queues, and bounds of the automatic halts (`HaltBounds`)."""

    portfolios_table: str
    market_table: str
    halt_window_seconds: int = 3600
    halt_rollbacks: int = 50
    halt_held_prices: int = 50


class RebalanceStores(Struct, frozen=True):
    """Stores and queues of rebalances."""

    rebalances: RebalanceStore
    ledger: LedgerStore
    halts: HaltStore
    queues: WorkerQueues


def rebalance_stores(settings: StoreSettings) -> RebalanceStores:
    """Return the stores and queues, wired to DynamoDB and SQS."""
    client, table = dynamodb_client(), settings.portfolios_table
    bounds = HaltBounds(settings.halt_window_seconds, settings.halt_rollbacks, settings.halt_held_prices)
    return RebalanceStores(
        RebalanceStore(client, table),
        LedgerStore(client, table, settings.market_table),
        HaltStore(client, table, bounds),
        WorkerQueues(sqs_client(), settings),
    )
