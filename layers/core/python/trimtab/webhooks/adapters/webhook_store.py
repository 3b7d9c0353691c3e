"""Webhooks, their progress and their deliveries in the table `webhooks`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed
from trimtab.runtime.dynamodb.client import get_item, serialize
from trimtab.runtime.dynamodb.paging import query_range
from trimtab.runtime.dynamodb.writes import put_records, transact, update_item, versioned_delete, versioned_put
from trimtab.webhooks.domain.deliveries import DELIVERY, Delivery, DeliveryStatus, delivery_key
from trimtab.webhooks.domain.webhooks import MAX_WEBHOOKS, WEBHOOK, Progress, Webhook, progress_key, webhook_key

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_DIGITS = 16


class WebhookStore(Struct, frozen=True):
    """Reads and writes webhooks. Progress is written by the holder of the lease, or by an update of its own."""

    client: "DynamoDBClient"
    table: str

    def get(self, tenant_id: str, webhook_id: str) -> Webhook | None:
        """Return a webhook, None for an unknown one."""
        item = get_item(self.client, self.table, webhook_key(tenant_id, webhook_id))
        return Webhook.from_item(item) if item else None

    def all(self, tenant_id: str) -> Sequence[Webhook]:
        """Return the webhooks of a tenant in the order of their ids."""
        pk = webhook_key(tenant_id, "")["pk"]
        between = (WEBHOOK, f"{WEBHOOK}~")
        page = query_range(self.client, self.table, pk, between, limit=MAX_WEBHOOKS * 2, newest_first=False)
        return [Webhook.from_item(item) for item in page.items]

    def create(self, webhook: Webhook, position: int) -> None:
        """Store a webhook that receives the events after a position; raises `ConditionFailed` if the id exists."""
        progress = Progress(position).to_item(webhook.tenant_id, webhook.webhook_id)
        put = {"Put": {"TableName": self.table, "Item": serialize(progress)}}
        transact(self.client, [{"Put": versioned_put(self.table, webhook.to_item())}, put])

    def put(self, record: Webhook | Delivery) -> None:
        """Store a changed webhook or delivery (optimistic locking); raises `ConditionFailed`."""
        put_records(self.client, self.table, record)

    def delete(self, webhook: Webhook) -> None:
        """Delete a webhook with its progress; its deliveries end with their events. Raises `ConditionFailed`."""
        key = progress_key(webhook.tenant_id, webhook.webhook_id)
        delete = {"Delete": {"TableName": self.table, "Key": serialize(key)}}
        transact(self.client, [{"Delete": versioned_delete(self.table, webhook.to_item())}, delete])

    def progress(self, tenant_id: str, webhook_id: str) -> Progress | None:
        """Return the progress of a webhook, None for an unknown webhook."""
        item = get_item(self.client, self.table, progress_key(tenant_id, webhook_id))
        return Progress.from_item(item) if item else None

    def lease(self, webhook: Webhook, now: int, until: int, fence: int | None) -> Progress | None:
        """Take the lease until a time and return the progress; None while another worker holds the lease.

        The lease is free, or is that of `fence`, which its holder passed on.
        """
        try:
            self._update(
                webhook,
                "SET leased_until = :until, #fence = #fence + :one",
                "leased_until <= :now OR #fence = :fence",
                {":until": until, ":one": 1, ":now": now, ":fence": -1 if fence is None else fence},
                {"#fence": "fence"},
            )
        except ConditionFailed:
            return None
        return self.progress(webhook.tenant_id, webhook.webhook_id)

    def advance(self, webhook: Webhook, progress: Progress, delivery: Delivery | None = None) -> None:
        """Write the progress under its fence, and a new delivery with it; raises `ConditionFailed` without the lease.

        The time of the last success is written with a successful delivery only: repeated deliveries write it, too.
        """
        names = ["position", "leased_until", "failures"]
        if delivery is not None and delivery.status is DeliveryStatus.DELIVERED:
            names.append("succeeded_at")
        update: dict[str, Any] = {
            "TableName": self.table,
            "Key": serialize(progress_key(webhook.tenant_id, webhook.webhook_id)),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in names),
            "ConditionExpression": "#fence = :fence",
            "ExpressionAttributeNames": {f"#{name}": name for name in ("fence", *names)},
            "ExpressionAttributeValues": serialize({f":{name}": getattr(progress, name) for name in ("fence", *names)}),
        }
        puts = [{"Put": versioned_put(self.table, delivery.to_item())}] if delivery else []
        transact(self.client, [*puts, {"Update": update}])

    def note_success(self, webhook: Webhook, now: datetime) -> None:
        """Store the time of a success outside of the lease; raises `ConditionFailed` for a deleted webhook."""
        self._update(webhook, "SET succeeded_at = :now", "attribute_exists(pk)", {":now": int(now.timestamp())})

    def delivery(self, tenant_id: str, webhook_id: str, sequence: int) -> Delivery | None:
        """Return a delivery, None for an event that was not attempted or whose retention has ended."""
        item = get_item(self.client, self.table, delivery_key(tenant_id, webhook_id, sequence))
        return Delivery.from_item(item) if item else None

    def deliveries(self, tenant_id: str, webhook_id: str, limit: int, after: Any) -> Page[Delivery]:
        """Return a page of the deliveries of a webhook, the newest event first."""
        pk = delivery_key(tenant_id, webhook_id, 0)["pk"]
        between = (DELIVERY + "0" * _DIGITS, DELIVERY + "9" * _DIGITS)
        return query_range(self.client, self.table, pk, between, limit=limit, after=after).map(Delivery.from_item)

    def _update(
        self,
        webhook: Webhook,
        expression: str,
        condition: str,
        values: dict[str, int],
        names: dict[str, str] | None = None,
    ) -> None:
        arguments: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
        update_item(
            self.client,
            TableName=self.table,
            Key=serialize(progress_key(webhook.tenant_id, webhook.webhook_id)),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=serialize(values),
            **arguments,
        )
