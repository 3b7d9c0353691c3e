"""Equality of records, and the text of secrets."""

from typing import Any

import pytest

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.market.adapters.massive import MassiveKey
from trimtab.portfolios.execution.alpaca_http import AlpacaKeys


class Note(Record, frozen=True):
    """A record with one member of its own."""

    text: str

    def to_item(self) -> dict[str, Any]:
        """Return the text as the only attribute."""
        return {"text": self.text, **self.record_attributes()}


class Memo(Note, frozen=True):
    """Another kind of record with the same members."""


def test_records_are_equal_whatever_events_they_carry() -> None:
    plain, eventful = Note("a"), Note("a", events=(Event("note.written", {}),))
    assert plain == eventful
    assert hash(plain) == hash(eventful)


@pytest.mark.parametrize("other", [Note("b"), Note("a", version=2), Memo("a"), "a"])
def test_records_differ_by_every_other_member_and_by_their_class(other: object) -> None:
    assert Note("a") != other


@pytest.mark.parametrize("keys", [MassiveKey("secret-1"), AlpacaKeys("secret-2", "secret-3")])
def test_the_text_of_keys_shows_no_secret(keys: object) -> None:
    assert "secret" not in repr(keys)
    assert "secret" not in str(keys)
