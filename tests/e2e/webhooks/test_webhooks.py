"""Events reach a client of the deployed system: delivered to a webhook, verified, and listed."""

import uuid

from standardwebhooks import Webhook as Signer

from infra.local import demo
from tests.e2e.conftest import System
from tests.support.webhooks import receiving

TIMEOUT_SECONDS = 180


def test_the_events_of_a_rebalance_arrive_signed_and_are_listed_in_the_same_order(system: System) -> None:
    client = system.client(tenant=f"hooks-{uuid.uuid4().hex[:8]}")
    with receiving() as receiver:
        refused = iter([500])
        receiver.answer = lambda _: next(refused, 204)
        webhook = client.post("/webhooks", {"url": receiver.url, "types": ["*"]}).json
        assert client.post(f"/webhooks/{webhook['webhook_id']}/test", {}).json["status"] == 500
        target = {"stocks": 60, "bonds": 30, "gold": 10}
        assert client.post("/portfolios", {"user_id": "1", "allocation": target}).status == 201
        report = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "k1"}
        assert client.post("/rebalance", report).status == 202
        wanted = {"portfolio.created", "rebalance.completed"}
        delivered = demo.poll(
            lambda: [Signer(webhook["secret"]).verify(each.body, each.headers) for each in receiver.requests],
            lambda events: wanted <= {event["type"] for event in events},
            "the events did not arrive",
            TIMEOUT_SECONDS,
        )
        deliveries = demo.poll(
            lambda: client.get(f"/webhooks/{webhook['webhook_id']}/deliveries").json["items"],
            lambda items: len(items) == len(wanted),
            "the deliveries are not noted",
            TIMEOUT_SECONDS,
        )
    page = client.get("/events").json
    assert {event["type"] for event in page["items"]} == wanted
    first_arrivals = dict.fromkeys(event["id"] for event in delivered if event["type"] in wanted)
    assert list(first_arrivals) == [event["id"] for event in page["items"]]
    assert {each["status"] for each in deliveries} == {"DELIVERED"}
    assert client.get(f"/events?after={page['after']}").json["items"] == []
