"""How moto serves what is asked: one call at a time, unmeasured, and without work that grows with what it holds."""

import copy
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from unittest import mock

from botocore.client import BaseClient
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.sqs.models import SQSBackend

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def serving() -> Iterator[None]:
    """As long as this lasts. Nobody looks at how old a message is.

    moto is not thread-safe: without the lock, acknowledged writes of concurrent callers get lost.
    """
    lock, call = threading.RLock(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def locked(client: Any, operation: str, arguments: Any) -> Any:
        with lock:
            return _untraced(call, client, operation, arguments)

    with (
        mock.patch.object(BaseClient, "_make_api_call", locked),
        mock.patch.object(Table, "query", _query),
        mock.patch.object(BaseJSONSerializer, "_serialize_type_structure", _serialize_structure),
        mock.patch.object(SQSBackend, "is_message_valid_based_on_retention_period", return_value=True),
    ):
        yield


def _untraced(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What the call returns; coverage does not look into it: following moto takes longer than moto takes to run.

    The tracer counts frames as they begin and end, so it has to be put back in the frame that took it away. It takes
    over at the next call, which therefore is made before this frame ends.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return call(*arguments, **named)
    finally:
        sys.settrace(tracer)
        _take_over()


def _take_over() -> None:
    """A call."""


_QUERY = Table.query
_SERIALIZE = BaseJSONSerializer._serialize_type_structure


def _serialize_structure(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """Values of DynamoDB as they are: moto looks for each of their ten types under each name that it might have."""
    if shape.name == "AttributeValue":
        serializer._default_serialize(serialized, value, shape, key)
    else:
        _SERIALIZE(serializer, serialized, value, shape, key)


def _query(whole: Table, hash_key: DynamoType, *rest: Any, **conditions: Any) -> Any:
    """A query that looks at the partition it asks for only; moto sorts the whole table first."""
    (name, wanted), *_ = conditions["hash_key_conditions"]
    table: Any = copy.copy(whole)
    if name == whole.hash_key_attr:
        table.items = {hash_key: whole.items.get(hash_key, {})}
    else:
        table.items = {
            key: {
                sort: item for sort, item in items.items() if (it := item.attrs.get(name)) and it.value == wanted.value
            }
            for key, items in whole.items.items()
        }
    return _QUERY(table, hash_key, *rest, **conditions)
