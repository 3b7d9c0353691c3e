"""Dead letters: read without being lost, sent to their queue again, deleted."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from msgspec import Struct

from trimtab.kernel.clock import from_epoch_milliseconds
from trimtab.runtime.sqs.worker import FIRST_SENT_AT, ORIGINAL_SENDER

DEAD = "-dead"
HOLD_SECONDS = 300
BATCH = 10


class DeadLetterQueue(Struct, frozen=True):
    """A queue of dead letters. `source_url` is the queue of the worker, None where no worker reads the messages."""

    name: str
    url: str
    source_url: str | None


def dead_letter_queues(queues: Mapping[str, str]) -> list[DeadLetterQueue]:
    """Return the dead-letter queues and the failure queues among queues by name, in the order of the names.

    A dead-letter queue has the name of its source queue.

    >>> queues = {"quotes": "url/quotes", "quotes-dead": "url/quotes-dead", "sweeps-failed": "url/sweeps-failed"}
    >>> [queue.name for queue in dead_letter_queues(queues)]
    ['quotes', 'sweeps-failed']
    """
    dead = [
        DeadLetterQueue(name.removesuffix(DEAD), url, queues.get(name.removesuffix(DEAD)))
        for name, url in queues.items()
        if name.endswith(DEAD)
    ]
    failures = [
        DeadLetterQueue(name, url, None)
        for name, url in queues.items()
        if not name.endswith(DEAD) and name + DEAD not in queues
    ]
    return sorted([*dead, *failures], key=lambda queue: queue.name)


class DeadLetter(Struct, frozen=True):
    """A message of a dead-letter queue, as SQS returned it."""

    queue: str
    message: Mapping[str, Any]

    @property
    def message_id(self) -> str:
        return str(self.message["MessageId"])

    @property
    def text(self) -> str:
        """The body as sent."""
        return str(self.message["Body"])

    @property
    def body(self) -> Any:
        """The decoded body: JSON, or the text where the body is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return self.text

    @property
    def tenant_id(self) -> str | None:
        """The tenant that the body names, None where it names none."""
        body = self._members
        tenant = body.get("tenant_id") or body.get("tenantid") or _members(body.get("detail")).get("tenantid")
        return tenant if isinstance(tenant, str) else None

    @property
    def kind(self) -> str | None:
        """The type of the message, or of the event that the message carries."""
        kind = self._members.get("type") or self._members.get("detail-type")
        return kind if isinstance(kind, str) else None

    @property
    def sent_at(self) -> datetime:
        """The time at which the message was sent; a redrive sends it anew."""
        return from_epoch_milliseconds(int(self.system["SentTimestamp"]))

    @property
    def receives(self) -> int:
        """The number of deliveries that SQS counted; each listing counts as one."""
        return int(self.system.get("ApproximateReceiveCount", 1))

    @property
    def system(self) -> Mapping[str, str]:
        """The attributes that SQS set."""
        attributes: Mapping[str, str] = self.message["Attributes"]
        return attributes

    @property
    def stated_reason(self) -> str | None:
        """The reason that the message itself states: of EventBridge in attributes, of Lambda in the body."""
        if code := self.attribute("ERROR_CODE"):
            return f"{code}: {self.attribute('ERROR_MESSAGE') or ''}".rstrip(": ")
        condition = _members(self._members.get("requestContext")).get("condition")
        error = _members(self._members.get("responsePayload")).get("errorMessage")
        return ": ".join(str(part) for part in (condition, error) if part) or None

    def attribute(self, name: str) -> str | None:
        """Return the text of a message attribute, None where the message has none of the name."""
        value: str | None = self.message.get("MessageAttributes", {}).get(name, {}).get("StringValue")
        return value

    @property
    def _members(self) -> Mapping[str, Any]:
        return _members(self.body)


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class LetterFilter(Struct, frozen=True):
    """The dead letters that a command acts on; None stands for any."""

    tenant_id: str | None = None
    kind: str | None = None
    message_id: str | None = None

    def fits(self, letter: DeadLetter) -> bool:
        """Return True for a letter that has every given property."""
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.tenant_id, letter.tenant_id),
                (self.kind, letter.kind),
                (self.message_id, letter.message_id),
            )
        )


