"""The contacts of a portfolio, the mails to them, and the stored forms of both."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version
from trimtab.kernel.clock import format_time

MAX_CONTACTS = 10
MAX_ADDRESS = 254
ADDRESS_PATTERN = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,4}"
CONTACTS, SENT = "CONTACTS", "SENT#"
RETENTION_SECONDS = 400 * 24 * 3600
"""The lifetime of a note of a sent mail: longer than any queue holds the message."""

_ADDRESS = re.compile(ADDRESS_PATTERN)


class Contacts(Record, frozen=True, kw_only=True):
    """The mail addresses that get the alerts and reports of a portfolio; `version` 0 before the first write."""

    tenant_id: str
    portfolio_id: str
    emails: tuple[str, ...] = ()
    version: int = 0

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item."""
        return {
            **contacts_key(self.tenant_id, self.portfolio_id),
            **self.record_attributes(),
            "emails": list(self.emails) or None,
        }

    @classmethod
    def from_item(cls, tenant_id: str, portfolio_id: str, item: Mapping[str, Any]) -> "Contacts":
        """Return the contacts of an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                emails = tuple(item.get("emails", ()))
                return cls(tenant_id=tenant_id, portfolio_id=portfolio_id, emails=emails, version=item["version"])
            case version:
                raise UnknownForm("contacts", version)


class SentMail(Struct, frozen=True):
    """A note of a mail accepted by the mail server: a message and an address."""

    tenant_id: str
    portfolio_id: str
    message_id: str
    email: str
    sent_at: datetime

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item; DynamoDB deletes the item some time after `expires_at`.

        Only the key is ever read, so the form needs no reader.
        """
        return {
            **sent_mail_key(self.tenant_id, self.portfolio_id, self.message_id, self.email),
            FORM: 1,
            "sent_at": format_time(self.sent_at),
            "expires_at": int(self.sent_at.timestamp()) + RETENTION_SECONDS,
        }


class MailAttachment(Struct, frozen=True):
    """An image that the HTML part of a mail shows as `cid:<name>`."""

    name: str
    media_type: str
    content: str


class MailMessage(Struct, frozen=True):
    """A mail: `text` is complete without the HTML part; `html` shows the same content formatted."""

    subject: str
    text: str
    html: str | None = None
    attachments: tuple[MailAttachment, ...] = ()


class MailRejected(Exception):
    """Raised where the mail server does not accept a message; the text is the server's reason."""


class DeliveryRejected(Exception):
    """Raised where mails to some contacts were rejected; a repeated delivery sends only the missing ones."""


def contacts_key(tenant_id: str, portfolio_id: str) -> dict[str, str]:
    """Return the key of the contacts in the table `notifications`."""
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}", "sk": CONTACTS}


def sent_mail_key(tenant_id: str, portfolio_id: str, message_id: str, email: str) -> dict[str, str]:
    """Return the key of the note that a message was sent to an address."""
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}", "sk": f"{SENT}{message_id}#{email}"}


def is_address(text: str) -> bool:
    """Return True for an accepted mail address: ASCII only, and no character with a meaning in a mail header."""
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def alert_message(title: str, text: str, details: Mapping[str, str]) -> MailMessage:
    """Return the mail about an alert."""
    lines = [text, "", *(f"{name}: {value}" for name, value in sorted(details.items()))]
    return MailMessage(" ".join(title.split())[:200], "\n".join(lines).rstrip() + "\n")
