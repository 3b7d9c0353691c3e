"""The execution module: planned rebalances are executed through the configured broker."""

import json

from constructs import Construct

from infra.config import ROOT
from infra.constructs.context import StackContext
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import WorkQueue
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.contexts.market import RetainedMarket
from infra.contexts.portfolio import RetainedPortfolio
from infra.settings import Alpaca, Paper
from infra.tables import PAPER
from trimtab.portfolios.execution.paper_scenario import parse_scenario

_LEASE_BEYOND_TIMEOUT_SECONDS = 30


class RetainedExecution(Construct):
    """The queue of executions, and the table of the paper broker, which also holds the circuit breaker of Alpaca."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        self.paper = retained_table(self, "Paper", shape=PAPER, config=context.config)
        self.executions = WorkQueue(
            self,
            "rebalance-executions",
            context=context,
            visibility_seconds=context.config.execution_visibility_seconds,
        )


class ExecutionFunctions(Construct):
    """The worker of executions: one rebalance per batch, as long as the broker takes."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        portfolio: RetainedPortfolio,
        execution: RetainedExecution,
        market: RetainedMarket,
    ) -> None:
        super().__init__(scope, id)
        config, broker = context.config, BrokerAccess(context.config.broker, execution, market)
        worker = Worker(
            self,
            "OnExecutionRequested",
            context=context,
            work=execution.executions,
            package="execution_on_execution_requested",
            description="Executes planned rebalances through the broker",
            memory_mb=1024,
            timeout_seconds=config.execution_timeout_seconds,
            gradual=True,
            environment={
                **broker.settings(),
                **config.controls.settings(),
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "EXECUTIONS_QUEUE_URL": execution.executions.url,
                "LEASE_SECONDS": str(config.execution_timeout_seconds + _LEASE_BEYOND_TIMEOUT_SECONDS),
                "ORDER_SECONDS": str(config.order_seconds),
                "REVERSAL_SECONDS": str(config.reversal_seconds),
                "HALT_SECONDS": str(config.halt_seconds),
                "BACKOFF_SECONDS": str(config.backoff_seconds),
                "MAX_BACKOFF_SECONDS": str(config.max_backoff_seconds),
                "QUARANTINE_SECONDS": str(config.quarantine_seconds),
                "HALT_WINDOW_SECONDS": str(config.halt_window_seconds),
                "HALT_REFUSALS": str(config.halt_refusals),
                "HALT_ROLLBACKS": str(config.halt_rollbacks),
                "THREADS": str(config.threads),
            },
            batch_size=1,
            max_concurrency=config.execution_max_concurrency,
        )
        worker.allow_table(portfolio.table, ("BatchGetItem", "GetItem", "PutItem"))  # GetItem: the messages of a minute
        worker.allow_indexes(portfolio.table, ("by_symbol",))
        worker.allow_table(market.table, ("BatchGetItem",))
        worker.allow_sending(execution.executions)
        broker.allow_trading(worker)


class BrokerAccess:
    """Settings and grants for functions with access to the configured broker."""

    def __init__(self, broker: Paper | Alpaca, execution: RetainedExecution, market: RetainedMarket) -> None:
        self._broker = broker
        self._paper = execution.paper
        self._market = market.table

    def terms(self) -> dict[str, str]:
        """Return the environment variables of a function that plans orders for the broker."""
        match self._broker:
            case Paper(scenario, sessions):
                paper = {"PAPER_SESSIONS": str(sessions).lower(), "PAPER_SCENARIO": scenario_text(scenario)}
                return {"BROKER": "paper", **paper}
            case Alpaca(secret_name, base_url):
                return {"BROKER": "alpaca", "ALPACA_BASE_URL": base_url, "ALPACA_SECRET_ID": secret_name}

    def settings(self) -> dict[str, str]:
        """Return the environment variables of a function that calls the broker."""
        return {"MARKET_TABLE": self._market.table_name, "PAPER_TABLE": self._paper.table_name, **self.terms()}

    def allow_trading(self, function: LambdaFunction) -> None:
        """Grant sending orders."""
        match self._broker:
            case Paper():
                function.allow_table(self._paper, ("GetItem", "PutItem", "Query"))
                function.allow_table(self._market, ("GetItem",))
            case Alpaca(secret_name):
                self._allow_alpaca(function, secret_name)

    def allow_reading_account(self, function: LambdaFunction) -> None:
        """Grant reading the cash and the positions of the account."""
        match self._broker:
            case Paper():
                function.allow_table(self._paper, ("Query",))
            case Alpaca(secret_name):
                self._allow_alpaca(function, secret_name)

    def _allow_alpaca(self, function: LambdaFunction, secret_name: str) -> None:
        """Grant the keys of Alpaca, and the state of the circuit breaker in the table of the paper broker."""
        function.allow_table(self._paper, ("GetItem", "PutItem", "UpdateItem"))
        function.allow_secret(secret_name)


def scenario_text(path: str | None) -> str:
    """Return the scenario in the file as one line of JSON, or an empty scenario without a file.

    Raises ValueError naming the wrong rule, so that the synthesis fails instead of the function.
    """
    if path is None:
        return "[]"
    text = (ROOT / path).read_text()
    parse_scenario(text)
    return json.dumps(json.loads(text), separators=(",", ":"))
