"""Golden items of notifications: stored forms of this release, read and written by every later release."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trimtab.contracts.stored_form import UnknownForm
from trimtab.notifications.domain.contacts import Contacts, DisabledAddress, DisableReason, SentMail
from trimtab.runtime.dynamodb.client import deserialize, serialize

GOLDEN = Path(__file__).parents[2] / "golden/notifications"
CONTACTS = Contacts(tenant_id="demo", portfolio_id="p1", emails=("ada@example.com", "grace@example.com"), version=3)
SENT = SentMail("demo", "p1", "report-1", "ada@example.com", datetime(2026, 11, 2, 6, tzinfo=UTC))

SET_AT, MAILED_AT, BOUNCED_AT = (datetime(2026, 11, 21, 9, minute, tzinfo=UTC) for minute in (0, 30, 31))
BOUNCE = DisabledAddress(DisableReason.BOUNCE, "General: smtp; 550 5.1.1 user unknown", BOUNCED_AT)
BOUNCED = CONTACTS.set_emails(["ada@example.com"], SET_AT).disable("Ada@Example.com", BOUNCE, MAILED_AT)
REJECTED = SentMail("demo", "p1", "report-1", "ada@example.com", datetime(2026, 11, 2, 6, tzinfo=UTC), "Not verified")


def golden(name: str) -> Any:
    """Return a golden item."""
    return json.loads((GOLDEN / f"{name}.v1.json").read_text())


def stored(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as DynamoDB returns it."""
    return deserialize(serialize(item))


def test_contacts_are_read_and_written_as_stored() -> None:
    assert Contacts.from_item("demo", "p1", golden("contacts")) == CONTACTS
    assert stored(CONTACTS.to_item()) == golden("contacts")


def test_disabled_addresses_are_read_and_written_as_stored() -> None:
    assert Contacts.from_item("demo", "p1", golden("contacts_disabled")) == BOUNCED
    assert stored(BOUNCED.to_item()) == golden("contacts_disabled")


def test_the_note_of_a_rejected_mail_is_written_as_stored() -> None:
    assert stored(REJECTED.to_item()) == golden("sent_mail_rejected")


def test_the_note_of_a_sent_mail_is_written_as_stored() -> None:
    assert stored(SENT.to_item()) == golden("sent_mail")


def test_a_member_that_a_later_release_adds_is_ignored_and_missing_addresses_are_none() -> None:
    assert Contacts.from_item("demo", "p1", {**golden("contacts"), "added_later": "x"}) == CONTACTS
    item = {name: value for name, value in golden("contacts").items() if name != "emails"}
    assert Contacts.from_item("demo", "p1", item).emails == ()


def test_an_unknown_form_version_is_refused() -> None:
    with pytest.raises(UnknownForm, match="contacts"):
        Contacts.from_item("demo", "p1", {**golden("contacts"), "v": 2})
