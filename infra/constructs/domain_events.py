"""The event bus of the domain events, and the rules that deliver events to queues."""

from collections.abc import Sequence

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs.context import StackContext
from infra.constructs.queues import FailureQueue, WorkQueue
from trimtab.contracts.events import SOURCE


class DomainEvents(Construct):
    """The event bus, and the queue of the events that the bus or a target of the bus refused."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext) -> None:
        super().__init__(scope, id)
        self.bus = events.EventBus(self, "Bus", event_bus_name=context.config.prefix)
        self.undelivered = FailureQueue(
            self, "events-undelivered", context=context, contents="events that the bus or a target refused"
        )
        CfnOutput(Stack.of(self), "EventBusName", value=self.bus.event_bus_name)

    def deliver_to_queue(
        self, scope: Construct, id: str, *, description: str, types: Sequence[str], queue: WorkQueue
    ) -> None:
        """Put every event of these types on the queue."""
        target = targets.SqsQueue(queue.queue, dead_letter_queue=self.undelivered.queue)
        self.deliver(scope, id, description=description, types=types, target=target)

    def deliver(
        self, scope: Construct, id: str, *, description: str, types: Sequence[str], target: events.IRuleTarget
    ) -> None:
        """Send every event of these types to the target. The rule becomes a child of `scope`."""
        events.Rule(
            scope,
            id,
            description=description,
            event_bus=self.bus,
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=list(types)),
            targets=[target],
        )
