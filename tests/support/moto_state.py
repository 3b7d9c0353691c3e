"""What moto holds, read past the API: items, queues, and the stream of committed writes in their order."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from moto.dynamodb import models
from moto.dynamodb.models.table import Table

from tests.support.aws_setup import backend
from tests.support.system import TABLE

ADDED_TO = "METRICS"


def table(name: str = TABLE) -> Any:
    """moto's own table."""
    return backend("dynamodb").tables[name]


def commits(name: str = TABLE) -> list[Any]:
    """The stream records of a table so far."""
    return [each.to_json() for each in table(name).stream_shard.items]


def stored_items(name: str = TABLE) -> list[Any]:
    """Every item, read past the API: faster, and without a call."""
    return [item.to_json()["Attributes"] for items in table(name).items.values() for item in items.values()]


def carries_events(record: Any) -> bool:
    """The filter of the event source mapping."""
    return "S" in record["dynamodb"].get("NewImage", {}).get("events", {})


def _queues() -> Any:
    return backend("sqs").queues


def waiting(queue_url: str) -> list[Any]:
    """The messages of a queue that can be received."""
    return list(_queues()[queue_url.rpartition("/")[2]].messages)


def lose_messages() -> None:
    """Empties every queue."""
    for queue in _queues().values():
        queue._messages.clear()


def take_messages(queue_url: str) -> list[tuple[str, int]]:
    """Takes all messages off a queue, also those that wait: the body of each, and for how many seconds it waits."""
    queue = _queues()[queue_url.rpartition("/")[2]]
    taken, queue._messages = list(queue._messages), []
    return [(it.body, round((it.delayed_until - it.sent_timestamp) / 1000) if it.delayed_until else 0) for it in taken]


def snapshot() -> Callable[[], None]:
    """Keeps what all tables hold; calling the answer brings it back, with empty queues and streams: in this system, or
    in a later one."""
    kept = {name: copy.deepcopy(it.items) for name, it in backend("dynamodb").tables.items()}

    def bring_back() -> None:
        tables = backend("dynamodb").tables
        for name, items in kept.items():
            tables[name].items = copy.deepcopy(items)
            stream = tables[name].stream_shard
            if stream is not None:
                stream.items.clear()
        lose_messages()

    return bring_back


def forget_everything(of_table: str = TABLE) -> None:
    """Empties the table, its stream and every queue."""
    table(of_table).items.clear()
    table(of_table).stream_shard.items.clear()
    lose_messages()


@contextmanager
def quick_transactions() -> Iterator[None]:
    """moto backs up a table before each transaction by copying it deeply: minutes for a thousand of them.

    Puts replace items whole and never change one in place, so copying the maps that hold them is backup enough; the
    sums of bettors are added to in place, so those are copied whole.
    """
    with mock.patch.object(models, "copy", SimpleNamespace(deepcopy=_backup, copy=copy.copy)):
        yield


def _backup(thing: Any) -> Any:
    if not isinstance(thing, Table):
        return copy.deepcopy(thing)
    backup = copy.copy(thing)
    backup.items = copy.copy(thing.items)
    for partition, items in thing.items.items():
        backup.items[partition] = copy.copy(items)
        for sort, item in items.items():
            if getattr(sort, "value", None) == ADDED_TO:
                backup.items[partition][sort] = copy.deepcopy(item)
    if thing.stream_shard is not None:
        backup.stream_shard = copy.copy(thing.stream_shard)
        backup.stream_shard.items = list(thing.stream_shard.items)
        backup.stream_shard.table = backup
    return backup
