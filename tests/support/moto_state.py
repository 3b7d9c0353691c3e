"""The state of moto's backends, read without API calls: items, messages, and stream records in commit order."""

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
from trimtab.betting.domain.keys import TOTALS


def table(name: str = TABLE) -> Any:
    """Return moto's object for a table."""
    return backend("dynamodb").tables[name]


def commits(name: str = TABLE) -> list[Any]:
    """Return the stream records of a table, oldest first."""
    return [each.to_json() for each in table(name).stream_shard.items]


def stored_items(name: str = TABLE) -> list[Any]:
    """Return every item of a table, without an API call."""
    return [item.to_json()["Attributes"] for items in table(name).items.values() for item in items.values()]


def carries_events(record: Any) -> bool:
    """Return whether a stream record has events: the filter of the publisher's event source mapping."""
    return "S" in record["dynamodb"].get("NewImage", {}).get("events", {})


def _queues() -> Any:
    return backend("sqs").queues


def waiting(queue_url: str) -> list[Any]:
    """Return the messages of a queue that can be received."""
    return list(_queues()[queue_url.rpartition("/")[2]].messages)


def lose_messages() -> None:
    """Remove all messages from every queue."""
    for queue in _queues().values():
        queue._messages.clear()


def take_messages(queue_url: str) -> list[tuple[str, int]]:
    """Remove all messages from a queue, delayed ones included; return each body with its delay in seconds."""
    queue = _queues()[queue_url.rpartition("/")[2]]
    taken, queue._messages = list(queue._messages), []
    return [(message.body, _delay_seconds(message)) for message in taken]


def _delay_seconds(message: Any) -> int:
    return round((message.delayed_until - message.sent_timestamp) / 1000) if message.delayed_until else 0


def snapshot() -> Callable[[], None]:
    """Copy the items of all tables and return a function that restores them, with empty queues and streams.

    The function also restores the items in a later in-process system.
    """
    kept = {name: copy.deepcopy(stored.items) for name, stored in backend("dynamodb").tables.items()}

    def restore() -> None:
        tables = backend("dynamodb").tables
        for name, items in kept.items():
            tables[name].items = copy.deepcopy(items)
            stream = tables[name].stream_shard
            if stream is not None:
                stream.items.clear()
        lose_messages()

    return restore


def clear_all(of_table: str = TABLE) -> None:
    """Remove all items and stream records of a table and all messages of every queue."""
    table(of_table).items.clear()
    table(of_table).stream_shard.items.clear()
    lose_messages()


@contextmanager
def fast_transactions() -> Iterator[None]:
    """Make moto's backup before each transaction cheaper; a deep copy of a table takes minutes in large tests.

    Puts replace items and never modify one in place, so copying the maps is enough. Totals of bettors are changed in
    place, so those items are copied deeply.
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
            if getattr(sort, "value", None) == TOTALS:
                backup.items[partition][sort] = copy.deepcopy(item)
    if thing.stream_shard is not None:
        backup.stream_shard = copy.copy(thing.stream_shard)
        backup.stream_shard.items = list(thing.stream_shard.items)
        backup.stream_shard.table = backup
    return backup
