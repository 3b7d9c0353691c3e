"""The betting context: orders over REST and Connect, insights of providers, settlements."""

from collections.abc import Sequence

from constructs import Construct

from infra.config import Config
from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.event_sources import add_stream_source
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.queues import FailureQueue, WorkQueue
from infra.constructs.redrive import RedriveRole, sender_tenants
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.tables import BETTING
from trimtab.kernel.money import parse_number, plain

# Open orders, whose market may have closed just after the order, and markets with results. Others are filtered out.
_MAY_NEED_SETTLING = {"sk": {"S": ["ORDER", "MARKET"]}, "status": {"S": ["OPEN", "CLOSED"]}}


class RetainedBetting(Construct):
    """The table of betting, the public queue of insights, the queue of settlements, and the unsettled closings.

    Every provider that is configured with `insights` may send insights.
    """

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        config = context.config
        self.table = retained_table(self, "Betting", shape=BETTING, config=config)
        self.insights = WorkQueue(
            self,
            "insights",
            context=context,
            visibility_seconds=config.worker_visibility_seconds,
            senders=[provider for provider in config.providers if provider.insights],
        )
        self.settlements = WorkQueue(
            self, "settlements", context=context, visibility_seconds=config.settlement_visibility_seconds
        )
        self.closings_unsettled = FailureQueue(
            self, "closings-unsettled", context=context, contents="closings for which no settlement was requested"
        )


class BettingFunctions(Construct):
    """The two APIs of betting, the workers of insights and settlements, and the listener for markets with results."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        betting: RetainedBetting,
        redrive: RedriveRole | None,
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._betting = betting
        self._redrive = redrive
        self._add_api_function(api, "Api", "betting_api", "Betting orders, positions and settlements over HTTP")
        self._add_api_function(
            api, "Rpc", "betting_rpc", "Betting orders, positions and settlements over Connect", extra_layers=("rpc",)
        )
        self._add_insight_worker()
        self._add_settlement_worker()
        self._add_closing_listener()

    def _add_api_function(
        self, api: ApiGateway, id: str, package: str, description: str, extra_layers: Sequence[str] = ()
    ) -> None:
        """Add a function for clients; REST and Connect offer the same operations."""
        function = ApiFunction(
            self,
            id,
            context=self._context,
            api=api,
            has_lists=True,
            package=package,
            description=description,
            memory_mb=1024,
            environment=betting_environment(self._betting, self._context.config),
            extra_layers=extra_layers,
        )
        actions = ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "ConditionCheckItem")
        function.allow_table(self._betting.table, actions)
        function.allow_indexes(self._betting.table, ("by_user", "by_market", "by_open_user", "by_open_market"))
        function.allow_sending(self._betting.settlements)

    def _add_insight_worker(self) -> None:
        config = self._context.config
        tipsters = [provider for provider in config.providers if provider.insights]
        worker = Worker(
            self,
            "OnInsightReceived",
            context=self._context,
            work=self._betting.insights,
            package="betting_on_insight_received",
            description="Stores the newest insight on each selection",
            timeout_seconds=config.worker_timeout_seconds,
            environment={
                "BETTING_TABLE": self._betting.table.table_name,
                "SENDER_TENANTS": sender_tenants(self, config, redrive=self._redrive, providers=tipsters),
            },
            window_seconds=config.worker_batch_window_seconds,
        )
        worker.allow_table(self._betting.table, ("UpdateItem",))

    def _add_settlement_worker(self) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnSettlementRequested",
            context=self._context,
            work=self._betting.settlements,
            package="betting_on_settlement_requested",
            description="Settles the open orders of markets with results",
            memory_mb=1024,
            timeout_seconds=config.settlement_timeout_seconds,
            environment={
                **_table_and_queue(self._betting),
                "SETTLEMENT_RECHECK_SECONDS": str(config.settlement_recheck_seconds),
            },
            batch_size=5,
            max_concurrency=config.settlement_max_concurrency,
        )
        actions = ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "ConditionCheckItem")
        worker.allow_table(self._betting.table, actions)
        worker.allow_indexes(self._betting.table, ("by_open_market", "by_user", "by_market"))
        worker.allow_sending(self._betting.settlements)

    def _add_closing_listener(self) -> None:
        function = LambdaFunction(
            self,
            "OnCommit",
            context=self._context,
            package="betting_on_commit",
            description="Requests the settlement of markets with results and of orders that raced the closing",
            timeout_seconds=30,
            environment=_table_and_queue(self._betting),
        )
        function.allow_table(self._betting.table, ("BatchGetItem",))
        function.allow_sending(self._betting.settlements)
        add_stream_source(function, self._betting.table, _MAY_NEED_SETTLING, self._betting.closings_unsettled)


def betting_environment(betting: RetainedBetting, config: Config) -> dict[str, str]:
    """Return the environment variables of a function for clients, as `BettingSettings` reads them."""
    return {**_table_and_queue(betting), **_limits(config)}


def _table_and_queue(betting: RetainedBetting) -> dict[str, str]:
    return {"BETTING_TABLE": betting.table.table_name, "SETTLEMENTS_QUEUE_URL": betting.settlements.url}


def _limits(config: Config) -> dict[str, str]:
    """Return the limits of orders as environment variables; an invalid number fails the synthesis."""
    limits = {"MAX_STAKE": config.max_stake, "MAX_EXPOSURE": config.max_exposure}
    if config.minimum_expected_value:
        limits["MINIMUM_EXPECTED_VALUE"] = config.minimum_expected_value
    if config.number_of_winners:
        limits["NUMBER_OF_WINNERS"] = str(config.number_of_winners)
    numbers = {name: plain(parse_number(text)) for name, text in limits.items()}
    choices = {"ODDS_LADDER": config.odds_ladder.value, "EXPOSURE_LIMIT": config.exposure_limit.value}
    return {**choices, **numbers}
