"""The portfolio module: the table that all modules of the context share, and the API of portfolios and trades."""

from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.function import FunctionContext
from infra.constructs.queues import WorkQueue
from infra.constructs.table import retained_table
from infra.contexts.market import RetainedMarket
from infra.tables import PORTFOLIOS


class RetainedPortfolio(Construct):
    """The table of portfolios with their trades, holdings and rebalances."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        self.table = retained_table(self, "Portfolios", shape=PORTFOLIOS, config=context.config)


class PortfolioFunctions(Construct):
    """The API of portfolios, trades and drift reports."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        portfolio: RetainedPortfolio,
        market: RetainedMarket,
        rebalance_requests: WorkQueue,
        recalculations: WorkQueue,
    ) -> None:
        super().__init__(scope, id)
        self.api = ApiFunction(
            self,
            "Api",
            context=context,
            api=api,
            has_lists=True,
            package="portfolios_api",
            description="Portfolios, trades and drift reports over HTTP",
            memory_mb=1024,
            timeout_seconds=29,  # an undo of 20,000 entries reads all trades of their symbols
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "MARKET_TABLE": market.table.table_name,
                "REBALANCE_REQUESTS_QUEUE_URL": rebalance_requests.url,
                "RECALCULATIONS_QUEUE_URL": recalculations.url,
            },
        )
        self.api.allow_table(portfolio.table, ("GetItem", "BatchGetItem", "PutItem", "DeleteItem"))
        self.api.allow_indexes(portfolio.table, ("by_time", "by_symbol", "by_user", "by_tenant", "pending_jobs"))
        self.api.allow_table(market.table, ("BatchGetItem", "Query"))
        self.api.allow_sending(rebalance_requests, recalculations)
