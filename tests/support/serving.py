"""Changes to moto inside tests: serialised calls, no coverage tracing, and no work that grows with the table."""

import copy
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from unittest import mock

from botocore.client import BaseClient
from moto.core.serialize import BaseJSONSerializer
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.sqs.models import SQSBackend

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def serving() -> Iterator[None]:
    """Apply the changes inside the `with` block; moto starts there. The retention period of messages is not checked.

    moto is not thread-safe: without the lock, acknowledged writes of concurrent callers are lost.
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
        mock.patch("moto.sqs.models.camelcase_to_underscores", _attribute_name),
        # Only the `requests` library needs these, and no test uses it; each start would build some 1,300 of them.
        mock.patch("moto.core.models.RESPONSES_METHODS", []),
    ):
        yield


def _untraced(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call without the coverage tracer, which takes longer than moto itself.

    The tracer counts frames as they begin and end, so the frame that removed the tracer also restores it. The tracer
    takes effect at the next call, which is therefore made before this frame ends.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return call(*arguments, **named)
    finally:
        sys.settrace(tracer)
        _take_over()


def _take_over() -> None:
    """Do nothing; the call makes the restored tracer take effect."""


_attribute_name = functools.cache(camelcase_to_underscores)
_QUERY = Table.query
_SERIALIZE = BaseJSONSerializer._serialize_type_structure


def _serialize_structure(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """Serialise attribute values as they are; moto would look for ten types under every possible name."""
    if shape.name == "AttributeValue":
        serializer._default_serialize(serialized, value, shape, key)
    else:
        _SERIALIZE(serializer, serialized, value, shape, key)


def _query(whole: Table, hash_key: DynamoType, *rest: Any, **conditions: Any) -> Any:
    """Query only the requested partition; moto would sort the whole table first."""
    (name, wanted), *_ = conditions["hash_key_conditions"]
    table: Any = copy.copy(whole)
    if name == whole.hash_key_attr:
        table.items = {hash_key: whole.items.get(hash_key, {})}
    else:
        table.items = {
            key: {
                sort: item
                for sort, item in items.items()
                if (value := item.attrs.get(name)) and value.value == wanted.value
            }
            for key, items in whole.items.items()
        }
    return _QUERY(table, hash_key, *rest, **conditions)
