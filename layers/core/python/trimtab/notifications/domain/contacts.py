"""The contacts of a portfolio, the mails to them, and the stored forms of both."""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.event_data import AlertData
from trimtab.contracts.events import Event, pack_events
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version
from trimtab.kernel.clock import format_time, parse_time

MAX_CONTACTS = 10
MAX_ADDRESS, MAX_LOCAL_PART = 254, 64
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS_PATTERN = rf"{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z]([A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?"
"""A dot-atom and a domain of at least two labels (RFC 5321), without quoted texts, comments and address literals.

No character has a meaning in a mail header. The library `email-validator` is not used: importing it loads a DNS
resolver, which a cold start would pay for.
"""
CONTACTS, SENT = "CONTACTS", "SENT#"
RETENTION_SECONDS = 400 * 24 * 3600
"""The lifetime of a note of a sent mail: longer than any queue holds the message."""

_ADDRESS = re.compile(ADDRESS_PATTERN)
_TENANT_TAG, _PORTFOLIO_TAG = "tenant", "portfolio"


class DisableReason(StrEnum):
    """The reason for which an address gets no mail."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"


class DisabledAddress(Struct, frozen=True):
    """An address that gets no mail since `disabled_at`; `detail` is the text of the receiving mail server."""

    reason: DisableReason
    detail: str
    disabled_at: datetime

    def to_stored(self) -> dict[str, str]:
        """Return the plain values in the item of the contacts."""
        return {"reason": self.reason.value, "detail": self.detail, "disabled_at": format_time(self.disabled_at)}

    @classmethod
    def from_stored(cls, stored: Mapping[str, str]) -> "DisabledAddress":
        """Return the address of the plain values in an item."""
        return cls(DisableReason(stored["reason"]), stored["detail"], parse_time(stored["disabled_at"]))


class Contacts(Record, frozen=True, kw_only=True):
    """The mail addresses that get the alerts and reports of a portfolio; `version` 0 before the first write.

    `set_at` is the time at which a client set the addresses, None for addresses set by an earlier release. Mail servers
    refused the addresses in `disabled` since then.
    """

    tenant_id: str
    portfolio_id: str
    emails: tuple[str, ...] = ()
    disabled: Mapping[str, DisabledAddress] = {}
    set_at: datetime | None = None
    version: int = 0

    @property
    def active_emails(self) -> tuple[str, ...]:
        """The addresses that get mail."""
        return tuple(email for email in self.emails if email not in self.disabled)

    def set_emails(self, emails: Sequence[str], now: datetime) -> "Contacts":
        """Return the contacts with other addresses, none of them disabled; the same contacts if nothing changes."""
        wanted = tuple(dict.fromkeys(emails))
        if self.emails == wanted and not self.disabled:
            return self
        return replace(self, emails=wanted, disabled={}, set_at=now, version=self.version + 1, events=())

    def disable(self, email: str, address: DisabledAddress, mailed_at: datetime) -> "Contacts":
        """Return the contacts with a disabled address and the event; the same contacts if nothing changes.

        `mailed_at` is the time of the mail that was refused. A mail from before the addresses were set disables none.
        """
        found = next((known for known in self.active_emails if known.casefold() == email.casefold()), None)
        if found is None or (self.set_at is not None and mailed_at < self.set_at):
            return self
        data = {"portfolio_id": self.portfolio_id, "email": found, "reason": address.reason, "detail": address.detail}
        return replace(
            self,
            disabled={**self.disabled, found: address},
            version=self.version + 1,
            events=(Event("contact.disabled", data),),
        )

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item."""
        return {
            **contacts_key(self.tenant_id, self.portfolio_id),
            **self.record_attributes(),
            "emails": list(self.emails) or None,
            "disabled": {email: address.to_stored() for email, address in self.disabled.items()} or None,
            "set_at": format_time(self.set_at) if self.set_at else None,
            **self._publication(),
        }

    def _publication(self) -> dict[str, str]:
        """Return the attributes that the publisher of events reads."""
        if not self.events:
            return {}
        updated_at = max(address.disabled_at for address in self.disabled.values())
        return {"tenant_id": self.tenant_id, "updated_at": format_time(updated_at)}

    @classmethod
    def from_item(cls, tenant_id: str, portfolio_id: str, item: Mapping[str, Any]) -> "Contacts":
        """Return the contacts of an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return cls(
                    tenant_id=tenant_id,
                    portfolio_id=portfolio_id,
                    emails=tuple(item.get("emails", ())),
                    disabled={
                        email: DisabledAddress.from_stored(stored) for email, stored in item.get("disabled", {}).items()
                    },
                    set_at=parse_time(item["set_at"]) if "set_at" in item else None,
                    version=item["version"],
                )
            case version:
                raise UnknownForm("contacts", version)


class SentMail(Struct, frozen=True):
    """A note of a mail that SES accepted, or rejected for good with `rejection` as the reason."""

    tenant_id: str
    portfolio_id: str
    message_id: str
    email: str
    sent_at: datetime
    rejection: str | None = None

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item; DynamoDB deletes the item some time after `expires_at`.

        Only the key is ever read, so the form needs no reader.
        """
        return {
            **sent_mail_key(self.tenant_id, self.portfolio_id, self.message_id, self.email),
            FORM: 1,
            "sent_at": format_time(self.sent_at),
            "expires_at": int(self.sent_at.timestamp()) + RETENTION_SECONDS,
            **self._rejection_attributes(),
        }

    def _rejection_attributes(self) -> dict[str, Any]:
        """Return the reason of a rejection, with the event that tells an operator."""
        if self.rejection is None:
            return {}
        names = {"portfolio_id": self.portfolio_id, "email": self.email, "message_id": self.message_id}
        return {
            "rejection": self.rejection,
            "tenant_id": self.tenant_id,
            "updated_at": format_time(self.sent_at),
            "version": 1,
            "events": pack_events([Event("mail.rejected", {**names, "reason": self.rejection})]),
        }


