"""Publishes the domain events that an operator has to see on the alerts topic, as readable text."""

from functools import lru_cache

from trimtab.contracts.messages import BusEvent
from trimtab.notifications.adapters.alert_channels import AlertTopic, sns
from trimtab.notifications.domain.operator_alerts import operator_alert
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, worker


class OperatorAlertSettings(Settings):
    """Settings of the function, from the environment."""

    alerts_topic_arn: str
    public_url: str


@lru_cache(maxsize=1)
def settings() -> OperatorAlertSettings:
    """Return the settings, read on first use."""
    return OperatorAlertSettings.load()


def publish(body: BusEvent, _: SQSRecord) -> None:
    """Publish the text of an event, at least once: a crash after the publication publishes the text again."""
    event = body.detail
    AlertTopic(sns(), settings().alerts_topic_arn).publish(operator_alert(event, settings().public_url))
    count("OperatorAlerts")
    logger.info("alert published", event_id=event.id, type=event.type, tenant_id=event.tenantid)


handler = worker(BusEvent, publish)
