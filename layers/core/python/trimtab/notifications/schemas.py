"""Request and response bodies of contacts, and the reports of SES about mails."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from trimtab.contracts.fields import Model, Time
from trimtab.notifications.domain.contacts import (
    ADDRESS_PATTERN,
    MAX_ADDRESS,
    MAX_CONTACTS,
    Contacts,
    DisabledAddress,
    DisableReason,
    is_address,
)

MAX_DETAIL = 200


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError("Give an e-mail address of ASCII characters, such as ada@example.com.")
    return text


Email = Annotated[
    str, Field(max_length=MAX_ADDRESS, json_schema_extra={"pattern": f"^{ADDRESS_PATTERN}$"}), AfterValidator(_address)
]


class ReplaceContacts(Model):
    """All contacts of the portfolio."""

    emails: Annotated[list[Email], Field(max_length=MAX_CONTACTS, examples=[["ada@example.com"]])]
    """The e-mail addresses that receive the alerts and reports of the portfolio; an empty list stops both. Disabled
    addresses are enabled again."""


class DisabledAddressView(Model):
    """An address that gets no mail until the contacts are replaced."""

    email: str
    """The address. Example: `ada@example.com`"""
    reason: DisableReason
    """`bounce` if the mail server of the address refused a mail for good, `complaint` if a mail was reported as spam.
    Example: `bounce`"""
    detail: str
    """The report of the mail server. Example: `General: smtp; 550 5.1.1 user unknown`"""
    disabled_at: Time
    """The time of the report (UTC). Example: `2026-11-20T15:30:00Z`"""


class ContactsView(Model):
    """The contacts of a portfolio."""

    portfolio_id: str
    emails: list[str]
    disabled: list[DisabledAddressView]
    """The addresses of `emails` that get no mail. Replacing the contacts enables all addresses again."""


def contacts_view(contacts: Contacts) -> dict[str, Any]:
    """Return the members of a `ContactsView`."""
    return {
        "portfolio_id": contacts.portfolio_id,
        "emails": list(contacts.emails),
        "disabled": [{"email": email, **address.to_stored()} for email, address in contacts.disabled.items()],
    }


class _Report(Model):
    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)


class ReportedRecipient(_Report):
    """An addressee of a mail that was refused."""

    email_address: str
    diagnostic_code: str | None = None


class BounceReport(_Report):
    """A refusal by the mail server of the addressees; `Permanent` for an address that takes no mail."""

    bounce_type: str
    bounce_sub_type: str
    bounced_recipients: list[ReportedRecipient]
    timestamp: Time


class ComplaintReport(_Report):
    """A report of a mail as spam."""

    complained_recipients: list[ReportedRecipient]
    complaint_feedback_type: str | None = None
    timestamp: Time


class ReportedMail(_Report):
    """The mail that a report is about, with the time at which SES accepted the mail."""

    timestamp: Time
    tags: Mapping[str, list[str]] = Field(default_factory=dict)


class MailReport(_Report):
    """A report of SES about a mail: a bounce or a complaint."""

    bounce: BounceReport | None = None
    complaint: ComplaintReport | None = None
    mail: ReportedMail

    def disabled_addresses(self) -> list[tuple[str, DisabledAddress]]:
        """Return the addresses that the report disables; none for a temporary bounce."""
        if (bounce := self.bounce) and bounce.bounce_type == "Permanent":
            return [
                (each.email_address, _disabled(DisableReason.BOUNCE, bounce, bounce.bounce_sub_type, each))
                for each in bounce.bounced_recipients
            ]
        if complaint := self.complaint:
            kind = complaint.complaint_feedback_type or "unknown"
            return [
                (each.email_address, _disabled(DisableReason.COMPLAINT, complaint, kind, each))
                for each in complaint.complained_recipients
            ]
        return []


class MailReported(_Report):
    """A report of SES in the envelope in which an EventBridge rule delivers events to a queue."""

    detail: MailReport


def _disabled(
    reason: DisableReason, report: BounceReport | ComplaintReport, kind: str, recipient: ReportedRecipient
) -> DisabledAddress:
    detail = ": ".join(part for part in (kind, recipient.diagnostic_code) if part)
    return DisabledAddress(reason, detail[:MAX_DETAIL], report.timestamp)