class MailAttachment(Struct, frozen=True):
    """An image that the HTML part of a mail shows as `cid:<name>`."""

    name: str
    media_type: str
    content: bytes


class MailMessage(Struct, frozen=True):
    """A mail: `text` is complete without the HTML part; `html` shows the same content formatted."""

    subject: str
    text: str
    html: str | None = None
    attachments: tuple[MailAttachment, ...] = ()


class MailFailed(Exception):
    """Raised where SES did not accept a message now, and may accept the message later; the text is the reason."""


class MailRejected(Exception):
    """Raised where SES rejects a message for good; the text is the reason."""


class DeliveryIncomplete(Exception):
    """Raised where mails to some contacts failed; a repeated delivery sends only the missing ones."""


def contacts_key(tenant_id: str, portfolio_id: str) -> dict[str, str]:
    """Return the key of the contacts in the table `notifications`."""
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}", "sk": CONTACTS}


def sent_mail_key(tenant_id: str, portfolio_id: str, message_id: str, email: str) -> dict[str, str]:
    """Return the key of the note that a message was sent to an address."""
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}", "sk": f"{SENT}{message_id}#{email}"}


def is_address(text: str) -> bool:
    """Return True for an accepted mail address: ASCII only, of at most 254 characters, 64 before the `@`.

    >>> is_address("o'brien+x@b.c.d.example.co.uk")
    True
    >>> is_address("ada..l@example.com")
    False
    """
    is_short = len(text) <= MAX_ADDRESS and len(text.partition("@")[0]) <= MAX_LOCAL_PART
    return is_short and _ADDRESS.fullmatch(text) is not None


def mail_tags(tenant_id: str, portfolio_id: str) -> dict[str, str]:
    """Return the tags by which a bounce names the portfolio; SES allows letters, digits, `_` and `-` in tags."""
    tenant = base64.urlsafe_b64encode(tenant_id.encode()).decode().rstrip("=")
    return {_TENANT_TAG: tenant, _PORTFOLIO_TAG: portfolio_id}


def read_mail_tags(tags: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Return the tenant and the portfolio in the tags of a mail; None for a mail without both tags."""
    tenants, portfolios = tags.get(_TENANT_TAG), tags.get(_PORTFOLIO_TAG)
    if not tenants or not portfolios:
        return None
    text = tenants[0]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(), portfolios[0]


def alert_message(alert: AlertData, public_url: str) -> MailMessage:
    """Return the mail about an alert of a portfolio, with a link below `public_url`, the address of the API."""
    subject = f"{alert.name}: {alert.title}" if alert.name else alert.title
    details = (f"{name}: {value}" for name, value in sorted(alert.details.items()))
    lines = [alert.text, "", *details, "", f"Portfolio: {public_url}/portfolios/{alert.portfolio_id}"]
    return MailMessage(" ".join(subject.split())[:200], "\n".join(lines) + "\n")
