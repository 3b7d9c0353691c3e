"""The DynamoDB client, and items as plain values: attribute values in both directions.

>>> serialize({"name": "a", "count": 2, "list": [True, "b"], "left_out": None})
{'name': {'S': 'a'}, 'count': {'N': '2'}, 'list': {'L': [{'BOOL': True}, {'S': 'b'}]}}
>>> deserialize({"count": {"N": "2"}, "map": {"M": {"empty": {"NULL": True}}}})
{'count': 2, 'map': {'empty': None}}
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from trimtab.runtime.aws_client import aws_client

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Key = dict[str, Any]


@lru_cache(maxsize=1)
def dynamodb_client() -> "DynamoDBClient":
    """Return the client, created on first use: a cold start pays for no unused client."""
    client: DynamoDBClient = aws_client("dynamodb")
    return client


def get_item(client: "DynamoDBClient", table: str, key: Key) -> Item | None:
    """Return the item at the key, read consistently, None where there is none."""
    answer = client.get_item(TableName=table, Key=serialize(key), ConsistentRead=True)
    return deserialize(answer["Item"]) if "Item" in answer else None


def serialize(values: Mapping[str, Any]) -> Item:
    """Return plain values as attribute values; None is left out."""
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def deserialize(item: Mapping[str, Any]) -> Item:
    """Return attribute values as plain values; every stored number is whole and becomes an int."""
    return {name: _plain(value) for name, value in item.items()}


def _attribute(value: Any) -> dict[str, Any]:
    """Return one value as an attribute value; raises `TypeError` for a type that no item stores."""
    stored = value
    match value:
        case str():
            kind = "S"
        case bool():
            kind = "BOOL"
        case int():
            kind, stored = "N", str(value)
        case None:
            kind, stored = "NULL", True
        case dict() | Mapping():
            kind, stored = "M", {name: _attribute(each) for name, each in value.items()}
        case list() | tuple():
            kind, stored = "L", [_attribute(each) for each in value]
        case bytes():
            kind = "B"
        case set() | frozenset() if value and all(isinstance(each, str) for each in value):
            kind, stored = "SS", sorted(value)
        case _:
            raise TypeError(f"no attribute value for {type(value).__name__}")
    return {kind: stored}


def _plain(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "S" | "BOOL" | "B":
            return value
        case "N":
            return int(value)
        case "NULL":
            return None
        case "M":
            return deserialize(value)
        case "L":
            return [_plain(each) for each in value]
        case "SS":
            return set(value)
    raise TypeError(f"no plain value for the type {kind}")
