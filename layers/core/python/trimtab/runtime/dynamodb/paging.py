"""Pages of index partitions and of key ranges."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from msgspec import Struct

from trimtab.kernel.errors import invalid_cursor
from trimtab.kernel.pages import Page
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import Item, deserialize, serialize

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MAX_COUNTED_PAGES = 5


class Index(Struct, frozen=True):
    """The name and the key attributes of a keys-only index; a local index shares the `pk` of the table."""

    name: str
    partition: str
    sort: str

    @property
    def key_attributes(self) -> list[str]:
        """Return the attributes of an exclusive start key besides the partition of the index."""
        return [self.sort, "sk"] if self.partition == "pk" else [self.sort, "pk", "sk"]


def query_index(
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
    """Return a page of a partition of the index. The keys are read from the index, the whole items from the table.

    `consistent` is allowed for a local index only. `condition` is a key condition on `#s` (the index's sort key) and
    its values. `limit` is at most 100. `after` is the `next_position` of the page before.
    """
    expression, values = condition or ("", {})
    start = _start_key(index, partition, after)
    arguments: dict[str, Any] = {
        "TableName": table,
        "IndexName": index.name,
        "KeyConditionExpression": " AND ".join(filter(None, ["#p = :p", expression])),
        "ExpressionAttributeNames": {"#p": index.partition, **({"#s": index.sort} if expression else {})},
        "ExpressionAttributeValues": serialize({":p": partition, **values}),
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
    last = deserialize(answer["LastEvaluatedKey"]) if answer.get("LastEvaluatedKey") else None
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
    """Return a page of one partition, read consistently: the items whose sort keys lie between two keys, inclusive."""
    if after is not None and (len(after) != 1 or not between[0] <= str(after[0]) <= between[1]):
        raise invalid_cursor()
    arguments: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :p AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": serialize({":p": partition, ":first": between[0], ":last": between[1]}),
        "ScanIndexForward": not newest_first,
        "Limit": limit,
        "ConsistentRead": True,
    }
    if after is not None:
        arguments["ExclusiveStartKey"] = serialize({"pk": partition, "sk": after[0]})
    answer = client.query(**arguments)
    last = answer.get("LastEvaluatedKey")
    return Page([deserialize(item) for item in answer["Items"]], [last["sk"]["S"]] if last else None)


def query_keys(
    client: "DynamoDBClient",
    table: str,
    index: Index,
    partition: str,
    condition: tuple[str, Mapping[str, str]],
    *,
    consistent: bool = True,
) -> Iterator[Item]:
    """Yield the keys of all matching entries in a partition of the index; the pages are read one by one.

    `condition` is a key condition on `#s` (the index's sort key) and its values. `consistent` is allowed for a local
    index only.
    """
    expression, values = condition
    arguments: dict[str, Any] = {
        "TableName": table,
        "IndexName": index.name,
        "KeyConditionExpression": f"#p = :p AND {expression}",
        "ExpressionAttributeNames": {"#p": index.partition, "#s": index.sort},
        "ExpressionAttributeValues": serialize({":p": partition, **values}),
        "ConsistentRead": consistent,
    }
    while True:
        answer = client.query(**arguments)
        yield from (deserialize(row) for row in answer["Items"])
        if not answer.get("LastEvaluatedKey"):
            return
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def count_entries(client: "DynamoDBClient", table: str, index: Index, partition: str) -> int:
    """Return the number of entries in a partition of a global index (eventually consistent).

    At most 5 pages of 1 MB are read: above roughly 20,000 entries the result is a lower bound.
    """
    arguments: dict[str, Any] = {
        "TableName": table,
        "IndexName": index.name,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": index.partition},
        "ExpressionAttributeValues": serialize({":p": partition}),
        "Select": "COUNT",
    }
    found = 0
    for _ in range(MAX_COUNTED_PAGES):
        answer = client.query(**arguments)
        found += answer["Count"]
        if not answer.get("LastEvaluatedKey"):
            break
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    return found


def count_up_to(client: "DynamoDBClient", table: str, index: Index, partition: str, limit: int) -> tuple[int, bool]:
    """Return the number of entries in a partition of a global index, at most `limit`, and whether more may follow."""
    answer = client.query(
        TableName=table,
        IndexName=index.name,
        KeyConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": index.partition},
        ExpressionAttributeValues=serialize({":p": partition}),
        Select="COUNT",
        Limit=limit,
    )
    return answer["Count"], "LastEvaluatedKey" in answer


def check_position(index: Index, position: Sequence[Any]) -> None:
    """Raise `Invalid` if the position does not have the form of a key of the index, as in a forged cursor."""
    whole = len(position) == len(index.key_attributes)
    if not whole or not all(isinstance(part, str) and part and part.isascii() for part in position):
        raise invalid_cursor()


def _start_key(index: Index, partition: str, after: Any) -> Item | None:
    if after is None:
        return None
    check_position(index, after)
    return serialize({index.partition: partition, **dict(zip(index.key_attributes, after, strict=True))})
