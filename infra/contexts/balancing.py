"""The auto-balancing module: price watches, checks, the sweeper, and the API that controls rebalances."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.event_sources import add_stream_source
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import FailureQueue, WorkQueue
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.contexts.execution import BrokerAccess, RetainedExecution
from infra.contexts.ledger import RetainedLedger
from infra.contexts.market import RetainedMarket
from infra.contexts.portfolio import RetainedPortfolio
from infra.contexts.rebalancing import RetainedRebalancing
from infra.tables import WATCHES

_SWEEP_MINUTES = 5
# Portfolios whose price watches must be written again. `exists` matches leaves only, hence the `S`.
_NEEDS_WATCHES = {"sk": {"S": ["PORTFOLIO"]}, "evaluation_due": {"S": lambda_.FilterRule.exists()}}


class RetainedBalancing(Construct):
    """The table of price watches, the queue of checks, and the failures of the change listener and the sweeper."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        self.watches = retained_table(self, "Watches", shape=WATCHES, config=context.config)
        self.checks = WorkQueue(
            self, "checks", context=context, visibility_seconds=context.config.worker_visibility_seconds
        )
        self.changes_unchecked = FailureQueue(
            self, "changes-unchecked", context=context, contents="changes for which no check could be requested"
        )
        self.sweeps_failed = FailureQueue(
            self, "sweeps-failed", context=context, contents="sweeps that failed every attempt"
        )


class BalancingFunctions(Construct):
    """The functions for finding portfolios to rebalance and for planning the orders."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        portfolio: RetainedPortfolio,
        ledger: RetainedLedger,
        rebalancing: RetainedRebalancing,
        execution: RetainedExecution,
        balancing: RetainedBalancing,
        market: RetainedMarket,
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._portfolios = portfolio.table
        self._ledger = ledger
        self._rebalancing = rebalancing
        self._execution = execution
        self._balancing = balancing
        self._market = market
        self._add_change_listener()
        self._add_check_worker()
        self.sweeper = self._add_sweeper()
        self._add_api_function(api)

    def _add_change_listener(self) -> None:
        function = LambdaFunction(
            self,
            "OnCommit",
            context=self._context,
            package="balancing_on_commit",
            description="Requests checks of portfolios after changes of holdings, target or policy",
            timeout_seconds=30,
            environment={"CHECKS_QUEUE_URL": self._balancing.checks.url},
        )
        function.allow_sending(self._balancing.checks)
        # The sweeper does not find changes that failed for good; the alarm of this queue reports them.
        add_stream_source(function, self._portfolios, _NEEDS_WATCHES, self._balancing.changes_unchecked)

    def _add_check_worker(self) -> None:
        config = self._context.config
        broker = BrokerAccess(config.broker, self._execution, self._market)
        worker = Worker(
            self,
            "OnCheckRequested",
            context=self._context,
            work=self._balancing.checks,
            package="balancing_on_check_requested",
            description="Plans rebalances and rewrites price watches",
            memory_mb=1024,
            timeout_seconds=config.worker_timeout_seconds,
            gradual=True,
            environment={
                **broker.terms(),
                "PORTFOLIOS_TABLE": self._portfolios.table_name,
                "MARKET_TABLE": self._market.table.table_name,
                "WATCHES_TABLE": self._balancing.watches.table_name,
                "WATCH_SHARDS": str(config.watch_shards),
                "RUN_SECONDS": str(config.run_seconds),
                **config.controls.settings(),
                "HALT_WINDOW_SECONDS": str(config.halt_window_seconds),
                "HALT_REFUSALS": str(config.halt_refusals),
                "HALT_HELD_PRICES": str(config.halt_held_prices),
                "EXECUTIONS_QUEUE_URL": self._execution.executions.url,
            },
        )
        worker.allow_table(self._portfolios, ("GetItem", "BatchGetItem", "PutItem"))
        worker.allow_indexes(self._portfolios, ("by_symbol",))
        worker.allow_table(self._market.table, ("BatchGetItem", "Query"))
        worker.allow_table(self._balancing.watches, ("PutItem", "DeleteItem"))
        worker.allow_sending(self._execution.executions)

    def _add_sweeper(self) -> LambdaFunction:
        requests, recalculations = self._rebalancing.requests, self._ledger.recalculations
        checks, executions = self._balancing.checks, self._execution.executions
        function = LambdaFunction(
            self,
            "OnSweep",
            context=self._context,
            package="balancing_on_sweep",
            description="Resends accepted work that was never decided, and wakes portfolios that are due",
            timeout_seconds=60,
            environment={
                "PORTFOLIOS_TABLE": self._portfolios.table_name,
                "REBALANCE_REQUESTS_QUEUE_URL": requests.url,
                "RECALCULATIONS_QUEUE_URL": recalculations.url,
                "CHECKS_QUEUE_URL": checks.url,
                "EXECUTIONS_QUEUE_URL": executions.url,
            },
            on_failure=self._balancing.sweeps_failed,
        )
        function.allow_table(self._portfolios, ("BatchGetItem", "PutItem"))
        function.allow_indexes(self._portfolios, ("pending_jobs", "calendar_due"))
        function.allow_sending(requests, recalculations, checks, executions)
        interval = Duration.minutes(_SWEEP_MINUTES)
        events.Rule(
            self,
            "SweepRule",
            description="Starts the sweeper",
            schedule=events.Schedule.rate(interval),
            targets=[targets.LambdaFunction(function.function, retry_attempts=2, max_event_age=interval)],
        )
        return function

    def _add_api_function(self, api: ApiGateway) -> None:
        broker = BrokerAccess(self._context.config.broker, self._execution, self._market)
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            package="balancing_api",
            description="Rebalances, cancellations, resolutions and halts over HTTP",
            memory_mb=1024,
            environment={
                **self._context.config.controls.settings(),
                **broker.settings(),
                "PORTFOLIOS_TABLE": self._portfolios.table_name,
                "CHECKS_QUEUE_URL": self._balancing.checks.url,
                "EXECUTIONS_QUEUE_URL": self._execution.executions.url,
            },
        )
        function.allow_table(self._portfolios, ("GetItem", "BatchGetItem", "PutItem"))
        function.allow_indexes(self._portfolios, ("by_symbol",))
        function.allow_table(self._market.table, ("BatchGetItem", "Query"))
        function.allow_sending(self._balancing.checks, self._execution.executions)
        broker.allow_reading_account(function)
