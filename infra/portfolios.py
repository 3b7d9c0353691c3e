"""The portfolios context: its API, the worker of rebalance requests, and the sweeper of forgotten ones."""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.api import Api
from infra.data_stack import DataStack
from infra.function import Function, Shared
from infra.identity import Identity

_API_ACTIONS = ("GetItem", "BatchGetItem", "Query", "PutItem")
_WORKER_ACTIONS = ("BatchGetItem", "PutItem")


class Portfolios(Construct):
    """Functions of the portfolios context, wired to its table and queue."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self.api = self._api_function(identity)
        api.add(self.api, "portfolios_api")
        self.sweeper = self._sweeper()
        self.worker = self._worker()
        self.recalculator = self._recalculator()

    def _api_function(self, identity: Identity) -> Function:
        function = Function(
            self,
            "Api",
            shared=self._shared,
            package="portfolios_api",
            description="Portfolios and rebalances over HTTP",
            memory_mb=1024,
            environment={
                **self._store_and_queue(),
                "MARKET_TABLE": self._data.market.table_name,
                "AUTH": identity.auth,
            },
        )
        identity.let_verify(function)
        self._allow_table(function, _API_ACTIONS, indexes=("by_time", "by_symbol", "by_user", "by_tenant"))
        function.allow(["dynamodb:BatchGetItem"], [self._data.market.table_arn])
        self._allow_sending(function)
        return function

    def _worker(self) -> Function:
        """Takes rebalance requests off the queue; what it cannot settle goes back, and after five tries to the
        dead-letter queue."""
        config = self._shared.config
        function = Function(
            self,
            "OnRebalanceRequested",
            shared=self._shared,
            package="portfolios_on_rebalance_requested",
            description="Decides rebalances taken from the queue",
            timeout_seconds=config.worker_timeout_seconds,
            environment={
                "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
                "SENDER_TENANTS": self._sender_tenants(),
            },
        )
        self._allow_table(function, _WORKER_ACTIONS)
        window = config.worker_batch_window_seconds
        source = sources.SqsEventSource(
            self._data.rebalance_requests,
            batch_size=10,
            max_batching_window=Duration.seconds(window) if window else None,
            max_concurrency=config.worker_max_concurrency,
            report_batch_item_failures=True,
        )
        function.function.add_event_source(source)
        return function

    def _recalculator(self) -> Function:
        """Writes trades whose fold takes longer than a client can wait: one at a time, minutes if it has to be."""
        function = Function(
            self,
            "OnRecalculationRequested",
            shared=self._shared,
            package="portfolios_on_recalculation_requested",
            description="Folds the trades of a symbol that has very many",
            memory_mb=1024,
            timeout_seconds=self._shared.config.recalculation_timeout_seconds,
            environment={
                "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
                "MARKET_TABLE": self._data.market.table_name,
            },
        )
        self._allow_table(function, ("GetItem", "BatchGetItem", "PutItem"))
        function.allow(["dynamodb:Query"], [f"{self._data.portfolios.table_arn}/index/by_symbol"])
        function.allow(["dynamodb:BatchGetItem"], [self._data.market.table_arn])
        source = sources.SqsEventSource(
            self._data.recalculations, batch_size=1, max_concurrency=5, report_batch_item_failures=True
        )
        function.function.add_event_source(source)
        return function

    def _sweeper(self) -> Function:
        function = Function(
            self,
            "OnSweep",
            shared=self._shared,
            package="portfolios_on_sweep",
            description="Sends again what was accepted and never decided",
            timeout_seconds=60,
            environment=self._store_and_queue(),
            on_failure=self._data.sweeps_failed,
        )
        table = self._data.portfolios.table_arn
        self._allow_table(function, _WORKER_ACTIONS)
        function.allow(["dynamodb:Query"], [f"{table}/index/open_work"])
        self._allow_sending(function)
        events.Rule(
            self,
            "SweepRule",
            description="Sweeps open work",
            schedule=events.Schedule.rate(Duration.minutes(5)),
            targets=[targets.LambdaFunction(function.function, retry_attempts=2, max_event_age=Duration.minutes(5))],
        )
        return function

    def _sender_tenants(self) -> str:
        """Who may speak for which tenants on the queue. SQS names a role by its id, so ours are looked up on deploy."""
        if self._shared.config.any_sender:
            return '{"*": ["*"]}'
        ours = {function.role.role_id: ["*"] for function in (self.api, self.sweeper)}
        providers = {provider.sender_id: list(provider.tenants) for provider in self._shared.config.providers}
        return Stack.of(self).to_json_string({**ours, **providers})

    def _store_and_queue(self) -> dict[str, str]:
        return {
            "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
            "REBALANCE_REQUESTS_QUEUE_URL": self._data.rebalance_requests.queue_url,
            "RECALCULATIONS_QUEUE_URL": self._data.recalculations.queue_url,
        }

    def _allow_table(self, function: Function, actions: Sequence[str], indexes: Sequence[str] = ()) -> None:
        table = self._data.portfolios.table_arn
        resources = [table, *(f"{table}/index/{index}" for index in indexes)]
        function.allow([f"dynamodb:{action}" for action in actions], resources)

    def _allow_sending(self, function: Function) -> None:
        queues = (self._data.rebalance_requests, self._data.recalculations)
        function.allow(["sqs:SendMessage"], [queue.queue_arn for queue in queues])
