"""Publishes what the tables' streams say happened."""

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.data_stack import DataStack
from infra.feeds import feed_from_stream
from infra.function import Function, Shared

# Only writes that carry events are worth an invocation. `exists` matches leaves only, hence the `S`.
_CARRIES_EVENTS = {"events": {"S": lambda_.FilterRule.exists()}}


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
        for table in (data.portfolios, data.market, data.betting, data.analytics):
            feed_from_stream(self.publisher, table, _CARRIES_EVENTS, data.events_undelivered)
        shared.alarms.stream_age(self.publisher.function, "events_on_commit")
