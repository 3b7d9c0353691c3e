"""The platform: the API's address, the callers' identity, domain events, alerts, and the functions open to all."""

from collections.abc import Sequence

from aws_cdk import Aws, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import Config
from infra.constructs.api import ApiAddress, ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.domain_events import DomainEvents
from infra.constructs.event_sources import add_stream_source
from infra.constructs.function import FunctionContext, LambdaFunction
from infra.constructs.identity import Identity
from infra.constructs.policies import acknowledge
from infra.constructs.queues import FailureQueue, WorkQueue

# The senders of alarms: CloudWatch, and the Cost Anomaly Detection.
_ALARM_SENDERS = tuple(
    iam.ServicePrincipal(f"{name}.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}})
    for name in ("cloudwatch", "costalerts")
)
# Only writes that carry events are worth an invocation. `exists` matches leaves only, hence the `S`.
_CARRIES_EVENTS = {"events": {"S": lambda_.FilterRule.exists()}}


class RetainedPlatform(Construct):
    """The alerts topic, the event bus, the user pool and the address of the API."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        self.alerts_key = self._make_alerts_key()
        self.alerts = self._make_alerts_topic(config, self.alerts_key)
        self.context = StackContext(config, Construct(self, "FunctionLogs"))
        self.events = DomainEvents(self, "Events", context=self.context)
        self.identity = Identity(self, "Identity", config=config)
        self.address = ApiAddress(self, "Api", config=config)
        CfnOutput(Stack.of(self), "AlertsTopicArn", value=self.alerts.topic_arn)

    def _make_alerts_key(self) -> kms.Key:
        """Make a customer-managed key: CloudWatch cannot use the AWS-managed key."""
        key = kms.Key(
            self,
            "AlertsKey",
            description="Encrypts the alerts topic",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,  # the key protects messages in flight, no stored data
        )
        for sender in _ALARM_SENDERS:
            key.grant_encrypt_decrypt(sender)
        return key

    def _make_alerts_topic(self, config: Config, key: kms.Key) -> sns.Topic:
        topic = sns.Topic(self, "Alerts", topic_name=f"{config.prefix}-alerts", master_key=key, enforce_ssl=True)
        for sender in _ALARM_SENDERS:
            topic.grant_publish(sender)
        for email in config.alert_emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic


class PlatformFunctions(Construct):
    """Health, the description of the API, operational metrics, and the publisher of the domain events."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        platform: RetainedPlatform,
        portfolios: dynamodb.ITable,
        rebalance_requests: WorkQueue,
        work_queues: Sequence[WorkQueue],
        failure_queues: Sequence[FailureQueue],
        event_tables: Sequence[dynamodb.ITable],
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._add_api_function(api, portfolios, rebalance_requests, work_queues, failure_queues)
        self._add_publisher(platform, event_tables)

    def _add_api_function(
        self,
        api: ApiGateway,
        portfolios: dynamodb.ITable,
        rebalance_requests: WorkQueue,
        work_queues: Sequence[WorkQueue],
        failure_queues: Sequence[FailureQueue],
    ) -> None:
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            package="platform_api",
            description="Health, OpenAPI document, documentation page and operational metrics",
            environment={
                "PORTFOLIOS_TABLE": portfolios.table_name,
                "REBALANCE_REQUESTS_QUEUE_URL": rebalance_requests.url,
                "WORK_QUEUES": ",".join(work.name for work in work_queues),
                "FAILURE_QUEUES": ",".join(failures.name for failures in failure_queues),
            },
        )
        function.allow_table(portfolios, ("DescribeTable", "BatchGetItem"))
        function.allow_indexes(portfolios, ("pending_jobs",))
        queues = [queue for work in work_queues for queue in (work.queue, work.dead_letters)]
        queues += [failures.queue for failures in failure_queues]
        function.allow(["sqs:GetQueueAttributes"], [queue.queue_arn for queue in queues])
        function.allow(["cloudwatch:GetMetricData"], ["*"])
        reason = "CloudWatch grants the reading of metrics for the whole account only."
        acknowledge(function.role, "AwsSolutions-IAM5[Resource::*]", reason)

    def _add_publisher(self, platform: RetainedPlatform, event_tables: Sequence[dynamodb.ITable]) -> None:
        """Add the publisher of the events in commits; a failure queue takes undeliverable events."""
        undelivered, bus = platform.events.undelivered, platform.events.bus
        function = LambdaFunction(
            self,
            "EventsOnCommit",
            context=self._context,
            package="events_on_commit",
            description="Publishes the events in commits",
            timeout_seconds=30,
            environment={
                "EVENT_BUS_NAME": bus.event_bus_name,
                "EVENTS_UNDELIVERED_QUEUE_URL": undelivered.queue.queue_url,
            },
        )
        function.allow(["events:PutEvents"], [bus.event_bus_arn])
        function.allow(["sqs:SendMessage"], [undelivered.queue.queue_arn])
        for table in event_tables:
            add_stream_source(function, table, _CARRIES_EVENTS, undelivered)
