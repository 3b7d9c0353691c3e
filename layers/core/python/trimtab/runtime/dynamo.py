"""DynamoDB for aggregates: items as plain values, conditional writes whose refusal is told apart from its failure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError
from msgspec import Struct

from trimtab.kernel.errors import Unavailable, invalid_cursor
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import TRIES, ConditionFailed, pause

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Key = dict[str, Any]

MAX_KEYS, MAX_PUTS = 100, 25
PUT_TRIES = 6
COUNTED_PAGES = 5
_TIMEOUTS = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "max_attempts": 3})
_serializer, _deserializer = TypeSerializer(), TypeDeserializer()


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
    return batch_get_tables(client, {table: keys}, consistent=consistent)[table]


def batch_get_tables(
    client: "DynamoDBClient", keys: Mapping[str, Sequence[Key]], *, consistent: bool = True
) -> dict[str, list[Item]]:
    """The items at the keys of several tables in one call; at most 100 keys in all."""
    found: dict[str, list[Item]] = {table: [] for table in keys}
    wanted: dict[str, Any] = {
        table: {"Keys": [to_item(key) for key in of_table], "ConsistentRead": consistent}
        for table, of_table in keys.items()
        if of_table
    }
    for attempt in range(TRIES):
        if not wanted:
            return found
        if attempt:
            pause(attempt)
        answer = client.batch_get_item(RequestItems=wanted)
        for table, items in answer["Responses"].items():
            found[table] += [from_item(item) for item in items]
        wanted = dict(answer.get("UnprocessedKeys", {}))
    if wanted:
        raise Unavailable("busy", "The store is busy; send the same request again.", retry_after_seconds=1)
    return found


def batch_get_many(client: "DynamoDBClient", table: str, keys: Sequence[Key], *, consistent: bool) -> list[Item]:
    """As `batch_get`, of any number of keys: a call for every 100."""
    starts = range(0, len(keys), MAX_KEYS)
    return [it for n in starts for it in batch_get(client, table, keys[n : n + MAX_KEYS], consistent=consistent)]


def batch_put(client: "DynamoDBClient", table: str, items: Sequence[Item]) -> None:
    """Puts the items, 25 a call and without conditions: what calls this must not mind a repeat, nor an end half-way.

    Raises `Unavailable` where the table goes on taking only some of them.
    """
    _batch_write(client, table, [{"PutRequest": {"Item": to_item(it)}} for it in items])


def batch_delete(client: "DynamoDBClient", table: str, keys: Sequence[Key]) -> None:
    """Takes away what stands at the keys, as `batch_put` puts; what is not there is no fault."""
    _batch_write(client, table, [{"DeleteRequest": {"Key": to_item(it)}} for it in keys])


def _batch_write(client: "DynamoDBClient", table: str, requests: Sequence[Any]) -> None:
    for start in range(0, len(requests), MAX_PUTS):
        left = list(requests[start : start + MAX_PUTS])
        for attempt in range(PUT_TRIES):
            if attempt:
                pause(attempt)
            left = list(client.batch_write_item(RequestItems={table: left}).get("UnprocessedItems", {}).get(table, []))
            if not left:
                break
        if left:
            raise Unavailable("busy", "The store is busy; send the same request again.", retry_after_seconds=1)


class Index(Struct, frozen=True):
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


def update(client: "DynamoDBClient", **arguments: Any) -> None:
    """`UpdateItem`; raises `ConditionFailed` with what stood in the way."""
    try:
        client.update_item(ReturnValuesOnConditionCheckFailure="ALL_OLD", **arguments)
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
    consistent: bool = False,
) -> Page[Item]:
    """A page of the index's partition, each item whole (read through the index, then from the table).

    Only a local index can be read consistently. `condition` is an expression over `#s` (the index's sort key) with
    its values; `limit` is at most 100; `after` is the `next_position` of the page before.
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
        "ConsistentRead": consistent,
    }
    if start is not None:
        arguments["ExclusiveStartKey"] = start
    try:
        answer = client.query(**arguments)
    except ClientError as error:
        if start and error.response["Error"]["Code"] == "ValidationException":
            raise invalid_cursor() from None
        raise
    keys = [(row["pk"]["S"], row["sk"]["S"]) for row in answer["Items"]]
    found = batch_get(client, table, [{"pk": pk, "sk": sk} for pk, sk in keys], consistent=True)
    by_key = {(item["pk"], item["sk"]): item for item in found}
    last = from_item(answer["LastEvaluatedKey"]) if answer.get("LastEvaluatedKey") else None
    return Page(
        [by_key[key] for key in keys if key in by_key],
        [last[name] for name in index.key_attributes] if last else None,
    )


def query_range(
    client: "DynamoDBClient",
    table: str,
    partition: str,
    between: tuple[str, str],
    *,
    limit: int,
    after: Any = None,
    newest_first: bool = True,
) -> Page[Item]:
    """A page of the items of one partition whose sort keys lie between the two, both included; read consistently."""
    if after is not None and (len(after) != 1 or not between[0] <= str(after[0]) <= between[1]):
        raise invalid_cursor()
    arguments: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :p AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": to_item({":p": partition, ":first": between[0], ":last": between[1]}),
        "ScanIndexForward": not newest_first,
        "Limit": limit,
        "ConsistentRead": True,
    }
    if after is not None:
        arguments["ExclusiveStartKey"] = to_item({"pk": partition, "sk": after[0]})
    answer = client.query(**arguments)
    last = answer.get("LastEvaluatedKey")
    return Page([from_item(item) for item in answer["Items"]], [last["sk"]["S"]] if last else None)


def query_keys(
    client: "DynamoDBClient",
    table: str,
    index: Index,
    partition: str,
    condition: tuple[str, Mapping[str, str]],
    *,
    consistent: bool = True,
) -> Iterator[Item]:
    """The keys of every entry of an index's partition that the condition lets through, page after page as they are
    taken. Only a local index can be read consistently."""
    expression, values = condition
    arguments: dict[str, Any] = {
        "TableName": table,
        "IndexName": index.name,
        "KeyConditionExpression": f"#p = :p AND {expression}",
        "ExpressionAttributeNames": {"#p": index.partition, "#s": index.sort},
        "ExpressionAttributeValues": to_item({":p": partition, **values}),
        "ConsistentRead": consistent,
    }
    while True:
        answer = client.query(**arguments)
        yield from (from_item(row) for row in answer["Items"])
        if not answer.get("LastEvaluatedKey"):
            return
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def count_entries(client: "DynamoDBClient", table: str, index: Index, partition: str) -> int:
    """How many entries a partition of a global index has, as the index knows. It reads 5 MB: of more than some 20,000
    entries the answer is a lower bound."""
    arguments: dict[str, Any] = {
        "TableName": table,
        "IndexName": index.name,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": index.partition},
        "ExpressionAttributeValues": to_item({":p": partition}),
        "Select": "COUNT",
    }
    found = 0
    for _ in range(COUNTED_PAGES):
        answer = client.query(**arguments)
        found += answer["Count"]
        if not answer.get("LastEvaluatedKey"):
            break
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    return found


def check_position(index: Index, position: Sequence[Any]) -> None:
    """`Invalid` for what cannot be a position in the index: it comes from a cursor, so anybody may have made it."""
    whole = len(position) == len(index.key_attributes)
    if not whole or not all(isinstance(part, str) and part and part.isascii() for part in position):
        raise invalid_cursor()


def _start_key(index: Index, partition: str, after: Any) -> Item | None:
    if after is None:
        return None
    check_position(index, after)
    return to_item({index.partition: partition, **dict(zip(index.key_attributes, after, strict=True))})
