"""Sender of the queue `checks`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from trimtab.contracts.messages import CheckRequested
from trimtab.portfolios.balancing.watch_store import CrossedPortfolio
from trimtab.runtime.sqs.sender import send_message, send_messages

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class CheckQueue(Struct, frozen=True):
    """Requests price checks of portfolios."""

    client: "SQSClient"
    url: str

    def request_checks(self, portfolios: Iterable[CrossedPortfolio]) -> None:
        """Request a check of each portfolio with a watch that a quote crossed."""
        messages = (
            CheckRequested(
                tenant_id=crossed.tenant_id, portfolio_id=crossed.portfolio_id, trigger="price", epoch=crossed.epoch
            )
            for crossed in portfolios
        )
        send_messages(self.client, self.url, messages)

    def request_check(self, tenant_id: str, portfolio_id: str, trigger: Literal["schedule", "change"]) -> None:
        """Request a check because the time has come (`schedule`) or because the portfolio changed (`change`)."""
        message = CheckRequested(tenant_id=tenant_id, portfolio_id=portfolio_id, trigger=trigger)
        send_message(self.client, self.url, message)
