"""Golden items of webhooks, and the rules of their members."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.stored_form import UnknownForm
from trimtab.runtime.dynamodb.client import deserialize, serialize
from trimtab.webhooks.domain.deliveries import MAX_NOTED_ATTEMPTS, Attempt, Delivery, DeliveryStatus
from trimtab.webhooks.domain.webhooks import OVERLAP, Progress, Webhook, WebhookStatus

GOLDEN = Path(__file__).parents[2] / "golden/webhooks"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
WEBHOOK = Webhook(
    tenant_id="demo",
    webhook_id="w1",
    url="https://hooks.example.com/trimtab",
    types=("portfolio.created", "trade.recorded"),
    secret="whsec_bmV3",
    request_hash="1:5f4dcc3b5aa765d61d8327deb882cf99",
    created_at=NOW,
    updated_at=NOW,
)
ROTATED = WEBHOOK.rotate("whsec_bmV3ZXI=", NOW).disable("The receiver answered 410 (gone).", NOW)
DELIVERY = Delivery(
    tenant_id="demo",
    webhook_id="w1",
    sequence=42,
    event_id="731eb848-c0f2-552f-b8d8-c216b7119182",
    type="trade.recorded",
    created_at=NOW,
    expires_at=1797845400,
    version=0,
)
FAILED_ONCE = DELIVERY.after(Attempt(NOW, 120, None, "No response within 10 seconds."), 10)
DELIVERED = FAILED_ONCE.after(Attempt(NOW + timedelta(seconds=10), 85, 204), 10)
PROGRESS = Progress(42, fence=7, leased_until=1797845460, failures=1, succeeded_at=1797845000)
ITEMS = {
    "webhook": WEBHOOK.to_item(),
    "webhook_disabled": ROTATED.to_item(),
    "delivery_pending": FAILED_ONCE.to_item(),
    "delivery_delivered": DELIVERED.to_item(),
    "progress": PROGRESS.to_item("demo", "w1"),
}


def golden(name: str) -> Any:
    """Return a golden item."""
    return json.loads((GOLDEN / f"{name}.v1.json").read_text())


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_is_written_as_stored(name: str) -> None:
    assert deserialize(serialize(ITEMS[name])) == golden(name)


def test_items_are_read_as_stored_and_unknown_forms_are_refused() -> None:
    assert Webhook.from_item({**golden("webhook"), "added_later": "x"}) == WEBHOOK
    assert Webhook.from_item(golden("webhook_disabled")) == ROTATED
    assert Delivery.from_item(golden("delivery_pending")) == FAILED_ONCE
    assert Delivery.from_item(golden("delivery_delivered")) == DELIVERED
    assert Progress.from_item(golden("progress")) == PROGRESS
    for kind, name in ((Webhook, "webhook"), (Delivery, "delivery_pending"), (Progress, "progress")):
        with pytest.raises(UnknownForm):
            kind.from_item({**golden(name), "v": 2})


def test_the_secret_before_a_rotation_signs_for_a_day() -> None:
    assert ROTATED.secrets(NOW + OVERLAP - timedelta(seconds=1)) == ["whsec_bmV3ZXI=", "whsec_bmV3"]
    assert ROTATED.secrets(NOW + OVERLAP) == ["whsec_bmV3ZXI="]


def test_a_change_of_nothing_is_no_new_version_and_a_disabled_webhook_is_enabled_without_a_reason() -> None:
    assert WEBHOOK.change(NOW, WEBHOOK.url, WEBHOOK.types, True) is WEBHOOK
    assert WEBHOOK.change(NOW, None, None, None) is WEBHOOK
    assert WEBHOOK.change(NOW, None, None, False).disabled_reason == "Disabled by a request."
    enabled = ROTATED.change(NOW, None, ("*",), True)
    assert (enabled.status, enabled.disabled_reason, enabled.events) == (WebhookStatus.ENABLED, None, ())
    assert enabled.wants("trade.recorded")
    kept = ROTATED.change(NOW, "https://hooks.example.com/2", None, None)
    assert kept.disabled_reason == ROTATED.disabled_reason


@pytest.mark.parametrize(("status", "is_success"), [(199, False), (200, True), (299, True), (302, False), (500, False)])
def test_only_a_2xx_response_is_a_success(status: int, is_success: bool) -> None:
    assert Attempt(NOW, 1, status).is_success is is_success
    after = DELIVERY.after(Attempt(NOW, 1, status), 10)
    assert after.status is (DeliveryStatus.DELIVERED if is_success else DeliveryStatus.PENDING)


def test_only_the_newest_attempts_are_kept() -> None:
    delivery = DELIVERY
    for _ in range(MAX_NOTED_ATTEMPTS + 5):
        delivery = replace(delivery, status=DeliveryStatus.PENDING).after(Attempt(NOW, 1, 500), 10)
    assert (delivery.tries, len(delivery.attempts), delivery.status) == (25, MAX_NOTED_ATTEMPTS, DeliveryStatus.FAILED)
