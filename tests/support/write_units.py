"""Write units of DynamoDB by its published rules; the local stand-ins do not compute them correctly.

Source: "DynamoDB item sizes and formats" and "read/write capacity" of the AWS documentation. A unit is 1,024 bytes
started. A write costs the larger of the item before and after, a transaction doubles the cost, and a failed condition
costs the size of the existing item. An index entry costs one write when it appears, one when it disappears, and two
when its key changes. The pages leave open whether a transaction doubles index entries; here it does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from infra.tables import TableShape

AttributeValue = Mapping[str, Any]
Item = Mapping[str, AttributeValue]


def item_bytes(item: Item) -> int:
    """Return the bytes of an item: names in UTF-8, and values."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: AttributeValue) -> int:  # noqa: PLR0911 - one line a type
    """Return the bytes of a value without its name."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_bytes(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(value_bytes({kind[0]: each}) for each in content)
        case "L":
            return 3 + sum(1 + value_bytes(each) for each in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(each) for name, each in content.items())
    raise ValueError(kind)


def _number_bytes(text: str) -> int:
    """Return the bytes of a number: one, plus one for every two significant digits, plus one for a minus."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return 1 + (len(digits) + 1) // 2 + text.startswith("-")


def units(size: int) -> int:
    """Return the units of a write of `size` bytes."""
    return max(1, -(-size // 1024))


def index_units(old: Item | None, new: Item | None, shape: TableShape) -> int:
    """Return the units of the entries that a write changes in the keys-only indexes."""
    total = 0
    for keys in [(name,) for name in shape.local_indexes] + [(f"{n}_pk", f"{n}_sk") for n in shape.global_indexes]:
        before, after = (_entry(item, keys) for item in (old, new))
        if before != after:
            total += sum(units(item_bytes(entry)) for entry in (before, after) if entry)
    return total


def _entry(item: Item | None, keys: tuple[str, ...]) -> Item | None:
    if item is None or any(key not in item for key in keys):
        return None
    return {name: item[name] for name in ("pk", "sk", *keys)}


def put_units(old: Item | None, new: Item, shape: TableShape, *, transactional: bool = False) -> int:
    """Return the units of a put that replaces `old`."""
    table = units(max(item_bytes(old or {}), item_bytes(new)))
    return (table + index_units(old, new, shape)) * (2 if transactional else 1)


def failed_put_units(old: Item | None, *, transactional: bool = False) -> int:
    """Return the units of a put whose condition failed."""
    return units(item_bytes(old or {})) * (2 if transactional else 1)


@dataclass
class Meter:
    """Records the units of every put of the process, one entry for each call."""

    shape: TableShape
    spent: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The sum of all recorded units."""
        return sum(self.spent)

    def measure(self, call: Any, client: Any, operation: str, arguments: Any) -> Any:
        """Make a call and record its units. Supports puts: single, in batches and in transactions."""
        if operation in {"UpdateItem", "DeleteItem"}:
            raise ValueError(f"{operation} is not metered")
        if operation not in {"PutItem", "BatchWriteItem", "TransactWriteItems"}:
            return call(client, operation, arguments)
        transactional = operation == "TransactWriteItems"
        puts = _puts(operation, arguments)
        stored = [self._stored(call, client, put) for put in puts]
        try:
            answer = call(client, operation, arguments)
        except ClientError:
            self.spent.append(sum(failed_put_units(old, transactional=transactional) for old in stored))
            raise
        pairs = zip(stored, puts, strict=True)
        self.spent.append(
            sum(put_units(old, put["Item"], self.shape, transactional=transactional) for old, put in pairs)
        )
        return answer

    def _stored(self, call: Any, client: Any, put: Any) -> Item | None:
        key = {name: put["Item"][name] for name in ("pk", "sk")}
        answer = call(client, "GetItem", {"TableName": put["TableName"], "Key": key, "ConsistentRead": True})
        item: Item | None = answer.get("Item")
        return item


def _puts(operation: str, arguments: Any) -> list[Any]:
    if operation == "TransactWriteItems":
        return [action["Put"] for action in arguments["TransactItems"]]
    if operation == "BatchWriteItem":
        rows = arguments["RequestItems"].items()
        return [{"TableName": table, **row["PutRequest"]} for table, of_table in rows for row in of_table]
    return [arguments]


@contextmanager
def metering(shape: TableShape) -> Iterator[Meter]:
    """Measure the puts of every client of the process inside the `with` block."""
    meter, call = Meter(shape), BaseClient._make_api_call  # type: ignore[attr-defined]

    def measured(client: Any, operation: str, arguments: Any) -> Any:
        return meter.measure(call, client, operation, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", measured):
        yield meter
