"""Contacts and what they were sent, in the table `notifications`; and SES, which takes the mail."""

from email.message import EmailMessage
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from trimtab.kernel.clock import Clock, format_time
from trimtab.notifications.domain import Contacts, Message
from trimtab.notifications.service import MailRefused
from trimtab.runtime.dynamodb.batches import batch_get, batch_put
from trimtab.runtime.dynamodb.client import Key, get_item
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_ses import SESClient

CONTACTS, SENT = "CONTACTS", "SENT#"
KEPT_SECONDS = 400 * 24 * 3600
_TIMEOUTS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})


@lru_cache(maxsize=1)
def ses() -> "SESClient":
    """The client, made on first use."""
    return boto3.client("ses", config=_TIMEOUTS)


class DynamoContacts(Struct, frozen=True):
    """The store of contacts."""

    client: "DynamoDBClient"
    table: str
    clock: Clock

    def contacts(self, tenant_id: str, portfolio_id: str) -> Contacts:
        """See `ContactStore.contacts`."""
        item = get_item(self.client, self.table, {**_key(tenant_id, portfolio_id), "sk": CONTACTS})
        if item is None:
            return Contacts(tenant_id, portfolio_id)
        emails = tuple(item["emails"].split(",")) if "emails" in item else ()
        return Contacts(tenant_id, portfolio_id, emails, item["version"])

    def put(self, contacts: Contacts) -> None:
        """See `ContactStore.put`."""
        item = {
            **_key(contacts.tenant_id, contacts.portfolio_id),
            "sk": CONTACTS,
            "emails": ",".join(contacts.emails) or None,
            "version": contacts.version,
        }
        put_item(self.client, self.table, item)

    def were_sent(self, contacts: Contacts, message_id: str) -> set[str]:
        """See `ContactStore.were_sent`."""
        key = _key(contacts.tenant_id, contacts.portfolio_id)
        keys = [{**key, "sk": _sent(message_id, email)} for email in contacts.emails]
        found = batch_get(self.client, self.table, keys, consistent=True)
        return {item["sk"].partition("#")[2].partition("#")[2] for item in found}

    def sent(self, contacts: Contacts, message_id: str, email: str) -> None:
        """See `ContactStore.sent`. DynamoDB forgets it by itself when no queue can hold the message any more."""
        now = self.clock()
        item = {
            **_key(contacts.tenant_id, contacts.portfolio_id),
            "sk": _sent(message_id, email),
            "sent_at": format_time(now),
            "expires_at": int(now.timestamp()) + KEPT_SECONDS,
        }
        batch_put(self.client, self.table, [item])


class SesMailer(Struct, frozen=True):
    """Sends as `sender`, an identity that SES knows."""

    client: "SESClient"
    sender: str

    def send(self, email: str, message: Message) -> None:
        """See `Mailer.send`."""
        raw = mime(self.sender, email, message).as_bytes()
        try:
            self.client.send_raw_email(Source=self.sender, Destinations=[email], RawMessage={"Data": raw})
        except (ClientError, BotoCoreError) as error:
            raise MailRefused(str(error)) from error


def mime(sender: str, email: str, message: Message) -> EmailMessage:
    """The message as mail: the text, and beside it the HTML with its pictures."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, email, message.subject
    mail.set_content(message.text)
    if message.html is None:
        return mail
    mail.add_alternative(message.html, subtype="html")
    *_, html = mail.iter_parts()
    for each in message.attachments:
        kind, _, subtype = each.media_type.partition("/")
        html.add_related(
            each.content.encode(),
            kind,
            subtype,
            cid=f"<{each.name}>",
            filename=f"{each.name}.{subtype.partition('+')[0]}",
        )
    return mail


def _key(tenant_id: str, portfolio_id: str) -> Key:
    return {"pk": f"T#{tenant_id}#P#{portfolio_id}"}


def _sent(message_id: str, email: str) -> str:
    return f"{SENT}{message_id}#{email}"
