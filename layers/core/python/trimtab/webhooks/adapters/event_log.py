"""The log of events in the table `webhooks`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.kernel.retry import retry_on_conflict
from trimtab.runtime.dynamodb.batches import batch_get
from trimtab.runtime.dynamodb.client import get_item, serialize
from trimtab.runtime.dynamodb.paging import query_range
from trimtab.runtime.dynamodb.writes import transact
from trimtab.webhooks.domain.event_log import (
    MAX_SEQUENCE,
    LogEntry,
    entry_key,
    logged_key,
    readable,
    sequence_item,
    sequence_key,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

EVENTS_PER_WRITE = 40
"""A transaction has at most 100 writes: two for each event, and the number of the last entry."""

APPEND_TRIES = 10


class LogPage(Struct, frozen=True):
    """Consecutive entries; `has_more` is True if entries follow or are just being committed."""

    entries: Sequence[LogEntry]
    has_more: bool


class EventLog(Struct, frozen=True):
    """Appends events to the logs of tenants, and reads them in order."""

    client: "DynamoDBClient"
    table: str

    def append(self, tenant_id: str, events: Sequence[Mapping[str, Any]], now: datetime) -> list[LogEntry]:
        """Log each event once, however often it is given, and return the new entries.

        Raises `Conflict` if other writers kept appending; the caller appends the same events again.
        """
        distinct = list({event["id"]: event for event in events}.values())
        starts = range(0, len(distinct), EVENTS_PER_WRITE)
        batches = [distinct[start : start + EVENTS_PER_WRITE] for start in starts]
        return [
            entry
            for batch in batches
            for entry in retry_on_conflict(partial(self._append, tenant_id, batch, now), APPEND_TRIES)
        ]

    def _append(self, tenant_id: str, events: Sequence[Mapping[str, Any]], now: datetime) -> list[LogEntry]:
        keys = [sequence_key(tenant_id), *(logged_key(tenant_id, event["id"]) for event in events)]
        stored = {(item["pk"], item["sk"]): item for item in batch_get(self.client, self.table, keys, consistent=True)}
        counter = stored.pop((keys[0]["pk"], keys[0]["sk"]), None)
        last = counter["sequence"] if counter else 0
        new = [event for event in events if logged_key(tenant_id, event["id"])["pk"] not in {pk for pk, _ in stored}]
        if not new:
            return []
        entries = [LogEntry(tenant_id, last + number, event, now) for number, event in enumerate(new, 1)]
        puts = [self._put_new(item) for entry in entries for item in entry.to_items()]
        transact(self.client, [self._advance(tenant_id, last, last + len(new)), *puts])
        return entries

    def entry(self, tenant_id: str, sequence: int) -> LogEntry | None:
        """Return an entry, None after its retention."""
        item = get_item(self.client, self.table, entry_key(tenant_id, sequence))
        return LogEntry.from_item(tenant_id, item) if item else None

    def entries(self, tenant_id: str, sequences: Sequence[int]) -> Sequence[LogEntry]:
        """Return the entries with these numbers, at most 100, in any order."""
        keys = [entry_key(tenant_id, sequence) for sequence in sequences]
        return [
            LogEntry.from_item(tenant_id, item) for item in batch_get(self.client, self.table, keys, consistent=True)
        ]

    def last(self, tenant_id: str) -> int:
        """Return the number of the last entry, 0 for an empty log."""
        item = get_item(self.client, self.table, sequence_key(tenant_id))
        return int(item["sequence"]) if item else 0

    def read(self, tenant_id: str, after: int, limit: int, now: datetime) -> LogPage:
        """Return the entries after number `after`, oldest first; entries whose retention has ended are among them."""
        first, last = entry_key(tenant_id, after + 1), entry_key(tenant_id, MAX_SEQUENCE)
        between = (first["sk"], last["sk"])
        page = query_range(self.client, self.table, first["pk"], between, limit=limit, newest_first=False)
        found = [LogEntry.from_item(tenant_id, item) for item in page.items]
        entries = readable(found, after, now)
        return LogPage(entries, page.next_position is not None or len(entries) < len(found))

    def _advance(self, tenant_id: str, before: int, after: int) -> Any:
        if not before:
            return self._put_new(sequence_item(tenant_id, after))
        return {
            "Put": {
                "TableName": self.table,
                "Item": serialize(sequence_item(tenant_id, after)),
                "ConditionExpression": "#sequence = :before",
                "ExpressionAttributeNames": {"#sequence": "sequence"},
                "ExpressionAttributeValues": serialize({":before": before}),
            }
        }

    def _put_new(self, item: dict[str, Any]) -> Any:
        condition = {"ConditionExpression": "attribute_not_exists(pk)"}
        return {"Put": {"TableName": self.table, "Item": serialize(item), **condition}}
