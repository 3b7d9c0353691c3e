"""The keys and indexes of the tables as plain data, shared by the retained stack and the tests."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table with keys `pk` and `sk` and keys-only indexes.

    A local index sorts by the attribute with the name of the index; a global index has the keys `<name>_pk` and
    `<name>_sk`. All keys are strings. Local indexes cannot be added to an existing table. `stream`: writes carry events
    to publish. `expires`: DynamoDB deletes an item after `expires_at` (seconds since 1970).
    """

    local_indexes: tuple[str, ...] = ()
    global_indexes: tuple[str, ...] = ()
    stream: bool = True
    expires: bool = False

    def attributes(self) -> list[str]:
        """Return the names of all key attributes."""
        of_global = [f"{name}_{part}" for name in self.global_indexes for part in ("pk", "sk")]
        return ["pk", "sk", *self.local_indexes, *of_global]

    def create_arguments(self, table_name: str) -> dict[str, Any]:
        """Return the arguments of `CreateTable`."""
        arguments: dict[str, Any] = {
            "TableName": table_name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in self.attributes()],
            "KeySchema": _keys("pk", "sk"),
        }
        if self.stream:
            arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        if self.local_indexes:
            arguments["LocalSecondaryIndexes"] = [_index(name, "pk", name) for name in self.local_indexes]
        if self.global_indexes:
            arguments["GlobalSecondaryIndexes"] = [
                _index(name, f"{name}_pk", f"{name}_sk") for name in self.global_indexes
            ]
        return arguments


PORTFOLIOS = TableShape(("by_time", "by_symbol"), ("by_user", "by_tenant", "pending_jobs", "calendar_due"))
WATCHES = TableShape(("upper_bound", "lower_bound"), stream=False)
PAPER = TableShape(stream=False)
ANALYTICS = TableShape((), ("valued",))
NOTIFICATIONS = TableShape(expires=True)
WEBHOOKS = TableShape(expires=True)
MARKET = TableShape((), ("by_sector",))
BETTING = TableShape((), ("by_user", "by_market", "by_open_user", "by_open_market"))

BY_NAME = {
    "analytics": ANALYTICS,
    "betting": BETTING,
    "market": MARKET,
    "notifications": NOTIFICATIONS,
    "paper": PAPER,
    "portfolios": PORTFOLIOS,
    "watches": WATCHES,
    "webhooks": WEBHOOKS,
}
"""The shape of each table by its name in an environment file."""


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def _index(name: str, partition: str, sort: str) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": _keys(partition, sort), "Projection": {"ProjectionType": "KEYS_ONLY"}}
