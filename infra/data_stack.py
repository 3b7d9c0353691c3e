"""What outlives a release: tables, queues, the bucket of bars, the event bus and the alerts topic."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config, FileBars, Provider
from infra.policies import acknowledge
from infra.tables import ANALYTICS, BETTING, MARKET, NOTIFICATIONS, PAPER, PORTFOLIOS, WATCHES, TableShape
from trimtab.contracts.events import SOURCE

ALERT_EVENTS = ("rebalance.stuck", "recalculation.stuck", "portfolio.stale", "alert.raised")

CHANGES = (
    "trade.recorded",
    "trade.corrected",
    "cash.recorded",
    "portfolio.closed",
    "portfolio.created",
    "portfolio.stale",
    "portfolio.resolved",
)
"""Events after which a portfolio's daily values or its alerts are others."""

_DEAD_LETTER_RETENTION = Duration.days(14)
_MAX_RECEIVES = 5


@dataclass(frozen=True)
class WorkQueue:
    """A queue that a worker empties, and where its messages go that no try could settle."""

    name: str
    queue: sqs.Queue
    dead: sqs.Queue

    @property
    def url(self) -> str:
        """What sends and receives name it by."""
        return self.queue.queue_url

    @property
    def arn(self) -> str:
        """What grants name it by."""
        return self.queue.queue_arn


class DataStack(Stack):
    """Stateful resources. A release of the service stack never replaces any of them."""

    def __init__(self, scope: Construct, id: str, *, config: Config, description: str) -> None:
        super().__init__(scope, id, description=description, termination_protection=config.stateful_protection)
        self._config = config
        self.portfolios = self._table("Portfolios", PORTFOLIOS)
        self.market = self._table("Market", MARKET)
        self.watches = self._table("Watches", WATCHES)
        self.paper = self._table("Paper", PAPER)
        self.betting = self._table("Betting", BETTING)
        self.analytics = self._table("Analytics", ANALYTICS)
        self.notifications = self._table("Notifications", NOTIFICATIONS)
        seconds = config.worker_visibility_seconds
        self.rebalance_requests = self._public_queue("rebalance-requests", seconds, config.providers)
        self.quotes = self._public_queue("quotes", config.quote_visibility_seconds, _of_quotes(config))
        self.insights = self._public_queue("insights", seconds, _of_insights(config))
        self.checks = self._work_queue("checks", seconds)
        self.executions = self._work_queue("rebalance-executions", config.execution_visibility_seconds)
        self.recalculations = self._work_queue("recalculations", config.recalculation_visibility_seconds)
        self.settlements = self._work_queue("settlements", config.settlement_visibility_seconds)
        self.valuations = self._work_queue("valuations", config.valuation_visibility_seconds)
        self.reports = self._work_queue("reports", config.valuation_visibility_seconds)
        self.mails = self._work_queue("mails", seconds)
        self.links_key = self._links_key()
        self.events_undelivered = self._last_resort("events-undelivered", "events that the bus did not take")
        self.sweeps_failed = self._last_resort("sweeps-failed", "sweeps that failed all their tries")
        self.changes_unchecked = self._last_resort("changes-unchecked", "changes that no check could be asked for")
        self.nights_failed = self._last_resort("nights-failed", "nights whose bars could not be had in all their tries")
        self.bars = self._bucket("Bars") if isinstance(config.bars, FileBars) else None
        self.closings_unsettled = self._last_resort("closings-unsettled", "closings that no settlement was asked for")
        self.event_bus = events.EventBus(self, "EventBus", event_bus_name=config.prefix)
        self.alerts = self._alerts_topic()
        self._route_alerts()
        self._route_to_queue("Changes", "Portfolios whose past or state has changed", CHANGES, self.valuations)
        self._route_to_queue("Mails", "Alerts for the contacts of portfolios", ("alert.raised",), self.mails)
        self._outputs()

    @property
    def work_queues(self) -> tuple[WorkQueue, ...]:
        """Queues with a worker."""
        of_portfolios = (self.rebalance_requests, self.quotes, self.checks, self.executions, self.recalculations)
        of_analytics = (self.valuations, self.reports, self.mails)
        return (*of_portfolios, self.insights, self.settlements, *of_analytics)

    @property
    def last_resorts(self) -> dict[str, sqs.Queue]:
        """Queues without a worker by name: they are empty while all is well."""
        return {
            "events-undelivered": self.events_undelivered,
            "sweeps-failed": self.sweeps_failed,
            "changes-unchecked": self.changes_unchecked,
            "nights-failed": self.nights_failed,
            "closings-unsettled": self.closings_unsettled,
        }

    def _table(self, id: str, shape: TableShape) -> dynamodb.Table:
        keep = self._config.stateful_protection
        table = dynamodb.Table(
            self,
            id,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_IMAGE if shape.stream else None,
            time_to_live_attribute="expires_at" if shape.forgets else None,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=keep
            ),
            deletion_protection=keep,
            removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
        )
        keys_only = dynamodb.ProjectionType.KEYS_ONLY
        for name in shape.local_indexes:
            table.add_local_secondary_index(index_name=name, sort_key=_text(name), projection_type=keys_only)
        for name in shape.global_indexes:
            table.add_global_secondary_index(
                index_name=name,
                partition_key=_text(f"{name}_pk"),
                sort_key=_text(f"{name}_sk"),
                projection_type=keys_only,
            )
        if not keep:
            acknowledge(table, "AwsSolutions-DDB3", "An environment whose data may be lost needs no recovery.")
        return table

    def _bucket(self, id: str) -> s3.Bucket:
        keep = self._config.stateful_protection
        bucket = s3.Bucket(
            self,
            id,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=keep,
            removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
        )
        acknowledge(bucket, "AwsSolutions-S1", "Market data of everybody: who reads the files tells nothing.")
        return bucket

    def _public_queue(self, name: str, visibility_seconds: int, providers: Sequence[Provider]) -> WorkQueue:
        """A queue that these providers may send to."""
        work = self._work_queue(name, visibility_seconds)
        for provider in providers:
            work.queue.grant(iam.ArnPrincipal(provider.principal_arn), "sqs:SendMessage", "sqs:GetQueueUrl")
        return work

    def _work_queue(self, name: str, visibility_seconds: int) -> WorkQueue:
        """A queue and its dead-letter queue, which keeps messages longer: the time that a message spent before it died
        counts there too."""
        dead = self._queue(f"{name}-dead", retention_period=_DEAD_LETTER_RETENTION)
        queue = self._queue(
            name,
            visibility_timeout=Duration.seconds(visibility_seconds),
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=_MAX_RECEIVES),
        )
        return WorkQueue(name, queue, dead)

    def _last_resort(self, name: str, holds: str) -> sqs.Queue:
        queue = self._queue(name, retention_period=_DEAD_LETTER_RETENTION)
        reason = f"It is itself the last resort: it holds {holds}, and an alarm tells of the first message."
        acknowledge(queue, "AwsSolutions-SQS3", reason)
        return queue

    def _queue(
        self,
        name: str,
        *,
        retention_period: Duration,
        visibility_timeout: Duration | None = None,
        dead_letter_queue: sqs.DeadLetterQueue | None = None,
    ) -> sqs.Queue:
        keep = self._config.stateful_protection
        return sqs.Queue(
            self,
            "".join(part.title() for part in name.split("-")),
            queue_name=f"{self._config.prefix}-{name}",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=retention_period,
            visibility_timeout=visibility_timeout,
            dead_letter_queue=dead_letter_queue,
            removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
        )

    def _links_key(self) -> secretsmanager.Secret:
        """What the links are signed with; a new one ends those that are open, which last a quarter of an hour."""
        key = secretsmanager.Secret(
            self,
            "LinksKey",
            secret_name=f"{self._config.prefix}/links",
            description="Signs links to pictures",
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(key, "AwsSolutions-SMG4", "Nothing is kept under it: replace it by hand whenever you like.")
        return key

    def _alerts_topic(self) -> sns.Topic:
        """Encrypted with a key of our own: with the AWS-managed one neither CloudWatch nor EventBridge may publish."""
        key = kms.Key(
            self,
            "AlertsKey",
            description="Encrypts the alerts topic",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,  # it guards messages in flight, nothing that is kept
        )
        senders = ("cloudwatch.amazonaws.com", "events.amazonaws.com")
        for sender in senders:
            key.grant_encrypt_decrypt(_service_of_this_account(sender))
        topic = sns.Topic(self, "Alerts", topic_name=f"{self._config.prefix}-alerts", master_key=key, enforce_ssl=True)
        topic.grant_publish(_service_of_this_account(senders[0]))
        return topic

    def _route_alerts(self) -> None:
        """An alert is a domain event, so it is exactly as durable as the commit that caused it."""
        events.Rule(
            self,
            "AlertsRule",
            description="Domain events that a person has to see",
            event_bus=self.event_bus,
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=list(ALERT_EVENTS)),
            targets=[targets.SnsTopic(self.alerts, dead_letter_queue=self.events_undelivered)],
        )

    def _route_to_queue(self, id: str, description: str, types: Sequence[str], work: WorkQueue) -> None:
        events.Rule(
            self,
            f"{id}Rule",
            description=description,
            event_bus=self.event_bus,
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=list(types)),
            targets=[targets.SqsQueue(work.queue, dead_letter_queue=self.events_undelivered)],
        )

    def _outputs(self) -> None:
        """`Table…`, `Queue…`, `Bucket…`: the local tools make `.local/stack.json` of them."""
        of_market = (self.market, self.watches, self.paper)
        for table in (self.portfolios, *of_market, self.betting, self.analytics, self.notifications):
            CfnOutput(self, f"Table{table.node.id}", value=table.table_name)
        worked_off = (queue for work in self.work_queues for queue in (work.queue, work.dead))
        for queue in (*worked_off, *self.last_resorts.values()):
            CfnOutput(self, f"Queue{queue.node.id}", value=queue.queue_url)
        if self.bars:
            CfnOutput(self, "BucketBars", value=self.bars.bucket_name)
        CfnOutput(self, "EventBusName", value=self.event_bus.event_bus_name)
        CfnOutput(self, "AlertsTopicArn", value=self.alerts.topic_arn)


def _of_quotes(config: Config) -> list[Provider]:
    return [provider for provider in config.providers if provider.quotes]


def _of_insights(config: Config) -> list[Provider]:
    return [provider for provider in config.providers if provider.insights]


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _service_of_this_account(service: str) -> iam.ServicePrincipal:
    return iam.ServicePrincipal(service, conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}})
