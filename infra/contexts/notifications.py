"""The notifications context: contacts of portfolios, and e-mails about alerts."""

from aws_cdk import Aws
from constructs import Construct

from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.domain_events import DomainEvents
from infra.constructs.function import FunctionContext, LambdaFunction, account_and_region
from infra.constructs.queues import WorkQueue
from infra.constructs.table import RetainedTable
from infra.constructs.worker import Worker
from infra.contexts.portfolio import RetainedPortfolio
from infra.tables import NOTIFICATIONS


class RetainedNotifications(Construct):
    """The table of contacts and sent mails, and the queue of mails, which receives every raised alert."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext, events: DomainEvents) -> None:
        super().__init__(scope, id)
        self.table = RetainedTable(self, "Notifications", shape=NOTIFICATIONS, config=context.config)
        self.mails = WorkQueue(
            self, "mails", context=context, visibility_seconds=context.config.worker_visibility_seconds
        )
        events.deliver_to_queue(
            self,
            "MailsRule",
            description="Alerts for the contacts of portfolios",
            types=("alert.raised",),
            queue=self.mails,
        )


class NotificationFunctions(Construct):
    """The API of contacts, and the worker for alert mails."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        notifications: RetainedNotifications,
        portfolio: RetainedPortfolio,
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._notifications = notifications
        self._add_api_function(api, portfolio)
        self._add_alert_worker()

    def _add_api_function(self, api: ApiGateway, portfolio: RetainedPortfolio) -> None:
        function = ApiFunction(
            self,
            "Api",
            context=self._context,
            api=api,
            package="notifications_api",
            description="Contacts of portfolios over HTTP",
            environment={
                "PORTFOLIOS_TABLE": portfolio.table.table_name,
                "NOTIFICATIONS_TABLE": self._notifications.table.table_name,
            },
        )
        function.allow_table(portfolio.table, ("GetItem",))
        function.allow_table(self._notifications.table, ("GetItem", "PutItem"))

    def _add_alert_worker(self) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnAlert",
            context=self._context,
            work=self._notifications.mails,
            package="notifications_on_alert",
            description="Mails alerts to the contacts of a portfolio",
            timeout_seconds=config.worker_timeout_seconds,
            environment={
                "NOTIFICATIONS_TABLE": self._notifications.table.table_name,
                "MAIL_SENDER": config.mail_sender,
            },
        )
        allow_mail(worker, self._notifications.table, config.mail_sender)


def allow_mail(function: LambdaFunction, notifications: RetainedTable, sender: str) -> None:
    """Grant reading contacts, recording sent mails, and sending from the address `sender`."""
    function.allow_table(notifications, ("GetItem", "BatchGetItem", "BatchWriteItem"))
    domain = sender.rpartition("@")[2]
    identities = f"arn:{Aws.PARTITION}:ses:{account_and_region(function)}:identity/"
    function.allow(["ses:SendRawEmail"], [f"{identities}{sender}", f"{identities}{domain}"])
