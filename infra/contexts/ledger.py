"""The ledger module: long recalculations of holdings and large imports, done by a worker instead of the API."""

from constructs import Construct

from infra.constructs.context import StackContext
from infra.constructs.function import FunctionContext
from infra.constructs.queues import WorkQueue
from infra.constructs.worker import Worker
from infra.contexts.market import RetainedMarket
from infra.contexts.portfolio import RetainedPortfolio


class RetainedLedger(Construct):
    """The queue of recalculations and imports."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        self.recalculations = WorkQueue(
            self,
            "recalculations",
            context=context,
            visibility_seconds=context.config.recalculation_visibility_seconds,
        )


class LedgerFunctions(Construct):
    """The worker of recalculations and imports. A message may take minutes, so a batch holds a single message."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        portfolio: RetainedPortfolio,
        ledger: RetainedLedger,
        market: RetainedMarket,
    ) -> None:
        super().__init__(scope, id)
        worker = Worker(
            self,
            "OnRecalculationRequested",
            context=context,
            work=ledger.recalculations,
            package="ledger_on_recalculation_requested",
            description="Recomputes holdings, and records and undoes large imports",
            memory_mb=1024,
            timeout_seconds=context.config.recalculation_timeout_seconds,
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "MARKET_TABLE": market.table.table_name,
                "RECALCULATIONS_QUEUE_URL": ledger.recalculations.url,
            },
            batch_size=1,
            max_concurrency=5,
        )
        worker.allow_table(portfolio.table, ("GetItem", "BatchGetItem", "PutItem", "DeleteItem"))
        worker.allow_indexes(portfolio.table, ("by_symbol", "by_time"))
        worker.allow_table(market.table, ("BatchGetItem",))
        worker.allow_sending(ledger.recalculations)
