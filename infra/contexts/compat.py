"""Compatibility with the APIs of earlier systems, for deployments whose clients still speak these (`compat`)."""

from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.function import FunctionContext
from infra.constructs.queues import WorkQueue
from infra.contexts.betting import RetainedBetting, betting_environment
from infra.contexts.market import RetainedMarket
from infra.contexts.portfolio import RetainedPortfolio


class CompatFunctions(Construct):
    """The function of all earlier APIs. `api` sends drift reports on behalf of every tenant."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        portfolio: RetainedPortfolio,
        market: RetainedMarket,
        betting: RetainedBetting,
        rebalance_requests: WorkQueue,
        recalculations: WorkQueue,
    ) -> None:
        super().__init__(scope, id)
        self.api = ApiFunction(
            self,
            "Api",
            context=context,
            api=api,
            package="compat_api",
            description="Portfolios, trades and betting orders in the formats of earlier systems",
            memory_mb=1024,
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "MARKET_TABLE": market.table.table_name,
                "REBALANCE_REQUESTS_QUEUE_URL": rebalance_requests.url,
                "RECALCULATIONS_QUEUE_URL": recalculations.url,
                "PUBLIC_URL": api.address.url,
                **betting_environment(betting, context.config),
            },
        )
        self.api.allow_table(portfolio.table, ("GetItem", "BatchGetItem", "PutItem"))
        self.api.allow_indexes(portfolio.table, ("by_time", "by_symbol", "by_user", "by_tenant"))
        self.api.allow_table(market.table, ("BatchGetItem", "Query"))
        self.api.allow_table(
            betting.table, ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "ConditionCheckItem")
        )
        self.api.allow_indexes(betting.table, ("by_open_user",))
        self.api.allow_sending(rebalance_requests, recalculations)
