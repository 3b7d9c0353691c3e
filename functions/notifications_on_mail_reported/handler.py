"""Disables addresses of contacts for which Amazon SES reports a permanent bounce or a complaint."""

from functools import lru_cache

from trimtab.notifications.adapters.mail import ContactStore
from trimtab.notifications.domain.contacts import read_mail_tags
from trimtab.notifications.schemas import MailReported
from trimtab.notifications.service import AddressFeedback
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class MailReportSettings(Settings):
    """Settings of the function, from the environment."""

    notifications_table: str


@lru_cache(maxsize=1)
def feedback() -> AddressFeedback:
    """Return the service, wired on first use."""
    return AddressFeedback(ContactStore(dynamodb_client(), MailReportSettings.load().notifications_table))


def disable(body: MailReported, _: SQSRecord) -> None:
    """Disable the addresses of a report; a repeated report, and a report on an earlier setting, change nothing."""
    report = body.detail
    names = read_mail_tags(report.mail.tags)
    if names is None:
        raise PoisonError("the mail has no tags of a tenant and a portfolio")
    addresses = report.disabled_addresses()
    disabled = sum(feedback().disable(*names, email, address, report.mail.timestamp) for email, address in addresses)
    count("AddressesDisabled", disabled)
    logger.info("mail report", portfolio_id=names[1], reported=len(addresses), disabled=disabled)


handler = worker(MailReported, disable)
