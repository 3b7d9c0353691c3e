"""Reads and writes of many items: unprocessed items are tried again, with backoff and jitter."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.kernel.errors import Unavailable
from trimtab.kernel.retry import MAX_ATTEMPTS, sleep_before_retry
from trimtab.runtime.dynamodb.client import Item, Key, deserialize, serialize
from trimtab.runtime.tracing import with_trace

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MAX_KEYS, MAX_PUTS = 100, 25
PUT_TRIES = 6


def batch_get(client: "DynamoDBClient", table: str, keys: Sequence[Key], *, consistent: bool) -> list[Item]:
    """Return the items at up to 100 keys, in any order; keys without an item are left out."""
    return batch_get_tables(client, {table: keys}, consistent=consistent)[table]


def batch_get_tables(
    client: "DynamoDBClient", keys: Mapping[str, Sequence[Key]], *, consistent: bool = True
) -> dict[str, list[Item]]:
    """Return the items at the keys of several tables in one call; at most 100 keys in all."""
    found: dict[str, list[Item]] = {table: [] for table in keys}
    wanted: dict[str, Any] = {
        table: {"Keys": [serialize(key) for key in of_table], "ConsistentRead": consistent}
        for table, of_table in keys.items()
        if of_table
    }
    for attempt in range(MAX_ATTEMPTS):
        if not wanted:
            return found
        if attempt:
            sleep_before_retry(attempt)
        answer = client.batch_get_item(RequestItems=wanted)
        for table, items in answer["Responses"].items():
            found[table] += [deserialize(item) for item in items]
        wanted = dict(answer.get("UnprocessedKeys", {}))
    if wanted:
        raise Unavailable("busy", "The database is busy. Retry the request.", retry_after_seconds=1)
    return found


def batch_get_many(client: "DynamoDBClient", table: str, keys: Sequence[Key], *, consistent: bool) -> list[Item]:
    """Return the items at any number of keys, 100 keys a call; keys without an item are left out."""
    starts = range(0, len(keys), MAX_KEYS)
    return [item for n in starts for item in batch_get(client, table, keys[n : n + MAX_KEYS], consistent=consistent)]


def batch_put(client: "DynamoDBClient", table: str, items: Sequence[Item]) -> None:
    """Put the items, 25 a call and without conditions: the caller must tolerate repeats and an end half-way.

    Raises `Unavailable` if some items are still unprocessed after the last try.
    """
    _batch_write(client, table, [{"PutRequest": {"Item": serialize(with_trace(item))}} for item in items])


def batch_delete(client: "DynamoDBClient", table: str, keys: Sequence[Key]) -> None:
    """Delete the items at the keys, 25 a call; a key without an item is not an error."""
    _batch_write(client, table, [{"DeleteRequest": {"Key": serialize(key)}} for key in keys])


def _batch_write(client: "DynamoDBClient", table: str, requests: Sequence[Any]) -> None:
    for start in range(0, len(requests), MAX_PUTS):
        left = list(requests[start : start + MAX_PUTS])
        for attempt in range(PUT_TRIES):
            if attempt:
                sleep_before_retry(attempt)
            left = list(client.batch_write_item(RequestItems={table: left}).get("UnprocessedItems", {}).get(table, []))
            if not left:
                break
        if left:
            raise Unavailable("busy", "The database is busy. Retry the request.", retry_after_seconds=1)
