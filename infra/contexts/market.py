"""The market context: assets, daily bars, quotes and splits, shared by the portfolios of all tenants."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config import Config
from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext, removal_policy
from infra.constructs.function import WHOLE_PROCESSOR_MB, FunctionContext, LambdaFunction
from infra.constructs.policies import acknowledge
from infra.constructs.queues import FailureQueue, WorkQueue
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.settings import FileBars, MassiveBars
from infra.tables import MARKET


class RetainedMarket(Construct):
    """The table of the market, the public queue of quotes, the failed nights, and the bucket of bars if bars are files.

    Every provider that is configured with `quotes` may send to the queue.
    """

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        config = context.config
        self.table = retained_table(self, "Market", shape=MARKET, config=config)
        self.quotes = WorkQueue(
            self,
            "quotes",
            context=context,
            visibility_seconds=config.quote_visibility_seconds,
            senders=[provider for provider in config.providers if provider.quotes],
        )
        self.nights_failed = FailureQueue(
            self, "nights-failed", context=context, contents="nightly runs that failed every attempt"
        )
        self.bars = self._make_bucket(config) if isinstance(config.bars, FileBars) else None

    def _make_bucket(self, config: Config) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bars",
            encryption=s3.BucketEncryption.KMS if config.kms_key_arn else s3.BucketEncryption.S3_MANAGED,
            encryption_key=kms.Key.from_key_arn(self, "BarsKey", config.kms_key_arn) if config.kms_key_arn else None,
            bucket_key_enabled=bool(config.kms_key_arn),
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=config.stateful_protection,
            removal_policy=removal_policy(config),
        )
        acknowledge(bucket, "AwsSolutions-S1", "Market data is not private: access logs would reveal nothing.")
        CfnOutput(Stack.of(self), "BucketBars", value=bucket.bucket_name)
        return bucket


class MarketFunctions(Construct):
    """The API of the market, the worker that stores quotes, and the nightly ingestion of bars."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        market: RetainedMarket,
        watches: dynamodb.ITable,
        checks: WorkQueue,
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._market = market
        self._add_api_function(api)
        self._add_quote_worker(watches, checks)
        self._add_night_function()

    def _add_api_function(self, api: ApiGateway) -> None:
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            has_lists=True,
            package="market_api",
            description="Assets, bars, quotes and splits over HTTP",
            environment={
                "MARKET_TABLE": self._market.table.table_name,
                "QUOTES_QUEUE_URL": self._market.quotes.url,
            },
        )
        function.allow_table(self._market.table, ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"))
        function.allow_indexes(self._market.table, ("by_sector",))
        function.allow_sending(self._market.quotes)

    def _add_quote_worker(self, watches: dynamodb.ITable, checks: WorkQueue) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnQuoteReceived",
            context=self._context,
            work=self._market.quotes,
            package="market_on_quote_received",
            description="Stores quotes and requests checks of the affected portfolios",
            timeout_seconds=config.quote_timeout_seconds,
            memory_mb=WHOLE_PROCESSOR_MB,  # a batch may hold thousands of symbols
            gradual=True,
            environment={
                "MARKET_TABLE": self._market.table.table_name,
                "WATCHES_TABLE": watches.table_name,
                "WATCH_SHARDS": str(config.watch_shards),
                "CHECKS_QUEUE_URL": checks.url,
                "THREADS": str(config.threads),
            },
            window_seconds=config.worker_batch_window_seconds,
        )
        # Quotes outside the accepted range are judged against the stored quote, the asset and the last bar.
        worker.allow_table(self._market.table, ("UpdateItem", "BatchGetItem", "Query", "PutItem"))
        worker.allow_indexes(watches, ("upper_bound", "lower_bound"))
        worker.allow_sending(checks)

    def _add_night_function(self) -> None:
        """Run at 03:00 UTC: New York has closed in every season, and the files of the session are there."""
        config = self._context.config
        function = LambdaFunction(
            self,
            "OnNight",
            context=self._context,
            package="market_on_night",
            description="Ingests the daily bars of the last session",
            memory_mb=WHOLE_PROCESSOR_MB,  # a response of the provider holds the whole market
            timeout_seconds=config.night_timeout_seconds,
            environment={
                "MARKET_TABLE": self._market.table.table_name,
                "QUOTES_QUEUE_URL": self._market.quotes.url,
                **self._provider_settings(),
            },
            on_failure=self._market.nights_failed,
        )
        function.allow_table(self._market.table, ("GetItem", "BatchGetItem", "Query", "PutItem", "BatchWriteItem"))
        function.allow_indexes(self._market.table, ("by_sector",))
        function.allow_sending(self._market.quotes)
        self._allow_provider(function)
        events.Rule(
            self,
            "NightRule",
            description="Starts the ingestion of daily bars",
            schedule=events.Schedule.cron(minute="0", hour="3", week_day="TUE-SAT"),
            targets=[targets.LambdaFunction(function.function, retry_attempts=2)],
        )

    def _provider_settings(self) -> dict[str, str]:
        match self._context.config.bars:
            case FileBars(prefix, decimal):
                place = f"s3://{self._bucket().bucket_name}/{prefix}"
                mark = {"BARS_DECIMAL": decimal} if decimal else {}
                return {"BARS_PROVIDER": "file", "BARS_PLACE": place, **mark}
            case MassiveBars(secret_name, base_url, calls_per_minute):
                return {
                    "BARS_PROVIDER": "massive",
                    "MASSIVE_BASE_URL": base_url,
                    "MASSIVE_SECRET_ID": secret_name,
                    "MASSIVE_CALLS_PER_MINUTE": str(calls_per_minute),
                }

    def _allow_provider(self, function: LambdaFunction) -> None:
        match self._context.config.bars:
            case FileBars(prefix):
                self._allow_files(function, self._bucket(), prefix)
            case MassiveBars(secret_name):
                function.allow_table(self._market.table, ("UpdateItem",))  # the state of the circuit breaker
                function.allow_secret(secret_name)

    def _allow_files(self, function: LambdaFunction, bucket: s3.Bucket, prefix: str) -> None:
        function.allow(["s3:GetObject"], [bucket.arn_for_objects(f"{prefix}/*")])
        # Without ListBucket, S3 reports a missing file as a forbidden file.
        function.allow(["s3:ListBucket"], [bucket.bucket_arn])
        # The policy finding names the bucket by the export of the retained stack.
        exported = Stack.of(self).resolve(Stack.of(bucket).export_value(bucket.bucket_arn))["Fn::ImportValue"]
        reason = "The names of the daily files are not known beforehand."
        acknowledge(function.role, f"AwsSolutions-IAM5[Resource::{exported}/{prefix}/*]", reason)

    def _bucket(self) -> s3.Bucket:
        bucket = self._market.bars
        if bucket is None:
            raise ValueError("bars are configured as files, but the retained stack has no bucket for bars")
        return bucket
