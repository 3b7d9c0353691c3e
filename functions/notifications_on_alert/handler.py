"""Mails alerts to the contacts of the portfolios concerned."""

from functools import lru_cache

from trimtab.contracts.event_data import AlertData
from trimtab.contracts.messages import BusEvent
from trimtab.kernel.clock import utc_now
from trimtab.notifications.adapters.mail import ContactStore, SesMailer, ses
from trimtab.notifications.domain.contacts import alert_message
from trimtab.notifications.service import MailService
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, worker


class NotificationSettings(Settings):
    """Settings of the function, from the environment."""

    notifications_table: str
    public_url: str
    mail_sender: str
    mail_configuration_set: str = ""


@lru_cache(maxsize=1)
def settings() -> NotificationSettings:
    """Return the settings, read on first use."""
    return NotificationSettings.load()


@lru_cache(maxsize=1)
def mail_service() -> MailService:
    """Return the mail service, wired on first use."""
    store = ContactStore(dynamodb_client(), settings().notifications_table)
    mailer = SesMailer(ses(), settings().mail_sender, settings().mail_configuration_set)
    return MailService(store, mailer, utc_now)


def mail_alert(body: BusEvent, _: SQSRecord) -> None:
    """Mail an alert to each contact once; an alert without a portfolio goes to the alerts topic only."""
    event = body.detail
    alert = AlertData.model_validate(event.data)
    if alert.portfolio_id is None:
        return
    message = alert_message(alert, settings().public_url)
    sent = mail_service().deliver(event.tenantid, alert.portfolio_id, event.id, message)
    count("MailsSent", sent)
    logger.info("alert mailed", portfolio_id=alert.portfolio_id, rule=alert.rule, sent=sent)


handler = worker(BusEvent, mail_alert)