class DeadLetters(Struct, frozen=True):
    """Reads, redrives and deletes dead letters.

    `role_id` is the unique id of the own role: SQS reports it as the sender of letters that were redriven before.
    """

    client: Any
    role_id: str = ""
    wait_seconds: int = 1

    def visit(self, queue: DeadLetterQueue, limit: int, handle: Callable[[DeadLetter], bool]) -> None:
        """Call `handle` with each of at most `limit` letters; a letter for which it returns True is deleted.

        The letters are hidden from other readers meanwhile. Others are visible again afterwards, after an interruption
        by an exception, too; after a kill once SQS stops hiding them, after five minutes.
        """
        held: dict[str, str] = {}
        try:
            for batch in self._receive(queue, limit):
                held |= {letter.message_id: letter.message["ReceiptHandle"] for letter in batch}
                for letter in batch:
                    if handle(letter):
                        self.client.delete_message(QueueUrl=queue.url, ReceiptHandle=held.pop(letter.message_id))
        finally:
            for receipt in held.values():
                with contextlib.suppress(ClientError):  # visible already, or read by somebody else
                    self.client.change_message_visibility(
                        QueueUrl=queue.url, ReceiptHandle=receipt, VisibilityTimeout=0
                    )

    def is_empty(self, queue: DeadLetterQueue) -> bool:
        """Return True if SQS counts no messages in the queue; the count can be a minute old."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)["Attributes"]
        return not any(int(counts[name]) for name in names)

    def redrive(self, letter: DeadLetter, source_url: str) -> None:
        """Send a letter to the queue of its worker again: body, attributes, message group and trace stay the same.

        Two attributes name the original sender and the time of sending; the worker trusts these attributes only if
        the redrive role sent the message. The letter is deleted afterwards, so that an interruption in between
        delivers the message twice, and never loses it: workers are idempotent.
        """
        arguments: dict[str, Any] = {}
        if group := letter.system.get("MessageGroupId"):
            arguments["MessageGroupId"] = group
        if trace := letter.system.get("AWSTraceHeader"):
            arguments["MessageSystemAttributes"] = {"AWSTraceHeader": _text_attribute(trace)}
        self.client.send_message(
            QueueUrl=source_url, MessageBody=letter.text, MessageAttributes=self._attributes(letter), **arguments
        )

    def _attributes(self, letter: DeadLetter) -> dict[str, Any]:
        given = {
            name: {member: value for member, value in attribute.items() if member in _ATTRIBUTE_MEMBERS}
            for name, attribute in letter.message.get("MessageAttributes", {}).items()
        }
        sender = letter.system.get("SenderId", "")
        if self.role_id and sender.partition(":")[0] == self.role_id:
            return given  # an earlier redrive named the original sender
        first = {ORIGINAL_SENDER: sender or "unknown", FIRST_SENT_AT: letter.system["SentTimestamp"]}
        return {**given, **{name: _text_attribute(value) for name, value in first.items()}}

    def _receive(self, queue: DeadLetterQueue, limit: int) -> Iterator[list[DeadLetter]]:
        seen: set[str] = set()
        while len(seen) < limit:
            received = self.client.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=min(BATCH, limit - len(seen)),
                VisibilityTimeout=HOLD_SECONDS,
                WaitTimeSeconds=self.wait_seconds,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            new = [message for message in received.get("Messages", ()) if message["MessageId"] not in seen]
            if not new:  # the queue is empty, or shows letters that were seen before
                return
            seen |= {message["MessageId"] for message in new}
            yield [DeadLetter(queue.name, message) for message in new]


_ATTRIBUTE_MEMBERS = ("DataType", "StringValue", "BinaryValue")


def _text_attribute(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


class Pace(Struct):
    """Keeps calls at least `seconds` apart."""

    seconds: float
    sleep: Callable[[float], None] = time.sleep
    is_first: bool = True

    def wait(self) -> None:
        """Wait before every call but the first."""
        if not self.is_first and self.seconds:
            self.sleep(self.seconds)
        self.is_first = False
