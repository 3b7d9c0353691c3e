"""A fast path for the update that stores a newest quote; moto's parser of update expressions dominates such tests.

An update with another expression, or one that would be refused, takes the normal path.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from tests.support.aws_setup import backend

EXPRESSION = (
    "SET symbol = :symbol, price = :price, as_of = :as_of, #source = :source, stored_at = :stored_at, #form = :form"
    " ADD #version :one"
)
CONDITION = "attribute_not_exists(as_of) OR as_of < :as_of"


def _stored(asked: Any) -> Any:
    """Make the update if it is the expected one and its condition holds; return its answer, None where not made."""
    if (asked["UpdateExpression"], asked["ConditionExpression"]) != (EXPRESSION, CONDITION):
        return None
    tables, given = backend("dynamodb"), asked["ExpressionAttributeValues"]
    found = tables.get_item(asked["TableName"], asked["Key"])
    before = found.to_json()["Attributes"] if found else {}
    if "as_of" in before and before["as_of"]["S"] >= given[":as_of"]["S"]:
        return None
    version = {"N": str(int(before.get("version", {"N": "0"})["N"]) + 1)}
    quote = {name: given[f":{name}"] for name in ("symbol", "price", "as_of", "source", "stored_at")}
    quote |= {"v": given[":form"], "version": version}
    tables.put_item(asked["TableName"], {**before, **asked["Key"], **quote})
    return {"Attributes": quote}


@contextmanager
def fast_quotes() -> Iterator[None]:
    """Use the fast path inside the `with` block."""
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: Any, operation: str, arguments: Any) -> Any:
        if operation == "UpdateItem" and "ConditionExpression" in arguments and (answer := _stored(arguments)):
            return answer
        return make(client, operation, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield
