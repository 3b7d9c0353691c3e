"""Tells the contacts of a portfolio about an alert, by e-mail."""

from functools import lru_cache

from trimtab.contracts.events import AlertData
from trimtab.contracts.messages import BusEvent
from trimtab.kernel.clock import utc_now
from trimtab.notifications.adapters import DynamoContacts, SesMailer, ses
from trimtab.notifications.domain import of_alert
from trimtab.notifications.service import Post
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import SQSRecord, worker


class NotificationSettings(Settings):
    """What this function is told by its environment."""

    notifications_table: str
    mail_sender: str


@lru_cache(maxsize=1)
def post() -> Post:
    """The post, wired to DynamoDB and SES."""
    settings = NotificationSettings.load()
    store = DynamoContacts(dynamodb_client(), settings.notifications_table, utc_now)
    return Post(store, SesMailer(ses(), settings.mail_sender))


def tell(body: BusEvent, _: SQSRecord) -> None:
    """Tells each contact of the portfolio once; an alert that concerns none goes to the topic only."""
    event = body.detail
    alert = AlertData.model_validate(event.data)
    if alert.portfolio_id is None:
        return
    message = of_alert(alert.title, alert.text, alert.facts)
    sent = post().deliver(event.tenantid, alert.portfolio_id, event.id, message)
    count("MailsSent", sent)
    logger.info("alert told", portfolio_id=alert.portfolio_id, rule=alert.rule, sent=sent)


handler = worker(BusEvent, tell)
