"""Publishes what the tables' streams say happened."""

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.data_stack import DataStack
from infra.function import Function, Shared
from infra.policies import acknowledge

# Only writes that carry events are worth an invocation. `exists` matches leaves only, hence the `S`.
_CARRIES_EVENTS = {"dynamodb": {"NewImage": {"events": {"S": lambda_.FilterRule.exists()}}}}


class Events(Construct):
    """The stream publisher. It never blocks a stream for ever: what cannot be published lands in a queue."""

    def __init__(self, scope: Construct, id: str, *, shared: Shared, data: DataStack) -> None:
        super().__init__(scope, id)
        self.publisher = Function(
            self,
            "OnCommit",
            shared=shared,
            package="events_on_commit",
            description="Publishes the events that commits carry",
            timeout_seconds=30,
            environment={
                "EVENT_BUS_NAME": data.event_bus.event_bus_name,
                "EVENTS_UNDELIVERED_QUEUE_URL": data.events_undelivered.queue_url,
            },
        )
        self.publisher.allow(["events:PutEvents"], [data.event_bus.event_bus_arn])
        self.publisher.allow(["sqs:SendMessage"], [data.events_undelivered.queue_arn])
        self.publisher.function.add_event_source(
            sources.DynamoEventSource(
                data.portfolios,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=100,
                bisect_batch_on_error=True,
                report_batch_item_failures=True,
                retry_attempts=10,
                max_record_age=Duration.hours(12),  # half of what a stream keeps
                filters=[lambda_.FilterCriteria.filter(_CARRIES_EVENTS)],
                on_failure=sources.SqsDlq(data.events_undelivered),
            )
        )
        shared.alarms.stream_age(self.publisher.function, "events_on_commit")
        acknowledge(
            self.publisher.role, "AwsSolutions-IAM5[Resource::*]", "dynamodb:ListStreams knows no narrower resource."
        )
