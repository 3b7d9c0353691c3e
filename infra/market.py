"""The market context: quotes and splits, which belong to the platform and which every tenant's portfolios read."""

from constructs import Construct

from infra.api import Api
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue
from infra.function import Function, Shared
from infra.identity import Identity


class Market(Construct):
    """The API of the market context, and the worker that stores quotes and finds the portfolios that wait for them."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self._api_function(api, identity)
        self._quote_worker()

    def _api_function(self, api: Api, identity: Identity) -> None:
        function = Function(
            self,
            "Api",
            shared=self._shared,
            package="market_api",
            description="Quotes and splits over HTTP",
            environment={
                "MARKET_TABLE": self._data.market.table_name,
                "QUOTES_QUEUE_URL": self._data.quotes.url,
                "AUTH": identity.auth,
            },
        )
        identity.let_verify(function)
        function.allow_table(self._data.market, ("GetItem", "PutItem"))
        function.allow_sending(self._data.quotes)
        api.add(function, "market_api")

    def _quote_worker(self) -> None:
        config = self._shared.config
        function = Function(
            self,
            "OnQuoteReceived",
            shared=self._shared,
            package="market_on_quote_received",
            description="Stores quotes and asks for checks of the portfolios that they move",
            timeout_seconds=config.quote_timeout_seconds,
            memory_mb=1769,  # one whole processor: a batch may hold thousands of symbols
            environment={
                "MARKET_TABLE": self._data.market.table_name,
                "WATCHES_TABLE": self._data.watches.table_name,
                "WATCH_SHARDS": str(config.watch_shards),
                "CHECKS_QUEUE_URL": self._data.checks.url,
                "THREADS": str(config.threads),
            },
        )
        function.allow_table(self._data.market, ("UpdateItem",))
        function.allow_indexes(self._data.watches, ("upper_edge", "lower_edge"))
        function.allow_sending(self._data.checks)
        feed_from_queue(
            function,
            self._data.quotes,
            window_seconds=config.worker_batch_window_seconds,
            max_concurrency=config.worker_max_concurrency,
        )
