"""DynamoDB for aggregates: items as plain values, conditional writes whose refusal is told apart from its failure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError

from trimtab.contracts.events import Event
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.retry import TRIES, ConditionFailed, pause

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Key = dict[str, Any]

_TIMEOUTS = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "max_attempts": 3})
_serializer, _deserializer = TypeSerializer(), TypeDeserializer()

INVALID_POSITION = Invalid("invalid_cursor", "Give the next_cursor of this very list, or none to start at the newest.")


@lru_cache(maxsize=1)
def dynamodb() -> "DynamoDBClient":
    """The client, made on first use: what a cold start does not need, it does not pay for."""
    return boto3.client("dynamodb", config=_TIMEOUTS)


def to_item(values: Mapping[str, Any]) -> Item:
    """Plain values as attribute values; None is left out."""
    return {name: _serializer.serialize(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, Any]) -> Item:
    """Attribute values as plain values; numbers are whole here and become int."""
    return {name: int(value["N"]) if "N" in value else _deserializer.deserialize(value) for name, value in item.items()}


def transact(client: "DynamoDBClient", actions: Sequence[Any]) -> None:
    """All of the actions or none; raises `ConditionFailed` where a condition or another transaction refused them."""
    try:
        client.transact_write_items(TransactItems=list(actions))
    except ClientError as error:
        _raise_refusal(error)


def _raise_refusal(error: ClientError) -> None:
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
    return from_item(answer["Item"]) if answer.get("Item") else None


def batch_get(client: "DynamoDBClient", table: str, keys: Sequence[Key], *, consistent: bool) -> list[Item]:
    """The items at the keys, in any order, without those that are not there; at most 100 keys."""
    found: list[Item] = []
    wanted = [to_item(key) for key in keys]
    for attempt in range(TRIES):
        if not wanted:
            return found
        if attempt:
            pause(attempt)
        answer = client.batch_get_item(RequestItems={table: {"Keys": wanted, "ConsistentRead": consistent}})
        found += [from_item(item) for item in answer["Responses"].get(table, [])]
        left: dict[str, Any] = dict(answer.get("UnprocessedKeys", {}))
        wanted = left[table]["Keys"] if table in left else []
    if wanted:
        raise Conflict("busy", "The store is busy; send the same request again.", retry_after_seconds=1)
    return found


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of an index: the items in its order, and where the next one starts (None at the end)."""

    items: list[Item]
    next_position: list[str] | None


@dataclass(frozen=True, slots=True)
class Index:
    """A keys-only index: its name and the attributes that make its key; a local one shares the table's `pk`."""

    name: str
    partition: str
    sort: str

    @property
    def key_attributes(self) -> list[str]:
        """What an exclusive start key consists of beside the index's own partition."""
        return [self.sort, "sk"] if self.partition == "pk" else [self.sort, "pk", "sk"]


def guarded_put(table: str, item: Item) -> dict[str, Any]:
    """The `Put` of an item that carries a `version`: it takes effect only on the version before.

    The first version is written only where nothing stands yet. So no write is lost, and none is done twice.
    """
    write: dict[str, Any] = {
        "TableName": table,
        "Item": to_item(item),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if item["version"] > 1:
        write["ConditionExpression"] = "#version = :before"
        write["ExpressionAttributeNames"] = {"#version": "version"}
        write["ExpressionAttributeValues"] = {":before": {"N": str(item["version"] - 1)}}
    return write


def put(client: "DynamoDBClient", table: str, item: Item) -> None:
    """Writes the item on its version before; raises `ConditionFailed` with what stood in the way."""
    try:
        client.put_item(**guarded_put(table, item))
    except ClientError as error:
        _raise_refusal(error)


def get(client: "DynamoDBClient", table: str, key: Key) -> Item | None:
    """The item at the key, read consistently."""
    answer = client.get_item(TableName=table, Key=to_item(key), ConsistentRead=True)
    return from_item(answer["Item"]) if "Item" in answer else None


def query(
    client: "DynamoDBClient",
    table: str,
    index: Index,
    partition: str,
    condition: tuple[str, Mapping[str, str]] | None = None,
    *,
    limit: int,
    after: Any = None,
    newest_first: bool = True,
) -> Page:
    """A page of the index's partition, each item whole (read through the index, then from the table).

    `condition` is an expression over `#s` (the index's sort key) with its values; `limit` is at most 100; `after` is
    the `next_position` of the page before.
    """
    expression, values = condition or ("", {})
    start = _start_key(index, partition, after)
    arguments: dict[str, Any] = {
        "TableName": table,
        "IndexName": index.name,
        "KeyConditionExpression": " AND ".join(filter(None, ["#p = :p", expression])),
        "ExpressionAttributeNames": {"#p": index.partition, **({"#s": index.sort} if expression else {})},
        "ExpressionAttributeValues": to_item({":p": partition, **values}),
        "ScanIndexForward": not newest_first,
        "Limit": limit,
    }
    if start is not None:
        arguments["ExclusiveStartKey"] = start
    try:
        answer = client.query(**arguments)
    except ClientError as error:
        if start and error.response["Error"]["Code"] == "ValidationException":
            raise INVALID_POSITION from None
        raise
    keys = [(row["pk"]["S"], row["sk"]["S"]) for row in answer["Items"]]
    found = batch_get(client, table, [{"pk": pk, "sk": sk} for pk, sk in keys], consistent=True)
    by_key = {(item["pk"], item["sk"]): item for item in found}
    last = from_item(answer["LastEvaluatedKey"]) if answer.get("LastEvaluatedKey") else None
    return Page(
        [by_key[key] for key in keys if key in by_key],
        [last[name] for name in index.key_attributes] if last else None,
    )


def _start_key(index: Index, partition: str, after: Any) -> Item | None:
    if after is None:
        return None
    if len(after) != len(index.key_attributes) or not all(isinstance(part, str) for part in after):
        raise INVALID_POSITION
    return to_item({index.partition: partition, **dict(zip(index.key_attributes, after, strict=True))})


def pack_events(events: Sequence[Event]) -> str | None:
    """The events of a write as its item carries them to the stream; None takes away those of the write before."""
    return json.dumps([[event.type, event.data] for event in events], separators=(",", ":")) if events else None


def unpack_events(text: str) -> list[Event]:
    """The events that an item carries."""
    return [Event(type, data) for type, data in json.loads(text)]
