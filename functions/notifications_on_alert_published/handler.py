"""Posts what the alerts topic publishes, alerts and CloudWatch alarms, to the configured webhook."""

from functools import lru_cache

from trimtab.contracts.messages import PublishedAlert
from trimtab.notifications.adapters.alert_channels import AlertWebhook
from trimtab.notifications.domain.operator_alerts import webhook_text
from trimtab.runtime.metrics import count
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, worker


class WebhookSettings(Settings):
    """Settings of the function, from the environment."""

    alert_webhook_secret: str


@lru_cache(maxsize=1)
def webhook() -> AlertWebhook:
    """Return the webhook, wired on first use."""
    return AlertWebhook(WebhookSettings.load().alert_webhook_secret)


def post(body: PublishedAlert, _: SQSRecord) -> None:
    """Post an alert, at least once: a crash after the post posts the alert again."""
    webhook().post(webhook_text(body.subject, body.message))
    count("AlertsPosted")


handler = worker(PublishedAlert, post)
