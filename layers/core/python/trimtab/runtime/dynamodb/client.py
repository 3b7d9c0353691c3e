"""The DynamoDB client, and items as plain values."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from trimtab.runtime.client_config import client_config

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Key = dict[str, Any]


class _WholeNumbers(TypeDeserializer):
    """Reads every number as an int, inside maps and lists too."""

    def _deserialize_n(self, value: str) -> int:
        return int(value)


_serializer, _deserializer = TypeSerializer(), _WholeNumbers()


@lru_cache(maxsize=1)
def dynamodb_client() -> "DynamoDBClient":
    """Return the client, created on first use: a cold start pays for no unused client."""
    return boto3.client("dynamodb", config=client_config())


def serialize(values: Mapping[str, Any]) -> Item:
    """Return plain values as attribute values; None is left out."""
    return {name: _serializer.serialize(value) for name, value in values.items() if value is not None}


def deserialize(item: Mapping[str, Any]) -> Item:
    """Return attribute values as plain values; every stored number is whole and becomes an int."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


def get_item(client: "DynamoDBClient", table: str, key: Key) -> Item | None:
    """Return the item at the key, read consistently, None where there is none."""
    answer = client.get_item(TableName=table, Key=serialize(key), ConsistentRead=True)
    return deserialize(answer["Item"]) if "Item" in answer else None
