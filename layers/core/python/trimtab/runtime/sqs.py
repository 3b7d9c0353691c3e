"""SQS for every sender."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from trimtab.kernel.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MAX_DELAY_SECONDS = 900
MAX_ENTRIES = 10
_TIMEOUTS = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "max_attempts": 3})


@lru_cache(maxsize=1)
def sqs() -> "SQSClient":
    """The client, made on first use."""
    return boto3.client("sqs", config=_TIMEOUTS)


def send(
    client: "SQSClient", queue_url: str, message: Mapping[str, Any], *, tenant_id: str, delay_seconds: int = 0
) -> None:
    """Sends a message; the tenant is its group, so that one tenant's backlog does not hold up the others."""
    arguments: dict[str, Any] = {"DelaySeconds": min(delay_seconds, MAX_DELAY_SECONDS)} if delay_seconds else {}
    client.send_message(QueueUrl=queue_url, MessageBody=_body(message), MessageGroupId=tenant_id, **arguments)


def send_all(client: "SQSClient", queue_url: str, messages: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Sends messages, each with its tenant, ten a call, never holding more than those; how many there were.

    Raises `Unavailable` where the queue did not take one.
    """
    waiting, sent = iter(messages), 0
    while batch := list(islice(waiting, MAX_ENTRIES)):
        entries: list[Any] = [
            {"Id": str(number), "MessageBody": _body(message), "MessageGroupId": tenant_id}
            for number, (tenant_id, message) in enumerate(batch)
        ]
        answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        if answer.get("Failed"):  # it reports refusals in a successful answer
            raise Unavailable("busy", "The queue did not take every message.", retry_after_seconds=1)
        sent += len(batch)
    return sent


def _body(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
