"""The portfolios context: its API, the worker of rebalance requests, and the sweeper of forgotten ones."""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.api import Api
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue
from infra.function import Function, Shared
from infra.identity import Identity

_API_ACTIONS = ("GetItem", "BatchGetItem", "Query", "PutItem")
_WORKER_ACTIONS = ("BatchGetItem", "PutItem")


class Portfolios(Construct):
    """The API of portfolios and trades, and the workers of drift reports, recalculations and forgotten work."""

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
        function.allow_table(self._data.market, ("BatchGetItem", "Query"))
        function.allow_sending(self._data.rebalance_requests, self._data.recalculations)
        return function

    def _worker(self) -> Function:
        """Takes rebalance requests off the queue; what it cannot settle goes back, and after five tries to the
        dead-letter queue."""
        config = self._shared.config
        function = Function(
            self,
            "OnRebalanceRequested",
            shared=self._shared,
            package="rebalancing_on_rebalance_requested",
            description="Decides rebalances taken from the queue",
            timeout_seconds=config.worker_timeout_seconds,
            environment={
                "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
                "SENDER_TENANTS": self._sender_tenants(),
            },
        )
        self._allow_table(function, _WORKER_ACTIONS)
        feed_from_queue(
            function,
            self._data.rebalance_requests,
            window_seconds=config.worker_batch_window_seconds,
            max_concurrency=config.worker_max_concurrency,
        )
        return function

    def _recalculator(self) -> Function:
        """Writes trades whose fold takes longer than a client can wait: one at a time, minutes if it has to be."""
        function = Function(
            self,
            "OnRecalculationRequested",
            shared=self._shared,
            package="ledger_on_recalculation_requested",
            description="Folds the trades of a symbol that has very many",
            memory_mb=1024,
            timeout_seconds=self._shared.config.recalculation_timeout_seconds,
            environment={
                "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
                "MARKET_TABLE": self._data.market.table_name,
            },
        )
        self._allow_table(function, ("GetItem", "BatchGetItem", "PutItem"))
        function.allow_indexes(self._data.portfolios, ("by_symbol",))
        function.allow_table(self._data.market, ("BatchGetItem",))
        feed_from_queue(function, self._data.recalculations, batch_size=1, max_concurrency=5)
        return function

    def _sweeper(self) -> Function:
        function = Function(
            self,
            "OnSweep",
            shared=self._shared,
            package="balancing_on_sweep",
            description="Sends again what was accepted and never decided, and wakes portfolios whose day has come",
            timeout_seconds=60,
            environment={
                **self._store_and_queue(),
                "CHECKS_QUEUE_URL": self._data.checks.url,
                "EXECUTIONS_QUEUE_URL": self._data.executions.url,
            },
            on_failure=self._data.sweeps_failed,
        )
        self._allow_table(function, _WORKER_ACTIONS)
        function.allow_indexes(self._data.portfolios, ("open_work", "calendar_due"))
        data = self._data
        function.allow_sending(data.rebalance_requests, data.recalculations, data.checks, data.executions)
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
            "REBALANCE_REQUESTS_QUEUE_URL": self._data.rebalance_requests.url,
            "RECALCULATIONS_QUEUE_URL": self._data.recalculations.url,
        }

    def _allow_table(self, function: Function, actions: Sequence[str], indexes: Sequence[str] = ()) -> None:
        table = self._data.portfolios.table_arn
        resources = [table, *(f"{table}/index/{index}" for index in indexes)]
        function.allow([f"dynamodb:{action}" for action in actions], resources)
