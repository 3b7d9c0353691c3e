"""The channels of alerts to operators: the SNS alerts topic, and a webhook that takes JSON as Slack does."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3
from msgspec import Struct
from urllib3.exceptions import HTTPError

from trimtab.notifications.domain.operator_alerts import OperatorAlert
from trimtab.runtime.aws_client import aws_client
from trimtab.runtime.secrets import read_secret

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

_WEBHOOK_TIMEOUT = urllib3.Timeout(connect=2, read=5)
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class WebhookFailed(Exception):
    """Raised where a webhook does not accept an alert. The text never contains the URL, which is a secret."""


@lru_cache(maxsize=1)
def sns() -> "SNSClient":
    """Return the SNS client, created on first use."""
    client: SNSClient = aws_client("sns", read_timeout=5)
    return client


@lru_cache(maxsize=1)
def _connections() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=_WEBHOOK_TIMEOUT, retries=False)


class AlertTopic(Struct, frozen=True):
    """Publishes alerts to the SNS alerts topic."""

    client: "SNSClient"
    topic_arn: str

    def publish(self, alert: OperatorAlert) -> None:
        """Publish an alert to all subscribers; exceptions of SNS propagate."""
        self.client.publish(TopicArn=self.topic_arn, Subject=alert.subject, Message=alert.text)


class AlertWebhook(Struct, frozen=True):
    """Posts `{"text": …}` to the URL in a secret of Secrets Manager, read at each post, so that a rotation counts."""

    secret_id: str

    def post(self, text: str) -> None:
        """Post a text; raises `WebhookFailed` for an unusable URL, without a connection, and for a status from 300."""
        url = read_secret(self.secret_id).strip()
        parts = urlsplit(url)
        if not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
            raise WebhookFailed(f"The secret {self.secret_id} must contain an https URL.")
        body, headers = json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
        try:
            response = _connections().request("POST", url, body=body, headers=headers, redirect=False)
        except HTTPError as error:
            raise WebhookFailed(f"The webhook cannot be reached: {type(error).__name__}.") from None
        if response.status >= 300:
            raise WebhookFailed(f"The webhook answered with status {response.status}.")
