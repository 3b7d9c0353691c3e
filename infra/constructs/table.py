"""DynamoDB tables, made from the shapes in `infra.tables`."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.config import Config
from infra.constructs.context import removal_policy
from infra.constructs.policies import acknowledge
from infra.tables import TableShape


class RetainedTable(dynamodb.Table):
    """A table of the given shape; in a protected environment with deletion protection and point-in-time recovery.

    The stack output `Table<id>` holds the name of the table.
    """

    def __init__(self, scope: Construct, id: str, *, shape: TableShape, config: Config) -> None:
        protected = config.stateful_protection
        super().__init__(
            scope,
            id,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_IMAGE if shape.stream else None,
            time_to_live_attribute="expires_at" if shape.expires else None,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=protected
            ),
            deletion_protection=protected,
            removal_policy=removal_policy(config),
        )
        self._add_indexes(shape)
        if not protected:
            acknowledge(self, "AwsSolutions-DDB3", "An environment whose data may be lost needs no recovery.")
        CfnOutput(Stack.of(self), f"Table{id}", value=self.table_name)

    def _add_indexes(self, shape: TableShape) -> None:
        keys_only = dynamodb.ProjectionType.KEYS_ONLY
        for name in shape.local_indexes:
            self.add_local_secondary_index(index_name=name, sort_key=_text(name), projection_type=keys_only)
        for name in shape.global_indexes:
            self.add_global_secondary_index(
                index_name=name,
                partition_key=_text(f"{name}_pk"),
                sort_key=_text(f"{name}_sk"),
                projection_type=keys_only,
            )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
