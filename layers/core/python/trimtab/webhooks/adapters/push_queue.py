"""The queue of pushes to WebSocket connections."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.messages import MAX_PUSHED_EVENTS, PushRequested
from trimtab.runtime.sqs.sender import send_messages

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class PushQueue(Struct, frozen=True):
    """Sends requests to push logged events to the connections of a tenant."""

    client: "SQSClient"
    url: str

    def request(self, tenant_id: str, sequences: Sequence[int]) -> None:
        """Request the push of the entries with these numbers."""
        starts = range(0, len(sequences), MAX_PUSHED_EVENTS)
        batches = (list(sequences[start : start + MAX_PUSHED_EVENTS]) for start in starts)
        send_messages(self.client, self.url, (PushRequested(tenant_id=tenant_id, sequences=batch) for batch in batches))
