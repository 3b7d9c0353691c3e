"""The rebalancing module: drift reports from the API and from providers, and the worker that decides on the reports."""

from collections.abc import Sequence

from aws_cdk import Stack
from constructs import Construct

from infra.config import Config
from infra.constructs.context import StackContext
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import WorkQueue
from infra.constructs.worker import Worker
from infra.contexts.portfolio import RetainedPortfolio

WORKER_ACTIONS = ("BatchGetItem", "PutItem")


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
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "SENDER_TENANTS": self._sender_tenants(config, senders),
            },
            window_seconds=config.worker_batch_window_seconds,
        )
        worker.allow_table(portfolio.table, WORKER_ACTIONS)

    def _sender_tenants(self, config: Config, senders: Sequence[LambdaFunction]) -> str:
        """Return the tenants that each sender may speak for, as JSON.

        SQS reports the unique id of the sending role, which CloudFormation looks up on deployment.
        """
        if config.any_sender:
            return '{"*": ["*"]}'
        functions = {sender.role.role_id: ["*"] for sender in senders}
        providers = {provider.sender_id: list(provider.tenants) for provider in config.providers}
        return Stack.of(self).to_json_string({**functions, **providers})
