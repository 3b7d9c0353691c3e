"""The role that redrives dead letters, and the senders whose messages the workers of public queues admit."""

from collections.abc import Sequence

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.config import Config
from infra.constructs.function import LambdaFunction
from infra.constructs.queues import FailureQueue, WorkQueue
from infra.settings import Provider
from trimtab.runtime.sqs.worker import REDRIVER


class RedriveRole(Construct):
    """The role that `trimtab dead-letters` assumes: the only sender that may name the original sender of a message.

    Principals of the account assume the role if an identity policy allows them `sts:AssumeRole` on its ARN, the stack
    output `RedriveRoleArn`. The role reads and deletes dead letters, and sends to the queues with a worker.
    """

    def __init__(
        self, scope: Construct, id: str, *, work_queues: Sequence[WorkQueue], failure_queues: Sequence[FailureQueue]
    ) -> None:
        super().__init__(scope, id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.AccountRootPrincipal(),
            description="Redrives dead letters of Trimtab",
            max_session_duration=Duration.hours(1),
        )
        dead = [work.dead_letters for work in work_queues] + [failures.queue for failures in failure_queues]
        actions = ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
        self._allow([f"sqs:{action}" for action in actions], [queue.queue_arn for queue in dead])
        self._allow(["sqs:SendMessage"], [work.arn for work in work_queues])
        CfnOutput(Stack.of(self), "RedriveRoleArn", value=self.role.role_arn)

    def _allow(self, actions: Sequence[str], resources: Sequence[str]) -> None:
        self.role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))


def sender_tenants(
    scope: Construct,
    config: Config,
    *,
    redrive: RedriveRole | None,
    providers: Sequence[Provider],
    functions: Sequence[LambdaFunction] = (),
) -> str:
    """Return the tenants that each sender may speak for, as JSON: functions for all tenants, providers for their own.

    SQS reports the unique id of the sending role, which CloudFormation looks up on deployment. A message that the
    redrive role sent is admitted for the tenants of its original sender.
    """
    if config.any_sender:
        return Stack.of(scope).to_json_string({"*": ["*", REDRIVER]})
    roles = {function.role.role_id: ["*"] for function in functions}
    if redrive is not None:
        roles[redrive.role.role_id] = [REDRIVER]
    return Stack.of(scope).to_json_string({**roles, **{each.sender_id: list(each.tenants) for each in providers}})
