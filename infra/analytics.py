"""The analytics context: its API, the workers that value portfolios and report on them, and what asks them to."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.api import Api
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue
from infra.function import Function, Shared
from infra.identity import Identity
from infra.notifications import let_mail
from trimtab.contracts.events import SOURCE


class Analytics(Construct):
    """Functions that work out what portfolios were worth, returned and risked."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self._api_function(api, identity)
        self._valuation_worker()
        self._report_worker()
        self._night_function()

    def _api_function(self, api: Api, identity: Identity) -> None:
        data = self._data
        function = Function(
            self,
            "Api",
            shared=self._shared,
            package="analytics_api",
            description="Figures and pictures of portfolios over HTTP",
            memory_mb=1769,  # one whole processor: years of daily values are put through statistics
            environment={
                **self._tables(),
                "VALUATIONS_QUEUE_URL": data.valuations.url,
                "REPORTS_QUEUE_URL": data.reports.url,
                "LINKS_SECRET_ID": data.links_key.secret_arn,
                "PUBLIC_URL": api.url,
                "AUTH": identity.auth,
            },
        )
        identity.let_verify(function)
        self._let_read(function)
        function.allow_table(data.market, ("Query",))  # the bars of a benchmark
        function.allow_table(data.analytics, ("GetItem", "Query", "PutItem"))
        function.allow_sending(data.valuations, data.reports)
        function.allow(["secretsmanager:GetSecretValue"], [data.links_key.secret_full_arn or data.links_key.secret_arn])
        api.add(function, "analytics_api")

    def _valuation_worker(self) -> None:
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnValuationRequested",
            shared=self._shared,
            package="analytics_on_valuation_requested",
            description="Works out the daily values of portfolios and looks at their alert rules",
            memory_mb=1769,
            timeout_seconds=config.valuation_timeout_seconds,
            environment=self._tables(),
        )
        self._let_read(function)
        function.allow_indexes(data.portfolios, ("by_time",))
        function.allow_table(data.market, ("Query",))
        function.allow_table(data.analytics, ("GetItem", "Query", "PutItem", "BatchWriteItem"))
        feed_from_queue(
            function,
            data.valuations,
            window_seconds=config.worker_batch_window_seconds,
            max_concurrency=config.worker_max_concurrency,
        )

    def _report_worker(self) -> None:
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnReportRequested",
            shared=self._shared,
            package="analytics_on_report_requested",
            description="Writes the monthly reports of portfolios and sends them",
            memory_mb=1769,
            timeout_seconds=config.valuation_timeout_seconds,
            environment={
                **self._tables(),
                "NOTIFICATIONS_TABLE": data.notifications.table_name,
                "MAIL_SENDER": config.mail_sender,
            },
        )
        self._let_read(function)
        function.allow_table(data.analytics, ("GetItem", "Query"))
        let_mail(function, data, config.mail_sender)
        feed_from_queue(function, data.reports, batch_size=1, max_concurrency=config.worker_max_concurrency)

    def _night_function(self) -> None:
        """Every portfolio of the platform in one pass, a page at a time: ten are asked for in a call."""
        data = self._data
        function = Function(
            self,
            "OnNight",
            shared=self._shared,
            package="analytics_on_night",
            description="Asks for the valuation of every portfolio, and for its report once a month is over",
            timeout_seconds=900,
            environment={
                "ANALYTICS_TABLE": data.analytics.table_name,
                "VALUATIONS_QUEUE_URL": data.valuations.url,
                "REPORTS_QUEUE_URL": data.reports.url,
            },
            on_failure=data.nights_failed,
        )
        function.allow_table(data.analytics, ("BatchGetItem",))
        function.allow_indexes(data.analytics, ("valued",))
        function.allow_sending(data.valuations, data.reports)
        target = targets.LambdaFunction(function.function, retry_attempts=2, max_event_age=Duration.hours(1))
        events.Rule(
            self,
            "PastRule",
            description="The bars of a day are stored, or a split is",
            event_bus=data.event_bus,
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=["bars.ingested", "split.entered"]),
            targets=[target],
        )
        # A night that failed has marked nothing, so that nothing told of it: rules that watch for missing prices are
        # looked at when bars are late, which is at noon.
        late = events.RuleTargetInput.from_object({"detail-type": "bars.late"})
        events.Rule(
            self,
            "LateRule",
            description="Bars of the session before that are not there by now are late",
            schedule=events.Schedule.cron(minute="5", hour="12", week_day="TUE-SAT"),
            targets=[
                targets.LambdaFunction(function.function, event=late, retry_attempts=2, max_event_age=Duration.hours(1))
            ],
        )
        events.Rule(
            self,
            "MonthRule",
            description="The first trading day of a month is one of its first seven",
            schedule=events.Schedule.cron(minute="0", hour="6", day="1-7", month="*", year="*"),
            targets=[target],
        )

    def _tables(self) -> Mapping[str, str]:
        return {
            "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
            "MARKET_TABLE": self._data.market.table_name,
            "ANALYTICS_TABLE": self._data.analytics.table_name,
        }

    def _let_read(self, function: Function) -> None:
        """Portfolios with their holdings (a split that was entered late makes one anew from its trades), quotes and
        assets."""
        function.allow_table(self._data.portfolios, ("GetItem", "BatchGetItem"))
        function.allow_indexes(self._data.portfolios, ("by_symbol",))
        function.allow_table(self._data.market, ("BatchGetItem",))
