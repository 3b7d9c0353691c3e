"""The notifications context: the API of contacts, and the worker that tells them of alerts."""

from aws_cdk import Aws
from constructs import Construct

from infra.api import Api
from infra.data_stack import DataStack
from infra.feeds import feed_from_queue
from infra.function import Function, Shared, account_and_region
from infra.identity import Identity


class Notifications(Construct):
    """Functions that keep contacts and write to them."""

    def __init__(
        self, scope: Construct, id: str, *, shared: Shared, data: DataStack, api: Api, identity: Identity
    ) -> None:
        super().__init__(scope, id)
        self._shared = shared
        self._data = data
        self._api_function(api, identity)
        self._alert_worker()

    def _api_function(self, api: Api, identity: Identity) -> None:
        function = Function(
            self,
            "Api",
            shared=self._shared,
            package="notifications_api",
            description="Contacts of portfolios over HTTP",
            environment={
                "PORTFOLIOS_TABLE": self._data.portfolios.table_name,
                "NOTIFICATIONS_TABLE": self._data.notifications.table_name,
                "AUTH": identity.auth,
            },
        )
        identity.let_verify(function)
        function.allow_table(self._data.portfolios, ("GetItem",))
        function.allow_table(self._data.notifications, ("GetItem", "PutItem"))
        api.add(function, "notifications_api")

    def _alert_worker(self) -> None:
        config, data = self._shared.config, self._data
        function = Function(
            self,
            "OnAlert",
            shared=self._shared,
            package="notifications_on_alert",
            description="Tells the contacts of a portfolio about an alert",
            timeout_seconds=config.worker_timeout_seconds,
            environment={"NOTIFICATIONS_TABLE": data.notifications.table_name, "MAIL_SENDER": config.mail_sender},
        )
        let_mail(function, data, config.mail_sender)
        feed_from_queue(function, data.mails, max_concurrency=config.worker_max_concurrency)


def let_mail(function: Function, data: DataStack, sender: str) -> None:
    """Reading contacts, noting what was sent, and sending as this one sender."""
    function.allow_table(data.notifications, ("GetItem", "BatchGetItem", "BatchWriteItem"))
    domain = sender.rpartition("@")[2]
    of_us = f"arn:{Aws.PARTITION}:ses:{account_and_region(function)}:identity/"
    function.allow(["ses:SendRawEmail"], [f"{of_us}{sender}", f"{of_us}{domain}"])
