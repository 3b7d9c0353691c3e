"""The log of events: a reader misses nothing, whatever a query finds of transactions that are being committed."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.contracts.events import CloudEvent
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import strict_json
from trimtab.runtime.dynamodb.client import deserialize, serialize
from trimtab.webhooks.domain.event_log import RETENTION, SETTLING, LogEntry, event_of_bus, readable, sequence_item

GOLDEN = Path(__file__).parents[2] / "golden/webhooks"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
EVENT: Mapping[str, Any] = {
    "specversion": "1.0",
    "id": "731eb848-c0f2-552f-b8d8-c216b7119182",
    "source": "trimtab",
    "type": "trade.recorded",
    "time": "2026-11-21T09:30:01.000000Z",
    "datacontenttype": "application/json",
    "tenantid": "demo",
    "data": {"user_id": "1", "amount": "10.50", "revision": 1, "is_void": False},
}


def entry(sequence: int, logged_at: datetime = NOW) -> LogEntry:
    """Return an entry with this number."""
    return LogEntry("demo", sequence, EVENT, logged_at)


@given(st.data())
def test_a_reader_gets_every_entry_once_in_order_although_queries_find_parts_of_transactions(
    data: st.DataObject,
) -> None:
    batches = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6), label="entries of each transaction")
    log = [entry(number) for number in range(1, sum(batches) + 1)]
    cursor, read = 0, list[int]()
    for committed in range(len(batches) + 1):
        visible = {each.sequence for each in log[: sum(batches[:committed])]}
        torn = [each.sequence for each in log[sum(batches[:committed]) :]]
        visible |= set(data.draw(st.lists(st.sampled_from(torn), unique=True), label="found early") if torn else [])
        found = [each for each in log if each.sequence in visible and each.sequence > cursor]
        passed = readable(found, cursor, NOW)
        read += [each.sequence for each in passed]
        cursor = passed[-1].sequence if passed else cursor
    assert read == [each.sequence for each in log]


@pytest.mark.parametrize("first", [1, 7])
def test_a_gap_before_an_old_entry_was_deleted_and_is_passed(first: int) -> None:
    old = NOW - SETTLING
    entries = [entry(first + 1, old), entry(first + 5, old)]
    assert readable(entries, first - 1, NOW) == entries
    assert readable(entries, first - 1, NOW - timedelta(seconds=1)) == []


def test_an_entry_is_expired_after_thirty_days() -> None:
    assert not entry(1).is_expired(NOW + RETENTION)
    assert entry(1).is_expired(NOW + RETENTION + timedelta(seconds=1))


def test_whole_numbers_of_an_event_stay_numbers() -> None:
    received = CloudEvent.model_validate(strict_json.loads(json.dumps(EVENT)))
    assert json.dumps(event_of_bus(received)) == json.dumps(EVENT)


def golden(name: str) -> Any:
    """Return a golden item."""
    return json.loads((GOLDEN / f"{name}.v1.json").read_text())


def test_an_entry_its_note_and_the_counter_are_written_as_stored_and_read() -> None:
    written = [deserialize(serialize(item)) for item in [*entry(42).to_items(), sequence_item("demo", 42)]]
    assert written == [golden("log_entry"), golden("logged_event"), golden("last_sequence")]
    assert LogEntry.from_item("demo", {**golden("log_entry"), "added_later": "x"}) == entry(42)
    with pytest.raises(UnknownForm, match="log entry"):
        LogEntry.from_item("demo", {**golden("log_entry"), "v": 2})
