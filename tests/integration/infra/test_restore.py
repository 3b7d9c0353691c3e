"""A restored table has all that the stacks need: items, indexes, stream, expiry and protection."""

import tomllib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.config import Config
from infra.tables import BY_NAME
from infra.tools.restore import lines, restore

SOURCE, TARGET = "webhooks", "webhooks-restored"


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A client of an account with an item in a table that has point-in-time recovery."""
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(**BY_NAME[SOURCE].create_arguments(SOURCE))
        protection = {"PointInTimeRecoveryEnabled": True}
        client.update_continuous_backups(TableName=SOURCE, PointInTimeRecoverySpecification=protection)
        client.put_item(TableName=SOURCE, Item={"pk": {"S": "TENANT#acme"}, "sk": {"S": "WEBHOOK#1"}})
        yield client


def test_the_restored_table_has_the_items_the_stream_the_expiry_and_the_protection(dynamodb: Any) -> None:
    stream_arn = restore(dynamodb, BY_NAME[SOURCE], SOURCE, TARGET, None)

    table = dynamodb.describe_table(TableName=TARGET)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=TARGET)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=TARGET)["ContinuousBackupsDescription"]
    assert [item["sk"]["S"] for item in dynamodb.scan(TableName=TARGET)["Items"]] == ["WEBHOOK#1"]
    assert table["LatestStreamArn"] == stream_arn
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
    assert table["DeletionProtectionEnabled"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires_at")
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_printed_lines_make_the_environment_use_the_restored_table(dynamodb: Any) -> None:
    stream_arn = restore(dynamodb, BY_NAME[SOURCE], SOURCE, TARGET, None)

    tables = tomllib.loads(lines(SOURCE, TARGET, stream_arn))["tables"]

    config = Config(env="staging", tables=tables)
    assert (config.tables[SOURCE].name, config.tables[SOURCE].stream_arn) == (TARGET, stream_arn)


def test_a_table_without_a_stream_is_restored_without_one(dynamodb: Any) -> None:
    shape = BY_NAME["watches"]
    dynamodb.create_table(**shape.create_arguments("watches"))

    assert restore(dynamodb, shape, "watches", "watches-restored", None) == ""
    assert lines("watches", "watches-restored", "") == '[tables.watches]\nname = "watches-restored"\n'
    indexes = dynamodb.describe_table(TableName="watches-restored")["Table"]["LocalSecondaryIndexes"]
    assert {index["IndexName"] for index in indexes} == set(shape.local_indexes)
