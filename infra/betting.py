"""The betting context: its API, and the workers of insights, settlements and closings."""

from collections.abc import Sequence

from aws_cdk import Stack
from constructs import Construct

from infra.api import Api
from infra.config import Config
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue, feed_from_stream
from infra.function import Function, Shared
from infra.identity import Identity
from trimtab.kernel.money import parse_number, plain

# Open orders, whose market may have been closed just after them, and markets that were closed. All others pass by.
_MAY_NEED_SETTLING = {"sk": {"S": ["ORDER", "MARKET"]}, "status": {"S": ["OPEN", "CLOSED"]}}


class Betting(Construct):
    """Functions of betting orders, wired to their table and queues."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self._api_functions(api, identity)
        self._insight_worker()
        self._settlement_worker()
        self._closing_listener()

    def _api_functions(self, api: Api, identity: Identity) -> None:
        """The same operations twice: over REST, and as RPCs with what those import beside."""
        rest = self._for_clients("Api", identity, "betting_api", "Betting orders, positions and settlements over HTTP")
        api.add(rest, "betting_api")
        rpc = self._for_clients("Rpc", identity, "betting_rpc", "The same over Connect", more_layers=("rpc",))
        api.add(rpc, "betting_rpc")

    def _for_clients(
        self, id: str, identity: Identity, package: str, description: str, more_layers: Sequence[str] = ()
    ) -> Function:
        config, data = self._shared.config, self._data
        function = Function(
            self,
            id,
            shared=self._shared,
            package=package,
            description=description,
            memory_mb=1024,
            environment={
                **self._store_and_queue(),
                **_limits(config),
                "AUTH": identity.auth,
            },
            more_layers=more_layers,
        )
        identity.let_verify(function)
        actions = ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "ConditionCheckItem")
        function.allow_table(data.betting, actions)
        function.allow_indexes(data.betting, ("by_user", "by_market", "by_open_user", "by_open_market"))
        function.allow_sending(data.settlements)
        return function

    def _insight_worker(self) -> None:
        config = self._shared.config
        function = Function(
            self,
            "OnInsightReceived",
            shared=self._shared,
            package="betting_on_insight_received",
            description="Keeps the newest insight of each selection",
            timeout_seconds=config.worker_timeout_seconds,
            environment={"BETTING_TABLE": self._data.betting.table_name, "SENDER_TENANTS": self._sender_tenants()},
        )
        function.allow_table(self._data.betting, ("UpdateItem",))
        feed_from_queue(
            function,
            self._data.insights,
            window_seconds=config.worker_batch_window_seconds,
            max_concurrency=config.worker_max_concurrency,
        )

    def _settlement_worker(self) -> None:
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnSettlementRequested",
            shared=self._shared,
            package="betting_on_settlement_requested",
            description="Settles the open orders of closed markets",
            memory_mb=1024,
            timeout_seconds=config.settlement_timeout_seconds,
            environment={
                **self._store_and_queue(),
                "SETTLEMENT_RECHECK_SECONDS": str(config.settlement_recheck_seconds),
            },
        )
        function.allow_table(data.betting, ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"))
        function.allow_indexes(data.betting, ("by_open_market",))
        function.allow_sending(data.settlements)
        feed_from_queue(function, data.settlements, batch_size=5, max_concurrency=config.settlement_max_concurrency)

    def _closing_listener(self) -> None:
        data = self._data
        function = Function(
            self,
            "OnCommit",
            shared=self._shared,
            package="betting_on_commit",
            description="Asks for the settlement of closed markets and of orders that raced the closing",
            timeout_seconds=30,
            environment=self._store_and_queue(),
        )
        function.allow_table(data.betting, ("BatchGetItem",))
        function.allow_sending(data.settlements)
        feed_from_stream(function, data.betting, _MAY_NEED_SETTLING, data.closings_unsettled)
        self._shared.alarms.stream_age(function.function, "betting_on_commit")

    def _sender_tenants(self) -> str:
        """Who may speak for which tenants on the queue of insights."""
        if self._shared.config.any_sender:
            return '{"*": ["*"]}'
        providers = [it for it in self._shared.config.providers if it.insights]
        return Stack.of(self).to_json_string({it.sender_id: list(it.tenants) for it in providers})

    def _store_and_queue(self) -> dict[str, str]:
        return {
            "BETTING_TABLE": self._data.betting.table_name,
            "SETTLEMENTS_QUEUE_URL": self._data.settlements.url,
        }


def _limits(config: Config) -> dict[str, str]:
    """What is asked of orders; a number that is none fails the synthesis and not the function."""
    limits = {"MAX_STAKE": config.max_stake, "MAX_EXPOSURE": config.max_exposure}
    if config.minimum_expected_value:
        limits["MINIMUM_EXPECTED_VALUE"] = config.minimum_expected_value
    return {name: plain(parse_number(text)) for name, text in limits.items()}
