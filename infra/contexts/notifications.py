"""The notifications context: contacts of portfolios, e-mails about alerts, and alerts for operators."""

from aws_cdk import Aws
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import Config
from infra.constructs.api import ApiFunction, ApiGateway
from infra.constructs.context import StackContext
from infra.constructs.function import FunctionContext, LambdaFunction, account_and_region
from infra.constructs.queues import WorkQueue
from infra.constructs.table import retained_table
from infra.constructs.worker import Worker
from infra.contexts.platform import RetainedPlatform
from infra.contexts.portfolio import RetainedPortfolio
from infra.tables import NOTIFICATIONS
from trimtab.contracts.event_data import AlertType


class RetainedNotifications(Construct):
    """The table of contacts and sent mails, and the queues of alerts: for contacts, for operators, for the webhook."""

    def __init__(self, scope: Construct, id: str, *, context: StackContext, platform: RetainedPlatform) -> None:
        super().__init__(scope, id)
        config = context.config
        seconds = config.worker_visibility_seconds
        self.table = retained_table(self, "Notifications", shape=NOTIFICATIONS, config=config)
        self.mails = WorkQueue(self, "mails", context=context, visibility_seconds=seconds)
        self.operator_alerts = WorkQueue(self, "operator-alerts", context=context, visibility_seconds=seconds)
        self.mail_reports = WorkQueue(self, "mail-reports", context=context, visibility_seconds=seconds)
        self.configuration_set = self._make_configuration_set(config, platform) if config.mail_reports else None
        self.webhook_alerts = None
        if config.alert_webhook_secret:
            self.webhook_alerts = WorkQueue(self, "webhook-alerts", context=context, visibility_seconds=seconds)
            platform.alerts.add_subscription(subscriptions.SqsSubscription(self.webhook_alerts.queue))
        platform.events.deliver_to_queue(
            self,
            "MailsRule",
            description="Alerts for the contacts of portfolios",
            types=("alert.raised",),
            queue=self.mails,
        )
        # An alert is a domain event, and so exactly as durable as the commit that caused the alert.
        platform.events.deliver_to_queue(
            self,
            "OperatorAlertsRule",
            description="Domain events that an operator has to see",
            types=tuple(AlertType),
            queue=self.operator_alerts,
        )

    def _make_configuration_set(self, config: Config, platform: RetainedPlatform) -> str:
        """Make the configuration set whose bounces and complaints go to the queue of mail reports; return its name.

        The contacts keep the disabled addresses, so the suppression list of the account is not used: an address that is
        set again gets mail again. SES reports to the default bus only.
        """
        configuration_set = ses.ConfigurationSet(
            self, "Mail", configuration_set_name=config.prefix, disable_suppression_list=True
        )
        bus = events.EventBus.from_event_bus_name(self, "DefaultBus", "default")
        configuration_set.add_event_destination(
            "Reports",
            destination=ses.EventDestination.event_bus(bus),
            events=[ses.EmailSendingEvent.BOUNCE, ses.EmailSendingEvent.COMPLAINT],
        )
        events.Rule(
            self,
            "MailReportsRule",
            description="Bounces and complaints of mails to contacts",
            event_pattern=events.EventPattern(
                source=["aws.ses"], detail={"mail": {"tags": {"ses:configuration-set": [config.prefix]}}}
            ),
            targets=[targets.SqsQueue(self.mail_reports.queue, dead_letter_queue=platform.events.undelivered.queue)],
        )
        return config.prefix

    def mail_settings(self, config: Config) -> dict[str, str]:
        """Return the environment variables of a function that sends mail."""
        return {
            "NOTIFICATIONS_TABLE": self.table.table_name,
            "MAIL_SENDER": config.mail_sender,
            "MAIL_CONFIGURATION_SET": self.configuration_set or "",
        }


class NotificationFunctions(Construct):
    """The API of contacts, the worker for alert mails, and the workers for the channels of operators."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        context: FunctionContext,
        api: ApiGateway,
        notifications: RetainedNotifications,
        portfolio: RetainedPortfolio,
        platform: RetainedPlatform,
    ) -> None:
        super().__init__(scope, id)
        self._context = context
        self._notifications = notifications
        self._add_api_function(api, portfolio)
        self._add_alert_worker(api)
        self._add_mail_report_worker()
        self._add_operator_alert_worker(platform)
        if notifications.webhook_alerts:
            self._add_webhook_worker(notifications.webhook_alerts)

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

    def _add_alert_worker(self, api: ApiGateway) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnAlert",
            context=self._context,
            work=self._notifications.mails,
            package="notifications_on_alert",
            description="Mails alerts to the contacts of a portfolio",
            timeout_seconds=config.worker_timeout_seconds,
            environment={**self._notifications.mail_settings(config), "PUBLIC_URL": api.address.url},
        )
        allow_mail(worker, self._notifications, config.mail_sender)

    def _add_mail_report_worker(self) -> None:
        worker = Worker(
            self,
            "OnMailReported",
            context=self._context,
            work=self._notifications.mail_reports,
            package="notifications_on_mail_reported",
            description="Disables addresses after bounces and complaints",
            timeout_seconds=self._context.config.worker_timeout_seconds,
            environment={"NOTIFICATIONS_TABLE": self._notifications.table.table_name},
        )
        worker.allow_table(self._notifications.table, ("GetItem", "PutItem"))

    def _add_operator_alert_worker(self, platform: RetainedPlatform) -> None:
        worker = Worker(
            self,
            "OnOperatorAlert",
            context=self._context,
            work=self._notifications.operator_alerts,
            package="notifications_on_operator_alert",
            description="Publishes alerts for operators as text on the alerts topic",
            timeout_seconds=self._context.config.worker_timeout_seconds,
            environment={"ALERTS_TOPIC_ARN": platform.alerts.topic_arn, "PUBLIC_URL": platform.address.url},
        )
        worker.allow(["sns:Publish"], [platform.alerts.topic_arn])
        worker.allow(["kms:Decrypt", "kms:GenerateDataKey"], [platform.alerts_key.key_arn])

    def _add_webhook_worker(self, work: WorkQueue) -> None:
        config = self._context.config
        worker = Worker(
            self,
            "OnAlertPublished",
            context=self._context,
            work=work,
            package="notifications_on_alert_published",
            description="Posts alerts and alarms to the webhook of the operators",
            timeout_seconds=config.worker_timeout_seconds,
            batch_size=1,  # a slow webhook takes up to 7 s for each alert
            environment={"ALERT_WEBHOOK_SECRET": config.alert_webhook_secret},
        )
        worker.allow_secret(config.alert_webhook_secret)


def allow_mail(function: LambdaFunction, notifications: RetainedNotifications, sender: str) -> None:
    """Grant reading contacts, recording sent mails, and sending from the address `sender`."""
    function.allow_table(notifications.table, ("GetItem", "BatchGetItem", "BatchWriteItem"))
    domain = sender.rpartition("@")[2]
    prefix = f"arn:{Aws.PARTITION}:ses:{account_and_region(function)}:"
    resources = [f"{prefix}identity/{sender}", f"{prefix}identity/{domain}"]
    if notifications.configuration_set:
        resources.append(f"{prefix}configuration-set/{notifications.configuration_set}")
    function.allow(["ses:SendRawEmail"], resources)
