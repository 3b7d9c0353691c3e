"""The rebalancing module: drift reports from the API and from providers, and the worker that decides on the reports."""

from collections.abc import Sequence

from constructs import Construct

from infra.constructs.context import StackContext
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import WorkQueue
from infra.constructs.redrive import RedriveRole, sender_tenants
from infra.constructs.worker import Worker
from infra.contexts.portfolio import RetainedPortfolio


class RetainedRebalancing(Construct):
    """The public queue of rebalance requests, to which every configured provider may send."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        self.requests = WorkQueue(
            self,
            "rebalance-requests",
            context=context,
            visibility_seconds=context.config.worker_visibility_seconds,
            senders=context.config.providers,
        )


class RebalancingFunctions(Construct):
    """The worker of rebalance requests. `senders` are the functions whose requests are accepted for every tenant."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        portfolio: RetainedPortfolio,
        rebalancing: RetainedRebalancing,
        senders: Sequence[LambdaFunction],
        redrive: RedriveRole | None,
    ) -> None:
        super().__init__(scope, id)
        config = context.config
        worker = Worker(
            self,
            "OnRebalanceRequested",
            context=context,
            work=rebalancing.requests,
            package="rebalancing_on_rebalance_requested",
            description="Decides on rebalance requests from the queue",
            timeout_seconds=config.worker_timeout_seconds,
            gradual=True,
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "SENDER_TENANTS": sender_tenants(
                    self, config, redrive=redrive, providers=config.providers, functions=senders
                ),
            },
            window_seconds=config.worker_batch_window_seconds,
        )
        # A portfolio that has another name now, or does not exist, is read by itself.
        worker.allow_table(portfolio.table, ("BatchGetItem", "GetItem", "PutItem"))
