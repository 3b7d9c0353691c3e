"""The analytics context: daily values, performance and risk of portfolios, and monthly reports."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.domain_events import DomainEvents
from infra.constructs.function import WHOLE_PROCESSOR_MB, FunctionContext, LambdaFunction
from infra.constructs.queues import WorkQueue
from infra.constructs.signing_key import make_signing_key
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.contexts.market import RetainedMarket
from infra.contexts.notifications import RetainedNotifications, allow_mail
from infra.contexts.portfolio import RetainedPortfolio
from infra.tables import ANALYTICS

CHANGES = (
    "trade.recorded",
    "trade.corrected",
    "cash.recorded",
    "cash.corrected",
    "import.completed",
    "import.undone",
    "cash.recounted",
    "portfolio.closed",
    "portfolio.created",
    "portfolio.stale",
    "portfolio.resolved",
)
"""Events that change the daily values or the alerts of a portfolio."""
CHANGES_PER_BATCH = 1_000
CHANGE_WORKERS = 2
"""Few workers with large batches: the events of an import become few requests."""


class RetainedAnalytics(Construct):
    """The table of daily values, the queues of changes, valuations and reports, and the key that signs chart links."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext, events: DomainEvents) -> None:
        super().__init__(scope, id)
        config = context.config
        seconds = config.valuation_visibility_seconds
        self.table = retained_table(self, "Analytics", shape=ANALYTICS, config=config)
        changes_seconds = config.worker_visibility_seconds
        self.changes = WorkQueue(self, "portfolio-changes", context=context, visibility_seconds=changes_seconds)
        self.valuations = WorkQueue(self, "valuations", context=context, visibility_seconds=seconds)
        self.reports = WorkQueue(self, "reports", context=context, visibility_seconds=seconds)
        self.links_name = f"{config.prefix}/links"
        self.links_key = make_signing_key(self, "LinksKey", name=self.links_name, description="Signs links to charts")
        events.deliver_to_queue(
            self,
            "ChangesRule",
            description="Events that change the past or the state of a portfolio",
            types=CHANGES,
            queue=self.changes,
        )


