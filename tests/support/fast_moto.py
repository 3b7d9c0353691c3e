"""A fast path for DynamoDB and SQS calls: arguments go straight to moto's backends, without a wire format.

Serving a call through HTTP costs moto about a hundred times the work of its backend, and large tests make tens of
thousands of calls. A call that would be refused takes the normal path, so that every error is moto's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import ge, le
from typing import Any
from unittest import mock

from botocore.client import BaseClient
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict

from tests.support.aws_setup import backend


def _backend() -> Any:
    return backend("dynamodb")


def _read(table: str, key: Any) -> Any:
    found = _backend().get_item(table, key)
    return found.to_json()["Attributes"] if found else None


def _get(asked: Any) -> Any:
    item = _read(asked["TableName"], asked["Key"])
    return {"Item": item} if item else {}


def _get_all(asked: Any) -> Any:
    found = {
        table: [item for key in wanted["Keys"] if (item := _read(table, key))]
        for table, wanted in asked["RequestItems"].items()
    }
    return {"Responses": found, "UnprocessedKeys": {}}


def _holds(action: Any) -> bool:
    """Return whether the condition of an action is true."""
    condition, keys = action.get("ConditionExpression"), _backend().get_table(action["TableName"])
    named = action.get("Key") or action["Item"]
    key = {name: named[name] for name in (keys.hash_key_attr, keys.range_key_attr) if name}
    names, values = action.get("ExpressionAttributeNames"), action.get("ExpressionAttributeValues")
    current = _backend().get_item(action["TableName"], key)
    return condition is None or bool(get_filter_expression(condition, names, values).expr(current))


def _put(asked: Any) -> Any:
    if not _holds(asked):
        return None
    _backend().put_item(asked["TableName"], asked["Item"])
    return {}


def _update(asked: Any) -> Any:
    if not _holds(asked) or asked.get("ReturnValues", "NONE") != "NONE":
        return None
    _backend().update_item(
        *(asked["TableName"], asked["Key"], asked["UpdateExpression"]),
        expression_attribute_names=asked.get("ExpressionAttributeNames"),
        expression_attribute_values=asked.get("ExpressionAttributeValues"),
    )
    return {}


def _transact(asked: Any) -> Any:
    actions = [next(iter(action.items())) for action in asked["TransactItems"]]
    if len(actions) > 100 or not all(_holds(action) for _, action in actions):
        return None
    for kind, action in actions:
        if kind == "Put":
            _backend().put_item(action["TableName"], action["Item"])
        elif kind == "Delete":
            _backend().delete_item(action["TableName"], action["Key"])
        elif kind == "Update":
            _update({**action, "ConditionExpression": None})
    return {}


def _query(asked: Any) -> Any:
    """Return the keys in a range of a local index (the query for price watches); None for any other query."""
    compare = _COMPARISONS.get(asked["KeyConditionExpression"])
    table = _backend().get_table(asked["TableName"])
    if compare is None or asked.get("IndexName") not in {index.name for index in table.indexes}:
        return None
    sort, values = asked["ExpressionAttributeNames"]["#s"], asked["ExpressionAttributeValues"]
    if asked["ExpressionAttributeNames"]["#p"] != table.hash_key_attr or "Limit" in asked:
        return None
    rows = [item.to_json()["Attributes"] for item in table.items.get(DynamoType(values[":p"]), {}).values()]
    found = [row for row in rows if sort in row and compare(row[sort]["S"], values[":price"]["S"])]
    kept = (table.hash_key_attr, table.range_key_attr, sort)
    return {"Items": [{name: row[name] for name in kept} for row in sorted(found, key=lambda row: row[sort]["S"])]}


def _send(asked: Any) -> Any:
    queues = backend("sqs")
    name, delay = asked["QueueUrl"].rpartition("/")[2], asked.get("DelaySeconds")
    sent = queues.send_message(name, asked["MessageBody"], delay_seconds=delay, group_id=asked.get("MessageGroupId"))
    return {"MessageId": sent.id}


_COMPARISONS = {"#p = :p AND #s <= :price": le, "#p = :p AND #s >= :price": ge}
_SHORT = {
    "Query": _query,
    "GetItem": _get,
    "BatchGetItem": _get_all,
    "PutItem": _put,
    "UpdateItem": _update,
    "TransactWriteItems": _transact,
    "SendMessage": _send,
}


@contextmanager
def fast_items() -> Iterator[None]:
    """Use the fast path inside the `with` block. The limit on item sizes is not checked there."""
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: Any, operation: str, arguments: Any) -> Any:
        short = _SHORT.get(operation)
        answer = short(arguments) if short else None
        return make(client, operation, arguments) if answer is None else answer

    with (
        mock.patch.object(BaseClient, "_make_api_call", call),
        mock.patch.object(LimitedSizeDict, "__setitem__", dict.__setitem__),
    ):
        yield
