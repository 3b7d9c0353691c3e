"""The internal queue `settlements`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.betting.service.ports import Check
from trimtab.contracts.messages import SettlementRequested
from trimtab.runtime.sqs.sender import send_message, send_messages

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class Settlements(Struct, frozen=True):
    """See `SettlementQueue`."""

    client: "SQSClient"
    url: str

    def of_market(self, tenant_id: str, market_id: str, after: str | None = None) -> None:
        """See `SettlementQueue.of_market`."""
        send_message(self.client, self.url, SettlementRequested(tenant_id=tenant_id, market_id=market_id, after=after))

    def of_user_again(self, tenant_id: str, market_id: str, user_id: str, tries: int, delay_seconds: int) -> None:
        """See `SettlementQueue.of_user_again`."""
        message = SettlementRequested(tenant_id=tenant_id, market_id=market_id, user_id=user_id, tries=tries)
        send_message(self.client, self.url, message, delay_seconds=delay_seconds)

    def check(self, tenant_id: str, market_id: str, check: Check, delay_seconds: int) -> None:
        """See `SettlementQueue.check`."""
        message = SettlementRequested(
            tenant_id=tenant_id,
            market_id=market_id,
            check=True,
            after=check.after,
            orders=check.orders,
            tries=check.tries,
        )
        send_message(self.client, self.url, message, delay_seconds=delay_seconds)

    def of_users(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> None:
        """See `SettlementQueue.of_users`."""
        messages = (
            SettlementRequested(tenant_id=tenant_id, market_id=market_id, user_id=user_id) for user_id in user_ids
        )
        send_messages(self.client, self.url, messages)
