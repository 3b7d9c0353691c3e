"""The auto-balancer of the portfolios context: checks, executions through the broker, and the API that steers them."""

import json

from aws_cdk import Aws
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.api import Api
from infra.config import ROOT, Alpaca, Paper
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue, feed_from_stream
from infra.function import Function, Shared, account_and_region
from infra.identity import Identity
from trimtab.portfolios.execution.paper_scenario import parse_scenario

_LEASE_BEYOND_TIMEOUT_SECONDS = 30
# Portfolios whose price watches have to be written again. `exists` matches leaves only, hence the `S`.
_NEEDS_WATCHES = {"sk": {"S": ["PORTFOLIO"]}, "watch_due": {"S": lambda_.FilterRule.exists()}}


class Balancing(Construct):
    """Functions that find the portfolios to rebalance and trade them, wired to tables, queues and broker."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self._broker = shared.config.broker
        self._change_listener()
        self._check_worker()
        self._execution_worker()
        self._api_function(api, identity)

    def _change_listener(self) -> None:
        function = Function(
            self,
            "OnCommit",
            shared=self._shared,
            package="balancing_on_commit",
            description="Asks for checks of portfolios whose holdings, target or policy changed",
            timeout_seconds=30,
            environment={"CHECKS_QUEUE_URL": self._data.checks.url},
        )
        function.allow_sending(self._data.checks)
        # What failed for good is told to this queue; the sweeper finds none of it, so an alarm does.
        feed_from_stream(function, self._data.portfolios, _NEEDS_WATCHES, self._data.changes_unchecked)
        self._shared.alarms.stream_age(function.function, "balancing_on_commit")

    def _check_worker(self) -> None:
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnCheckRequested",
            shared=self._shared,
            package="balancing_on_check_requested",
            description="Plans rebalances, or writes price watches again",
            memory_mb=1024,
            timeout_seconds=config.worker_timeout_seconds,
            environment={
                "PORTFOLIOS_TABLE": data.portfolios.table_name,
                "MARKET_TABLE": data.market.table_name,
                "WATCHES_TABLE": data.watches.table_name,
                "WATCH_SHARDS": str(config.watch_shards),
                "RUN_SECONDS": str(config.run_seconds),
                "EXECUTIONS_QUEUE_URL": data.executions.url,
            },
        )
        function.allow_table(data.portfolios, ("GetItem", "BatchGetItem", "PutItem"))
        function.allow_indexes(data.portfolios, ("by_symbol",))
        function.allow_table(data.market, ("BatchGetItem",))
        function.allow_table(data.watches, ("PutItem", "DeleteItem"))
        function.allow_sending(data.executions)
        feed_from_queue(function, data.checks, max_concurrency=config.worker_max_concurrency)

    def _execution_worker(self) -> None:
        """One rebalance a batch: it may take as long as the broker does."""
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnExecutionRequested",
            shared=self._shared,
            package="execution_on_execution_requested",
            description="Executes planned rebalances through the broker",
            memory_mb=1024,
            timeout_seconds=config.execution_timeout_seconds,
            environment={
                **self._broker_settings(),
                "PORTFOLIOS_TABLE": data.portfolios.table_name,
                "EXECUTIONS_QUEUE_URL": data.executions.url,
                "LEASE_SECONDS": str(config.execution_timeout_seconds + _LEASE_BEYOND_TIMEOUT_SECONDS),
                "ORDER_SECONDS": str(config.order_seconds),
                "REVERSAL_SECONDS": str(config.reversal_seconds),
                "HALT_SECONDS": str(config.halt_seconds),
                "THREADS": str(config.threads),
            },
        )
        function.allow_table(data.portfolios, ("BatchGetItem", "PutItem"))
        function.allow_indexes(data.portfolios, ("by_symbol",))
        function.allow_table(data.market, ("BatchGetItem",))
        function.allow_sending(data.executions)
        self._allow_trading(function)
        feed_from_queue(function, data.executions, batch_size=1, max_concurrency=config.execution_max_concurrency)

    def _api_function(self, api: Api, identity: Identity) -> None:
        data = self._data
        function = Function(
            self,
            "Api",
            shared=self._shared,
            package="balancing_api",
            description="Runs, cancels, resolutions and halts over HTTP",
            memory_mb=1024,
            environment={
                **self._broker_settings(),
                "PORTFOLIOS_TABLE": data.portfolios.table_name,
                "CHECKS_QUEUE_URL": data.checks.url,
                "EXECUTIONS_QUEUE_URL": data.executions.url,
                "AUTH": identity.auth,
            },
        )
        identity.let_verify(function)
        function.allow_table(data.portfolios, ("GetItem", "BatchGetItem", "PutItem"))
        function.allow_indexes(data.portfolios, ("by_symbol",))
        function.allow_table(data.market, ("BatchGetItem",))
        function.allow_sending(data.checks, data.executions)
        self._allow_reading_the_account(function)
        api.add(function, "balancing_api")

    # The broker --------------------------------------------------------------------------------------------------

    def _broker_settings(self) -> dict[str, str]:
        both = {"MARKET_TABLE": self._data.market.table_name, "PAPER_TABLE": self._data.paper.table_name}
        match self._broker:
            case Paper(scenario):
                return {**both, "BROKER": "paper", "PAPER_SCENARIO": scenario_text(scenario)}
            case Alpaca(secret_name, base_url):
                alpaca = {"ALPACA_BASE_URL": base_url, "ALPACA_SECRET_ID": secret_name}
                return {**both, "BROKER": "alpaca", **alpaca}

    def _allow_trading(self, function: Function) -> None:
        if isinstance(self._broker, Alpaca):
            self._allow_alpaca(function, self._broker)
        else:
            function.allow_table(self._data.paper, ("GetItem", "PutItem", "Query"))
            function.allow_table(self._data.market, ("GetItem",))

    def _allow_reading_the_account(self, function: Function) -> None:
        if isinstance(self._broker, Alpaca):
            self._allow_alpaca(function, self._broker)
        else:
            function.allow_table(self._data.paper, ("Query",))

    def _allow_alpaca(self, function: Function, alpaca: Alpaca) -> None:
        """The keys, and the state of the circuit in the paper broker's table."""
        function.allow_table(self._data.paper, ("GetItem", "PutItem", "UpdateItem"))
        # Secrets Manager puts six characters of its own behind each name.
        arn = f"arn:{Aws.PARTITION}:secretsmanager:{account_and_region(self)}:secret:{alpaca.secret_name}-??????"
        function.allow(["secretsmanager:GetSecretValue"], [arn])


def scenario_text(path: str | None) -> str:
    """The scenario in that file on one line; `ValueError` names what is wrong in it, so that the synthesis fails and
    not the function."""
    if path is None:
        return "[]"
    text = (ROOT / path).read_text()
    parse_scenario(text)
    return json.dumps(json.loads(text), separators=(",", ":"))