class AnalyticsFunctions(Construct):
    """The API of performance, risk and charts, the workers of valuations and reports, and the nightly requests."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        analytics: RetainedAnalytics,
        portfolio: RetainedPortfolio,
        market: RetainedMarket,
        notifications: RetainedNotifications,
        domain_events: DomainEvents,
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._analytics = analytics
        self._portfolios = portfolio.table
        self._market = market
        self._notifications = notifications
        self._add_api_function(api)
        self._add_change_worker()
        self._add_valuation_worker()
        self._add_report_worker(api)
        night = self._add_night_function()
        self._invoke_at_night(night, domain_events)

    def _add_api_function(self, api: ApiGateway) -> None:
        analytics, key = self._analytics, self._analytics.links_key
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            package="analytics_api",
            description="Performance, risk and charts of portfolios over HTTP",
            memory_mb=WHOLE_PROCESSOR_MB,  # statistics over years of daily values
            environment={
                **self._tables(),
                "VALUATIONS_QUEUE_URL": analytics.valuations.url,
                "REPORTS_QUEUE_URL": analytics.reports.url,
                "LINKS_SECRET_ID": key.secret_arn,
                "PUBLIC_URL": api.address.url,
            },
        )
        self._allow_reading(function)
        function.allow_table(self._market.table, ("Query",))  # the bars of a benchmark
        function.allow_table(analytics.table, ("GetItem", "Query", "PutItem"))
        function.allow_sending(analytics.valuations, analytics.reports)
        function.allow_secret(analytics.links_name)

    def _add_change_worker(self) -> None:
        """Add the function that turns a thousand events of a portfolio into one request."""
        config, analytics = self._context.config, self._analytics
        worker = Worker(
            self,
            "OnPortfolioChanged",
            context=self._context,
            work=analytics.changes,
            package="analytics_on_portfolio_changed",
            description="Requests one valuation of each portfolio that a batch of events changed",
            timeout_seconds=config.worker_timeout_seconds,
            environment={"VALUATIONS_QUEUE_URL": analytics.valuations.url},
            batch_size=CHANGES_PER_BATCH,
            window_seconds=max(1, config.worker_batch_window_seconds),  # SQS requires a window for large batches
            max_concurrency=CHANGE_WORKERS,
        )
        worker.allow_sending(analytics.valuations)

    def _add_valuation_worker(self) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnValuationRequested",
            context=self._context,
            work=self._analytics.valuations,
            package="analytics_on_valuation_requested",
            description="Computes the daily values of portfolios and evaluates their alert rules",
            memory_mb=WHOLE_PROCESSOR_MB,
            timeout_seconds=config.valuation_timeout_seconds,
            environment={**self._tables(), "VALUATIONS_QUEUE_URL": self._analytics.valuations.url},
            window_seconds=config.worker_batch_window_seconds,
        )
        self._allow_reading(worker)
        worker.allow_sending(self._analytics.valuations)  # the days left of a long computation
        worker.allow_indexes(self._portfolios, ("by_time",))
        worker.allow_table(self._market.table, ("Query",))
        worker.allow_table(self._analytics.table, ("GetItem", "Query", "PutItem", "BatchWriteItem"))

    def _add_report_worker(self, api: ApiGateway) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnReportRequested",
            context=self._context,
            work=self._analytics.reports,
            package="analytics_on_report_requested",
            description="Writes and mails the monthly reports of portfolios",
            memory_mb=WHOLE_PROCESSOR_MB,
            timeout_seconds=config.valuation_timeout_seconds,
            environment={
                **self._tables(),
                **self._notifications.mail_settings(config),
                "PUBLIC_URL": api.address.url,
            },
            batch_size=1,
            extra_layers=("pictures",),
        )
        self._allow_reading(worker)
        worker.allow_table(self._market.table, ("Query",))  # closes of what has no bar of the last session
        worker.allow_table(self._analytics.table, ("GetItem", "Query"))
        worker.allow_indexes(self._portfolios, ("by_time",))  # trades and cash entries of the month
        allow_mail(worker, self._notifications, config.mail_sender)

    def _add_night_function(self) -> LambdaFunction:
        """Add the function for requesting the valuation of every portfolio, in a single pass over all tenants."""
        analytics = self._analytics
        function = LambdaFunction(
            self,
            "OnNight",
            context=self._context,
            package="analytics_on_night",
            description="Requests the valuation of every portfolio, and the report after the end of a month",
            timeout_seconds=900,
            environment={
                "ANALYTICS_TABLE": analytics.table.table_name,
                "VALUATIONS_QUEUE_URL": analytics.valuations.url,
                "REPORTS_QUEUE_URL": analytics.reports.url,
            },
            on_failure=self._market.nights_failed,
        )
        function.allow_table(analytics.table, ("BatchGetItem",))
        function.allow_indexes(analytics.table, ("valued",))
        function.allow_sending(analytics.valuations, analytics.reports)
        return function

    def _invoke_at_night(self, night: LambdaFunction, domain_events: DomainEvents) -> None:
        """Invoke the function when the bars of a day or a split are stored, when bars are late, and once a month.

        A failed ingestion publishes no event, so at noon the bars of the session before count as late, and alert rules
        on missing prices are evaluated.
        """
        max_age = Duration.hours(1)
        target = targets.LambdaFunction(night.function, retry_attempts=2, max_event_age=max_age)
        domain_events.deliver(
            self,
            "PastRule",
            description="The bars of a day or a split were stored",
            types=("bars.ingested", "split.entered", "split.amended", "split.withdrawn"),
            target=target,
        )
        late = events.RuleTargetInput.from_object({"detail-type": "bars.late"})
        events.Rule(
            self,
            "LateRule",
            description="Bars of the last session that are missing by now are late",
            schedule=events.Schedule.cron(minute="5", hour="12", week_day="TUE-SAT"),
            targets=[targets.LambdaFunction(night.function, event=late, retry_attempts=2, max_event_age=max_age)],
        )
        events.Rule(
            self,
            "MonthRule",
            description="The first trading day of a month is among the first seven days",
            schedule=events.Schedule.cron(minute="0", hour="6", day="1-7", month="*", year="*"),
            targets=[target],
        )

    def _tables(self) -> dict[str, str]:
        return {
            "PORTFOLIOS_TABLE": self._portfolios.table_name,
            "MARKET_TABLE": self._market.table.table_name,
            "ANALYTICS_TABLE": self._analytics.table.table_name,
        }

    def _allow_reading(self, function: LambdaFunction) -> None:
        """Grant reading portfolios with holdings, quotes and assets.

        A split that is entered late needs the trades of the symbol (`by_symbol`) to recompute the holding.
        """
        function.allow_table(self._portfolios, ("GetItem", "BatchGetItem"))
        function.allow_indexes(self._portfolios, ("by_symbol",))
        function.allow_table(self._market.table, ("BatchGetItem",))
