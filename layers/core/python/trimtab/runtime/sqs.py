"""SQS for every sender."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

_TIMEOUTS = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "max_attempts": 3})


@lru_cache(maxsize=1)
def sqs() -> "SQSClient":
    """The client, made on first use."""
    return boto3.client("sqs", config=_TIMEOUTS)


def send(client: "SQSClient", queue_url: str, message: Mapping[str, Any], *, tenant_id: str) -> None:
    """Sends a message; the tenant is its group, so that one tenant's backlog does not hold up the others."""
    body = json.dumps(message, separators=(",", ":"))
    client.send_message(QueueUrl=queue_url, MessageBody=body, MessageGroupId=tenant_id)
