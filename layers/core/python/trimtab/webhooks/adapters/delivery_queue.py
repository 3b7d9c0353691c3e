"""The queue of deliveries."""

from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.messages import DeliveryRequested
from trimtab.runtime.sqs.sender import send_message

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class DeliveryQueue(Struct, frozen=True):
    """Sends requests for deliveries; a wait longer than 15 minutes takes several messages."""

    client: "SQSClient"
    url: str

    def request_new(self, tenant_id: str, webhook_id: str, *, fence: int | None = None, delay_seconds: int = 0) -> None:
        """Request the delivery of the new events of a webhook, under the lease of `fence` if given."""
        message = DeliveryRequested(tenant_id=tenant_id, webhook_id=webhook_id, fence=fence)
        send_message(self.client, self.url, message, delay_seconds=delay_seconds)

    def request_attempt(
        self, tenant_id: str, webhook_id: str, sequence: int, attempt: int, *, delay_seconds: int = 0
    ) -> None:
        """Request attempt number `attempt` to deliver one event."""
        message = DeliveryRequested(tenant_id=tenant_id, webhook_id=webhook_id, sequence=sequence, attempt=attempt)
        send_message(self.client, self.url, message, delay_seconds=delay_seconds)
