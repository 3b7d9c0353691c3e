"""The market context: assets, bars, quotes and splits belong to the platform, and every tenant's portfolios read
them."""

from aws_cdk import Aws, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.api import Api
from infra.config import FileBars, Massive
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue
from infra.function import Function, Shared, account_and_region
from infra.identity import Identity
from infra.policies import acknowledge


class Market(Construct):
    """The API of the market context, the worker that stores quotes and finds the portfolios that wait for them, and the
    nightly ingestion of bars."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self._api_function(api, identity)
        self._quote_worker()
        self._night()

    def _api_function(self, api: Api, identity: Identity) -> None:
        function = Function(
            self,
            "Api",
            shared=self._shared,
            package="market_api",
            description="Assets, bars, quotes and splits over HTTP",
            environment={
                "MARKET_TABLE": self._data.market.table_name,
                "QUOTES_QUEUE_URL": self._data.quotes.url,
                "AUTH": identity.auth,
            },
        )
        identity.let_verify(function)
        function.allow_table(self._data.market, ("GetItem", "BatchGetItem", "Query", "PutItem"))
        function.allow_indexes(self._data.market, ("by_sector",))
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

    def _night(self) -> None:
        """At three in the morning (UTC) New York has closed, whatever the season, and its files are there."""
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnNight",
            shared=self._shared,
            package="market_on_night",
            description="Takes in the daily bars of the session before",
            memory_mb=1769,  # one whole processor: an answer holds the whole market
            timeout_seconds=config.night_timeout_seconds,
            environment={
                "MARKET_TABLE": data.market.table_name,
                "MAX_JUMP_PERCENT": str(config.max_jump_percent),
                **self._bars_settings(),
            },
            on_failure=data.nights_failed,
        )
        function.allow_table(data.market, ("GetItem", "BatchGetItem", "PutItem", "BatchWriteItem"))
        function.allow_indexes(data.market, ("by_sector",))
        self._allow_provider(function)
        events.Rule(
            self,
            "NightRule",
            description="Takes in daily bars",
            schedule=events.Schedule.cron(minute="0", hour="3", week_day="TUE-SAT"),
            targets=[targets.LambdaFunction(function.function, retry_attempts=2)],
        )

    def _bars_settings(self) -> dict[str, str]:
        match self._shared.config.bars:
            case FileBars(prefix):
                return {"BARS_PROVIDER": "file", "BARS_PLACE": f"s3://{self._bucket().bucket_name}/{prefix}"}
            case Massive(secret_name, base_url, calls_per_minute):
                return {
                    "BARS_PROVIDER": "massive",
                    "MASSIVE_BASE_URL": base_url,
                    "MASSIVE_SECRET_ID": secret_name,
                    "MASSIVE_CALLS_PER_MINUTE": str(calls_per_minute),
                }

    def _allow_provider(self, function: Function) -> None:
        match self._shared.config.bars:
            case FileBars(prefix):
                bucket = self._bucket()
                function.allow(["s3:GetObject"], [bucket.arn_for_objects(f"{prefix}/*")])
                # Without this a file that is not there looks like one that may not be read.
                function.allow(["s3:ListBucket"], [bucket.bucket_arn])
                # The finding names the bucket as the other stack exports it.
                exported = Stack.of(self).resolve(Stack.of(bucket).export_value(bucket.bucket_arn))["Fn::ImportValue"]
                reason = "The files of the days: their names are not known beforehand."
                acknowledge(function.role, f"AwsSolutions-IAM5[Resource::{exported}/{prefix}/*]", reason)
            case Massive(secret_name):
                # The key, and the state of the circuit in the market's table.
                function.allow_table(self._data.market, ("UpdateItem",))
                # Secrets Manager puts six characters of its own behind each name.
                arn = f"arn:{Aws.PARTITION}:secretsmanager:{account_and_region(self)}:secret:{secret_name}-??????"
                function.allow(["secretsmanager:GetSecretValue"], [arn])

    def _bucket(self) -> s3.Bucket:
        bucket = self._data.bars
        if bucket is None:
            raise ValueError("bars come as files, and there is no bucket for them")
        return bucket
