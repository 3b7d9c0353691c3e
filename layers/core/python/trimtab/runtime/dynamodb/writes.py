"""Conditional writes and transactions: refused writes raise `ConditionFailed`, failed calls raise `ClientError`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import ClientError

from trimtab.contracts.records import Record
from trimtab.kernel.retry import ConditionFailed
from trimtab.runtime.dynamodb.client import Item, deserialize, serialize
from trimtab.runtime.tracing import with_trace

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


def versioned_put(table: str, item: Item) -> dict[str, Any]:
    """Return the `Put` of an item with a `version`, conditional on the version before (optimistic locking).

    Version 1 is written only if no item exists at the key. So no write is lost, and no write takes effect twice.
    """
    write: dict[str, Any] = {
        "TableName": table,
        "Item": serialize(with_trace(item)),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if item["version"] > 1:
        write["ConditionExpression"] = "#version = :before"
        write["ExpressionAttributeNames"] = {"#version": "version"}
        write["ExpressionAttributeValues"] = {":before": {"N": str(item["version"] - 1)}}
    return write


def versioned_delete(table: str, item: Item) -> dict[str, Any]:
    """Return the `Delete` of an item with a `version`, conditional on that version."""
    return {
        "TableName": table,
        "Key": serialize({"pk": item["pk"], "sk": item["sk"]}),
        "ConditionExpression": "#version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": {"N": str(item["version"])}},
    }


def put_item(client: "DynamoDBClient", table: str, item: Item) -> None:
    """Write the item on the version before; raises `ConditionFailed` with the item that is stored instead."""
    try:
        client.put_item(**versioned_put(table, item))
    except ClientError as error:
        _raise_refusal(error)


def put_records(client: "DynamoDBClient", table: str, *records: Record) -> None:
    """Write all records in one transaction, each on the version before; raises `ConditionFailed` if any was refused."""
    items = [record.to_item() for record in records]
    if len(items) == 1:
        put_item(client, table, items[0])
    else:
        transact(client, [{"Put": versioned_put(table, item)} for item in items])


def update_item(client: "DynamoDBClient", **arguments: Any) -> Item:
    """Call `UpdateItem` and return the updated attributes; raises `ConditionFailed` with the item stored instead."""
    returned: dict[str, Any] = {"ReturnValues": "UPDATED_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    try:
        answer = client.update_item(**returned, **arguments)
    except ClientError as error:
        _raise_refusal(error)
    return deserialize(answer.get("Attributes", {}))


def transact(client: "DynamoDBClient", actions: Sequence[Any]) -> None:
    """Write all actions or none; raises `ConditionFailed` if a condition or a concurrent transaction refused them."""
    try:
        client.transact_write_items(TransactItems=list(actions))
    except ClientError as error:
        _raise_refusal(error)


def _raise_refusal(error: ClientError) -> NoReturn:
    code = error.response["Error"]["Code"]
    answer: dict[str, Any] = dict(error.response)
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed({0: _old(answer)}) from None
    if code == "TransactionConflictException":
        raise ConditionFailed({}) from None
    if code == "TransactionCanceledException":
        reasons = answer.get("CancellationReasons", [])
        codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
        if codes and codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
            raise ConditionFailed(
                {n: _old(reason) for n, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"}
            ) from None
    raise error


def _old(answer: Mapping[str, Any]) -> Item | None:
    return deserialize(answer["Item"]) if answer.get("Item") else None
