"""SQS queues with their dead-letter queues. Queues are retained: messages survive a redeploy of a worker."""

from collections.abc import Sequence

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config
from infra.constructs.context import StackContext, removal_policy
from infra.constructs.policies import acknowledge
from infra.settings import Provider

_RETENTION = Duration.days(4)
_DEAD_LETTER_RETENTION = Duration.days(14)
_MAX_RECEIVES = 5


class WorkQueue(Construct):
    """A queue for one worker, with a dead-letter queue.

    A message that fails five times moves to the dead-letter queue. The dead-letter queue has the longer retention (14
    days, not 4), because retention counts from the time at which the message was first sent. `senders` are the
    providers that may send to the queue. The stack outputs `Queue<Name>` and `Queue<Name>Dead` contain the URLs.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        context: StackContext,
        visibility_seconds: int,
        senders: Sequence[Provider] = (),
    ) -> None:
        super().__init__(scope, pascal_case(name))
        self.name = name
        self.dead_letters = _queue(
            self, "DeadLetters", f"{name}-dead", context.config, retention_period=_DEAD_LETTER_RETENTION
        )
        self.queue = _queue(
            self,
            "Queue",
            name,
            context.config,
            retention_period=_RETENTION,
            visibility_timeout=Duration.seconds(visibility_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=_MAX_RECEIVES),
        )
        for provider in senders:
            self.queue.grant(iam.ArnPrincipal(provider.principal_arn), "sqs:SendMessage", "sqs:GetQueueUrl")

    @property
    def url(self) -> str:
        """The URL of the queue, for senders and receivers."""
        return self.queue.queue_url

    @property
    def arn(self) -> str:
        """The ARN of the queue, for grants."""
        return self.queue.queue_arn


class FailureQueue(Construct):
    """A queue without a worker, for work that failed permanently; an alarm reports the first message.

    `contents` says which work, for the reason of the acknowledged cdk-nag finding. The stack output `Queue<Name>`
    contains the URL.
    """

    def __init__(self, scope: Construct, name: str, *, context: StackContext, contents: str) -> None:
        super().__init__(scope, pascal_case(name))
        self.name = name
        self.queue = _queue(self, "Queue", name, context.config, retention_period=_DEAD_LETTER_RETENTION)
        reason = f"The queue is a dead-letter queue itself, for {contents}; an alarm reports the first message."
        acknowledge(self.queue, "AwsSolutions-SQS3", reason)


def _queue(
    scope: Construct,
    id: str,
    name: str,
    config: Config,
    *,
    retention_period: Duration,
    visibility_timeout: Duration | None = None,
    dead_letter_queue: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    queue = sqs.Queue(
        scope,
        id,
        queue_name=f"{config.prefix}-{name}",
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=retention_period,
        visibility_timeout=visibility_timeout,
        dead_letter_queue=dead_letter_queue,
        removal_policy=removal_policy(config),
    )
    CfnOutput(Stack.of(scope), f"Queue{pascal_case(name)}", value=queue.queue_url)
    return queue


def pascal_case(name: str) -> str:
    """Return `rebalance-requests` as `RebalanceRequests`."""
    return "".join(part.title() for part in name.split("-"))
