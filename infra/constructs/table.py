"""DynamoDB tables, made from the shapes in `infra.tables`."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.config import Config
from infra.constructs.context import removal_policy
from infra.constructs.policies import acknowledge
from infra.settings import ExistingTable
from infra.tables import TableShape


def retained_table(scope: Construct, id: str, *, shape: TableShape, config: Config) -> dynamodb.ITable:
    """Return a table of the stack, or the existing table that the environment file names in `tables`.

    The stack output `Table<id>` holds the name of the table.
    """
    existing = config.tables.get(id.lower())
    table = (
        _import(scope, id, shape, existing, config) if existing else _NewTable(scope, id, shape=shape, config=config)
    )
    CfnOutput(Stack.of(scope), f"Table{id}", value=table.table_name)
    return table


def _import(scope: Construct, id: str, shape: TableShape, existing: ExistingTable, config: Config) -> dynamodb.ITable:
    return dynamodb.Table.from_table_attributes(
        scope,
        id,
        table_name=existing.name,
        table_stream_arn=existing.stream_arn or None,
        local_indexes=list(shape.local_indexes),
        global_indexes=list(shape.global_indexes),
        encryption_key=_key(scope, id, config),
    )


class _NewTable(dynamodb.Table):
    """A table of the given shape; in a protected environment with deletion protection and point-in-time recovery."""

    def __init__(self, scope: Construct, id: str, *, shape: TableShape, config: Config) -> None:
        protected = config.stateful_protection
        super().__init__(
            scope,
            id,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if config.kms_key_arn else None,
            encryption_key=_key(scope, id, config),
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


def _key(scope: Construct, id: str, config: Config) -> kms.IKey | None:
    return kms.Key.from_key_arn(scope, f"{id}Key", config.kms_key_arn) if config.kms_key_arn else None


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
