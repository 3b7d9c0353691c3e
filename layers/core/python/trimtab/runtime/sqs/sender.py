"""Sending messages to SQS."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from trimtab.contracts.messages import Message, TenantMessage
from trimtab.contracts.traces import TRACEPARENT
from trimtab.kernel.errors import Unavailable
from trimtab.runtime.aws_client import aws_client
from trimtab.runtime.tracing import next_traceparent

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MAX_DELAY_SECONDS = 900
MAX_ENTRIES = 10


@lru_cache(maxsize=1)
def sqs_client() -> "SQSClient":
    """Return the client, created on first use."""
    client: SQSClient = aws_client("sqs")
    return client


def send_message(
    client: "SQSClient",
    queue_url: str,
    message: Message,
    *,
    group: str | None = None,
    delay_seconds: int = 0,
    job_trace: str | None = None,
) -> None:
    """Send a message in its own group, or in the `group` that is given; the delay is capped at 900 seconds.

    The message continues the trace that a job has stored (`job_trace`), else the present trace.
    """
    arguments: dict[str, Any] = _trace_attributes(job_trace)
    if delay_seconds:
        arguments["DelaySeconds"] = min(delay_seconds, MAX_DELAY_SECONDS)
    if message_group := group or message.message_group:
        arguments["MessageGroupId"] = message_group
    client.send_message(QueueUrl=queue_url, MessageBody=message.to_body(), **arguments)


def send_messages(client: "SQSClient", queue_url: str, messages: Iterable[TenantMessage]) -> int:
    """Send messages, ten a call, and return how many there were; at most ten are held in memory.

    Raises `Unavailable` if the queue did not take every message.
    """
    waiting, sent = iter(messages), 0
    while batch := list(islice(waiting, MAX_ENTRIES)):
        entries: list[Any] = [
            {
                "Id": str(number),
                "MessageBody": message.to_body(),
                "MessageGroupId": message.message_group,
                **_trace_attributes(),
            }
            for number, message in enumerate(batch)
        ]
        answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        if answer.get("Failed"):  # SQS reports refused entries in a successful answer
            raise Unavailable("busy", "The queue did not take every message.", retry_after_seconds=1)
        sent += len(batch)
    return sent


def _trace_attributes(job_trace: str | None = None) -> dict[str, Any]:
    traceparent = next_traceparent(job_trace)
    if traceparent is None:
        return {}
    return {"MessageAttributes": {TRACEPARENT: {"DataType": "String", "StringValue": traceparent}}}
