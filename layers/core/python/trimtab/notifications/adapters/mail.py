"""The store of contacts and sent mails in the table `notifications`, and delivery of mail through Amazon SES."""

from collections.abc import Mapping
from email.message import EmailMessage
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from trimtab.notifications.domain.contacts import (
    Contacts,
    MailFailed,
    MailMessage,
    MailRejected,
    SentMail,
    contacts_key,
    sent_mail_key,
)
from trimtab.runtime.aws_client import aws_client
from trimtab.runtime.dynamodb.batches import batch_get, batch_put
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.dynamodb.writes import put_records

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_ses import SESClient

_PERMANENT = frozenset(
    {
        "MessageRejected",
        "MailFromDomainNotVerified",
        "MailFromDomainNotVerifiedException",
        "InvalidParameterValue",
        "ValidationError",
    }
)
"""Error codes of SES that no retry changes. An unknown code is retried."""


@lru_cache(maxsize=1)
def ses() -> "SESClient":
    """Return the SES client, created on first use."""
    client: SESClient = aws_client("ses", read_timeout=5)
    return client


class ContactStore(Struct, frozen=True):
    """Reads and writes contacts and the records of sent mails."""

    client: "DynamoDBClient"
    table: str

    def contacts(self, tenant_id: str, portfolio_id: str) -> Contacts:
        """Return the contacts of a portfolio, with no addresses if nothing is stored."""
        item = get_item(self.client, self.table, contacts_key(tenant_id, portfolio_id))
        if item is None:
            return Contacts(tenant_id=tenant_id, portfolio_id=portfolio_id)
        return Contacts.from_item(tenant_id, portfolio_id, item)

    def put(self, contacts: Contacts) -> None:
        """Store contacts (optimistic locking); raises `ConditionFailed` for a concurrent write."""
        put_records(self.client, self.table, contacts)

    def finished_addresses(self, contacts: Contacts, message_id: str) -> set[str]:
        """Return the addresses of the contacts for which SES accepted the message, or rejected it for good."""
        names = (contacts.tenant_id, contacts.portfolio_id, message_id)
        keys = [sent_mail_key(*names, email) for email in contacts.emails]
        items = batch_get(self.client, self.table, keys, consistent=True)
        return {item["sk"].partition("#")[2].partition("#")[2] for item in items}

    def put_sent(self, mail: SentMail) -> None:
        """Store the record of a finished mail."""
        batch_put(self.client, self.table, [mail.to_item()])


class SesMailer(Struct, frozen=True):
    """Sends mail through SES from `sender`, a verified identity.

    Bounces and complaints are reported by the configuration set, with the tags of the mail; an empty name is none.
    """

    client: "SESClient"
    sender: str
    configuration_set: str = ""

    def send(self, email: str, message: MailMessage, tags: Mapping[str, str]) -> None:
        """Send a message; raises `MailRejected` if SES rejects it for good, `MailFailed` if a retry may succeed."""
        raw = to_mime(self.sender, email, message).as_bytes()
        reported: Any = {}
        if self.configuration_set:
            named = [{"Name": name, "Value": value} for name, value in tags.items()]
            reported = {"ConfigurationSetName": self.configuration_set, "Tags": named}
        try:
            self.client.send_raw_email(Source=self.sender, Destinations=[email], RawMessage={"Data": raw}, **reported)
        except ClientError as error:
            is_permanent = error.response["Error"]["Code"] in _PERMANENT
            raise (MailRejected if is_permanent else MailFailed)(str(error)) from error
        except BotoCoreError as error:
            raise MailFailed(str(error)) from error


def to_mime(sender: str, email: str, message: MailMessage) -> EmailMessage:
    """Return the MIME message: the text, and as an alternative the HTML part with its images."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, email, message.subject
    mail.set_content(message.text)
    if message.html is None:
        return mail
    mail.add_alternative(message.html, subtype="html")
    *_, html = mail.iter_parts()
    for attachment in message.attachments:
        kind, _, subtype = attachment.media_type.partition("/")
        name, content_id = f"{attachment.name}.{subtype}", f"<{attachment.name}>"
        html.add_related(attachment.content, kind, subtype, cid=content_id, filename=name, disposition="inline")
    return mail
