"""Stored forms are named and versioned: a member can be added, and an unknown version is an error."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from trimtab.contracts.events import Event, pack_events, unpack_events
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import (
    UnknownForm,
    form_version,
    from_attributes,
    pack,
    to_attributes,
    unpack,
)


class Colour(StrEnum):
    RED = "red"


class SampleLeg(msgspec.Struct, frozen=True):
    symbol: str
    quantity: Decimal


class StoredSample(msgspec.Struct, frozen=True):
    colour: Colour
    price: Decimal
    at: datetime
    day: date
    legs: tuple[SampleLeg, ...] = ()
    limits: Mapping[str, Decimal] | None = None
    count: int = 0


class WiderSample(StoredSample, frozen=True):
    note: str = "none"


SAMPLE = StoredSample(
    Colour.RED,
    Decimal("1E+2"),
    datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    date(2026, 1, 31),
    (SampleLeg("A", Decimal("0.5")),),
)
ATTRIBUTES = {
    "colour": "red",
    "price": "100",
    "at": "2026-01-31T09:30:00.000000Z",
    "day": "2026-01-31",
    "legs": [{"symbol": "A", "quantity": "0.5"}],
    "count": 0,
}


def test_a_value_becomes_named_plain_attributes_and_back() -> None:
    assert to_attributes(SAMPLE) == ATTRIBUTES
    assert from_attributes(ATTRIBUTES, StoredSample) == SAMPLE


def test_a_value_is_packed_as_named_json_and_back() -> None:
    text = pack([SAMPLE])
    assert text.startswith('[{"colour":"red","price":"100","at":"2026-01-31T09:30:00.000000Z"')
    assert unpack(text, list[StoredSample]) == [SAMPLE]


def test_one_more_member_leaves_older_items_readable_and_newer_items_too() -> None:
    wider = from_attributes(ATTRIBUTES, WiderSample)
    assert wider.note == "none"
    assert from_attributes(to_attributes(wider), StoredSample) == SAMPLE
    assert unpack(pack(wider), StoredSample) == SAMPLE


@pytest.mark.parametrize("change", [{"colour": "blue"}, {"price": "much"}, {"at": "yesterday"}])
def test_an_attribute_that_does_not_fit_is_an_error(change: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        from_attributes({**ATTRIBUTES, **change}, StoredSample)


def test_events_are_packed_by_name_with_a_version() -> None:
    events = (Event("trade.recorded", {"ref_id": "t1"}),)
    text = '{"v":1,"events":[{"type":"trade.recorded","data":{"ref_id":"t1"}}]}'
    assert pack_events(events) == text
    assert unpack_events(text) == events
    assert pack_events(()) is None


def test_packed_events_of_an_unknown_version_are_an_error() -> None:
    with pytest.raises(UnknownForm, match="packed events: unknown form version 9"):
        unpack_events('{"v":9,"events":[]}')


class Bare(Record, frozen=True):
    """A record without members of its own."""

    def to_item(self) -> dict[str, Any]:
        """Return the attributes that every record has."""
        return self.record_attributes()


def test_a_record_stores_its_form_its_version_and_its_events() -> None:
    attributes = Bare(version=3, events=(Event("a.b", {}),)).to_item()
    assert attributes == {"v": 1, "version": 3, "events": '{"v":1,"events":[{"type":"a.b","data":{}}]}'}
    assert form_version(attributes) == 1
    assert form_version({}) is None
