"""The internal queue `settlements`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.betting.service.ports import Check
from trimtab.runtime import sqs

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class Settlements(Struct, frozen=True):
    """See `SettlementQueue`."""

    client: "SQSClient"
    url: str

    def of_market(self, tenant_id: str, market_id: str, after: str | None = None) -> None:
        """See `SettlementQueue.of_market`."""
        message = _message(tenant_id, market_id)
        if after is not None:
            message["after"] = after
        sqs.send(self.client, self.url, message, tenant_id=tenant_id)

    def of_user_again(self, tenant_id: str, market_id: str, user_id: str, tries: int, delay_seconds: int) -> None:
        """See `SettlementQueue.of_user_again`."""
        message = {**_message(tenant_id, market_id), "user_id": user_id, "tries": tries}
        sqs.send(self.client, self.url, message, tenant_id=tenant_id, delay_seconds=delay_seconds)

    def check(self, tenant_id: str, market_id: str, check: Check, delay_seconds: int) -> None:
        """See `SettlementQueue.check`."""
        message = {**_message(tenant_id, market_id), "check": True, "orders": check.orders, "tries": check.tries}
        if check.after is not None:
            message["after"] = check.after
        sqs.send(self.client, self.url, message, tenant_id=tenant_id, delay_seconds=delay_seconds)

    def of_users(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> None:
        """See `SettlementQueue.of_users`."""
        messages = [(tenant_id, {**_message(tenant_id, market_id), "user_id": user_id}) for user_id in user_ids]
        sqs.send_all(self.client, self.url, messages)


def _message(tenant_id: str, market_id: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "type": "settlement.requested",
        "tenant_id": tenant_id,
        "market_id": market_id,
    }
