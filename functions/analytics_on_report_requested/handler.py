"""Writes monthly reports and mails them to the contacts of the portfolios."""

from functools import lru_cache

from trimtab import composition
from trimtab.analytics.adapters.png import PNG, render_png
from trimtab.analytics.domain.monthly_report import subject
from trimtab.analytics.schemas.charts import drift_chart, sectors_chart, value_chart
from trimtab.analytics.schemas.report_html import EmbeddedChart, render_report_html
from trimtab.analytics.schemas.report_text import render_report_text
from trimtab.analytics.service.analysis import Analysis
from trimtab.analytics.service.report_writer import ReportWriter, report_id
from trimtab.charts.svg import Theme
from trimtab.composition import AnalysisSettings
from trimtab.contracts.messages import ReportRequested
from trimtab.contracts.portfolios import PortfolioSnapshot
from trimtab.kernel.clock import utc_now
from trimtab.notifications.adapters.mail import ContactStore, SesMailer, ses
from trimtab.notifications.domain.contacts import MailAttachment, MailMessage
from trimtab.notifications.service import MailService
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class ReportSettings(AnalysisSettings):
    """Settings of the function, from the environment."""

    notifications_table: str
    public_url: str
    mail_sender: str
    mail_configuration_set: str = ""


@lru_cache(maxsize=1)
def settings() -> ReportSettings:
    """Return the settings, read on first use."""
    return ReportSettings.load()


@lru_cache(maxsize=1)
def analysis() -> Analysis:
    """Return the analysis, wired on first use."""
    return composition.analysis(settings(), utc_now)


@lru_cache(maxsize=1)
def mail_service() -> MailService:
    """Return the mail service, wired on first use."""
    store = ContactStore(dynamodb_client(), settings().notifications_table)
    mailer = SesMailer(ses(), settings().mail_sender, settings().mail_configuration_set)
    return MailService(store, mailer, utc_now)


def write_mail(snapshot: PortfolioSnapshot, month: str) -> MailMessage:
    """Write the report as a mail: words and tables, with charts for mail programs that show images."""
    written = ReportWriter(analysis(), utc_now, settings().public_url).write(snapshot, month)
    svgs = {
        "value": value_chart(written.history, Theme.LIGHT),
        "sectors": sectors_chart(written.sectors, Theme.LIGHT),
        "drift": drift_chart(snapshot, Theme.LIGHT),
    }
    embedded = [EmbeddedChart(name, f"{name.title()} of {snapshot.portfolio.name}") for name in svgs]
    attached = tuple(MailAttachment(name, PNG, render_png(svg)) for name, svg in svgs.items())
    report = written.report
    return MailMessage(subject(report), render_report_text(report), render_report_html(report, embedded), attached)


def send(message: ReportRequested, _: SQSRecord) -> None:
    """Send a report to each contact once; an exception returns the message to the queue."""
    names = (message.tenant_id, message.portfolio_id)
    snapshot = analysis().portfolios.snapshot(*names)
    if snapshot is None:
        raise PoisonError(f"portfolio not found: {message.portfolio_id}")
    sent = 0
    if mail_service().has_contacts(*names):
        mail = write_mail(snapshot, message.month)
        sent = mail_service().deliver(*names, report_id(*names, message.month), mail)
    count("MailsSent", sent)
    logger.info("report sent", portfolio_id=message.portfolio_id, month=message.month, sent=sent)


handler = worker(ReportRequested, send)
