"""A fast path for the update that stores a plausible quote; moto's parser of update expressions dominates such tests.

An update with another expression, or one that would be refused, takes the normal path.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from tests.support.aws_setup import backend
from trimtab.market.adapters.quotes import ADVANCE, IS_PLAUSIBLE


def _stored(asked: Any) -> dict[str, Any] | None:
    """Make the update if it is the expected one and its condition holds; return the answer."""
    if (asked["UpdateExpression"], asked["ConditionExpression"]) != (ADVANCE, IS_PLAUSIBLE):
        return None
    tables, given = backend("dynamodb"), asked["ExpressionAttributeValues"]
    found = tables.get_item(asked["TableName"], asked["Key"])
    before = found.to_json()["Attributes"] if found else {}
    if not _is_plausible(before, given):
        return None
    version = {"N": str(int(before["version"]["N"]) + 1)}
    previous = {"M": {name: before[name] for name in ("price", "as_of", "source")}}
    quote = {"price": given[":price"], "as_of": given[":as_of"], "source": given[":source"], "version": version}
    tables.put_item(asked["TableName"], {**before, **quote, "stored_at": given[":stored_at"], "previous": previous})
    return {"Attributes": {"version": version}}


def _is_plausible(before: Any, given: Any) -> bool:
    if "previous" not in before or "accepted_range" not in before:
        return False
    low, high, until = (before["accepted_range"]["M"][name]["S"] for name in ("low", "high", "until"))
    is_newer = before["as_of"]["S"] < given[":as_of"]["S"] < until
    is_of_another = "held" not in before or before["held"]["M"]["source"] != given[":source"]
    return bool(is_newer and low <= given[":sortable"]["S"] <= high and is_of_another)


@contextmanager
def fast_quotes() -> Iterator[None]:
    """Use the fast path inside the `with` block."""
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: Any, operation: str, arguments: Any) -> Any:
        if operation == "UpdateItem" and "ConditionExpression" in arguments:
            answer = _stored(arguments)
            if answer is not None:
                return answer
        return make(client, operation, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield
