"""Writes the monthly reports of portfolios and sends them to their contacts."""

from functools import lru_cache

from trimtab import composition
from trimtab.analytics.domain.monthly_report import subject
from trimtab.analytics.schemas.charts import SVG, drift_chart, sectors_chart, value_chart
from trimtab.analytics.schemas.report_html import Picture, report_html
from trimtab.analytics.schemas.report_text import report_text
from trimtab.analytics.service.analysis import Analysis
from trimtab.analytics.service.ports import Portfolio
from trimtab.analytics.service.reports import Reports, report_id
from trimtab.charts.svg import Theme
from trimtab.composition import AnalysisSettings
from trimtab.contracts.messages import ReportRequested
from trimtab.kernel.clock import utc_now
from trimtab.notifications.adapters import DynamoContacts, SesMailer, ses
from trimtab.notifications.domain import Attachment, Message
from trimtab.notifications.service import Post
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.sqs.worker import PoisonError, SQSRecord, worker


class ReportSettings(AnalysisSettings):
    """What this function is told by its environment."""

    notifications_table: str
    mail_sender: str


@lru_cache(maxsize=1)
def settings() -> ReportSettings:
    """The settings, read on first use."""
    return ReportSettings.load()


@lru_cache(maxsize=1)
def analysis() -> Analysis:
    """The analysis, wired to the tables of three contexts."""
    return composition.analysis(settings(), utc_now)


@lru_cache(maxsize=1)
def post() -> Post:
    """The post, wired to DynamoDB and SES."""
    store = DynamoContacts(dynamodb_client(), settings().notifications_table, utc_now)
    return Post(store, SesMailer(ses(), settings().mail_sender))


def written(portfolio: Portfolio, month: str) -> Message:
    """The report as mail: words and tables, and the pictures for programs that show them."""
    monthly = Reports(analysis(), utc_now).of_month(portfolio, month)
    drawn = {
        "value": value_chart(monthly.past, Theme.LIGHT),
        "sectors": sectors_chart(portfolio, analysis().sectors(portfolio), Theme.LIGHT),
        "drift": drift_chart(portfolio, analysis().now(portfolio), Theme.LIGHT),
    }
    shown = [Picture(name, f"{name.title()} of {portfolio.name}") for name in drawn]
    attached = tuple(Attachment(name, SVG, svg) for name, svg in drawn.items())
    report = monthly.report
    return Message(subject(report), report_text(report), report_html(report, shown), attached)


def send(message: ReportRequested, _: SQSRecord) -> None:
    """Sends one report to each contact that has not had it; raising returns the message to the queue."""
    portfolio = analysis().portfolios.portfolio(message.tenant_id, message.portfolio_id)
    if portfolio is None:
        raise PoisonError(f"no portfolio {message.portfolio_id}")
    sent = 0
    if post().store.contacts(message.tenant_id, message.portfolio_id).emails:
        mail = written(portfolio, message.month)
        sent = post().deliver(message.tenant_id, message.portfolio_id, report_id(portfolio, message.month), mail)
    count("MailsSent", sent)
    logger.info("report sent", portfolio_id=message.portfolio_id, month=message.month, sent=sent)


handler = worker(ReportRequested, send)
