"""Wiring shared by the functions that decide, execute and cancel rebalances."""

from decimal import Decimal

from msgspec import Struct

from trimtab.portfolios.execution.control_store import ControlStore
from trimtab.portfolios.execution.halt_controls import HaltBounds
from trimtab.portfolios.execution.halts import HaltStore
from trimtab.portfolios.execution.trading_controls import TradingControls
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.sqs.sender import sqs_client

_CONTROLS = TradingControls()


class StoreSettings(QueueSettings):
    """Names of the tables, URLs of the queues, bounds of the automatic halts (`HaltBounds`), and pre-trade controls.

    The defaults of the controls are those of `TradingControls`; zero switches a control off.
    """

    portfolios_table: str
    market_table: str
    halt_window_seconds: int = 3600
    halt_rollbacks: int = 50
    halt_held_prices: int = 50
    halt_refusals: int = 100
    price_collar: Decimal = _CONTROLS.price_collar
    max_order_notional: Decimal = _CONTROLS.max_order_notional
    max_daily_turnover: Decimal = _CONTROLS.max_daily_turnover
    max_runs_per_day: int = _CONTROLS.max_runs_per_day
    max_tenant_notional: Decimal = _CONTROLS.max_tenant_notional
    max_messages_per_minute: int = _CONTROLS.max_messages_per_minute

    @property
    def controls(self) -> TradingControls:
        """Pre-trade controls of the deployment."""
        return TradingControls(**{name: getattr(self, name) for name in TradingControls.__struct_fields__})


class RebalanceStores(Struct, frozen=True):
    """Stores and queues of rebalances."""

    rebalances: RebalanceStore
    ledger: LedgerStore
    halts: HaltStore
    controls: ControlStore
    queues: WorkerQueues


def rebalance_stores(settings: StoreSettings) -> RebalanceStores:
    """Return the stores and queues, wired to DynamoDB and SQS."""
    client, table = dynamodb_client(), settings.portfolios_table
    bounds = HaltBounds(
        settings.halt_window_seconds, settings.halt_rollbacks, settings.halt_held_prices, settings.halt_refusals
    )
    return RebalanceStores(
        RebalanceStore(client, table),
        LedgerStore(client, table, settings.market_table),
        HaltStore(client, table, bounds),
        ControlStore(client, table, settings.controls),
        WorkerQueues(sqs_client(), settings),
    )
