"""The log of a tenant's events: numbered entries, and the rule by which a reader misses no entry."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.contracts.events import CloudEvent
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version
from trimtab.kernel import strict_json
from trimtab.kernel.clock import format_time, parse_time

RETENTION = timedelta(days=30)
"""The time for which an event can be read. Longer than any queue holds a message, so that no repeat is logged twice."""

SETTLING = timedelta(minutes=1)
"""The time after which every part of a committed transaction is visible: far longer than any transaction takes."""

MAX_SEQUENCE = 10**16 - 1
SEQUENCE, LOGGED, ENTRY = "SEQUENCE", "LOGGED", "EVENT#"


class LogEntry(Struct, frozen=True):
    """An event in the log of its tenant. `sequence` counts the entries of the tenant from 1, without gaps."""

    tenant_id: str
    sequence: int
    event: Mapping[str, Any]
    logged_at: datetime

    @property
    def type(self) -> str:
        """The type of the event, such as `portfolio.created`."""
        return str(self.event["type"])

    @property
    def user_id(self) -> str | None:
        """The user whose data the event is about, None for an event that names no user."""
        user_id: str | None = self.event["data"].get("user_id")
        return user_id

    def is_expired(self, now: datetime) -> bool:
        """Return True once the event is older than its retention; DynamoDB deletes the entry some time later."""
        return now - self.logged_at > RETENTION

    def to_items(self) -> list[dict[str, Any]]:
        """Return the entry, and the note of the logged event: the key of the note refuses a second entry."""
        expiry = {"expires_at": int((self.logged_at + RETENTION).timestamp())}
        entry = {"sequence": self.sequence, "event": json.dumps(self.event), "logged_at": format_time(self.logged_at)}
        return [
            {**entry_key(self.tenant_id, self.sequence), FORM: 1, **entry, **expiry},
            {**logged_key(self.tenant_id, self.event["id"]), FORM: 1, "sequence": self.sequence, **expiry},
        ]

    @classmethod
    def from_item(cls, tenant_id: str, item: Mapping[str, Any]) -> "LogEntry":
        """Return the entry in an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return cls(tenant_id, item["sequence"], json.loads(item["event"]), parse_time(item["logged_at"]))
            case version:
                raise UnknownForm("log entry", version)


def sequence_item(tenant_id: str, sequence: int) -> dict[str, Any]:
    """Return the item that holds the number of the last entry of a tenant; the item never expires."""
    return {**sequence_key(tenant_id), FORM: 1, "sequence": sequence}


def sequence_key(tenant_id: str) -> dict[str, str]:
    """Return the key of the number of the last entry of a tenant."""
    return {"pk": f"T#{tenant_id}#EVENTS", "sk": SEQUENCE}


def entry_key(tenant_id: str, sequence: int) -> dict[str, str]:
    """Return the key of an entry; keys sort in the order of the numbers."""
    return {"pk": f"T#{tenant_id}#EVENTS", "sk": f"{ENTRY}{sequence:016d}"}


def logged_key(tenant_id: str, event_id: str) -> dict[str, str]:
    """Return the key of the note that an event is logged."""
    return {"pk": f"T#{tenant_id}#EVENT#{event_id}", "sk": LOGGED}


def readable(entries: Sequence[LogEntry], after: int, now: datetime) -> Sequence[LogEntry]:
    """Return the entries that a reader may pass, of consecutive entries as a query found them after number `after`.

    Numbers have no gaps: they are taken by advancing the tenant's number in the transaction that writes the entries.
    A query is no snapshot, so it can find an entry whose predecessor is just being committed. A reader whose cursor
    passed the predecessor would miss it for ever. So the entries end before a gap, unless the entry after the gap was
    logged `SETTLING` ago: then the missing entries are not late, but deleted after their retention.
    """
    for position, entry in enumerate(entries):
        if entry.sequence != after + 1 and now - entry.logged_at < SETTLING:
            return entries[:position]
        after = entry.sequence
    return entries


def event_of_bus(event: CloudEvent) -> dict[str, Any]:
    """Return a CloudEvent as plain JSON values; the numbers of events are whole."""
    text = json.dumps(event.model_dump(exclude=None if event.traceparent else {"traceparent"}), default=_plain)
    return dict(json.loads(text))


def _plain(value: object) -> int | str:
    return int(value) if isinstance(value, Decimal) else strict_json.plain_text(value)
