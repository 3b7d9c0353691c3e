"""Compatibility with the APIs of earlier systems, for deployments whose clients still speak these (`compat`)."""

from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.function import FunctionContext
from infra.constructs.queues import WorkQueue
from infra.contexts.portfolio import RetainedPortfolio


class CompatFunctions(Construct):
    """One function for each earlier API, with the grants of the routes that the API has.

    `rebalancer` sends drift reports on behalf of every tenant.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        portfolio: RetainedPortfolio,
        rebalance_requests: WorkQueue,
    ) -> None:
        super().__init__(scope, id)
        self.rebalancer = ApiFunction(
            self,
            "Rebalancer",
            context=context,
            api=api,
            package="compat_rebalancer_api",
            description="Target allocations and drift reports in the format of the earlier rebalancer",
            memory_mb=1024,
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "REBALANCE_REQUESTS_QUEUE_URL": rebalance_requests.url,
            },
        )
        self.rebalancer.allow_table(portfolio.table, ("GetItem", "Query", "PutItem"))
        self.rebalancer.allow_indexes(portfolio.table, ("by_time",))
        self.rebalancer.allow_sending(rebalance_requests)
