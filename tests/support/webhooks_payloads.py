"""Expected effects of the payloads of webhooks, through the real handlers."""

from collections.abc import Callable
from typing import Any

from tests.support.payloads import http, run
from tests.support.sockets import management_api, open_connection, status_of
from tests.support.system import System, payload
from tests.support.tokens import mint
from tests.support.webhooks import read_ids


def logs_two_events(system: System) -> None:
    poison = payload("webhooks_on_event/batch_with_poison.json")["Records"][2]["messageId"]
    assert run("webhooks_on_event/batch_with_poison.json") == {"batchItemFailures": [{"itemIdentifier": poison}]}
    assert len(read_ids(system)) == 2


def lists_the_trades(system: System) -> None:
    logs_two_events(system)
    page = http("webhooks_api/list_events.json", 200)
    assert [event["data"]["ref_id"] for event in page["items"]] == ["broker-4711", "broker-4712"]


def creates_the_webhook(system: System) -> None:
    created = http("webhooks_api/create_webhook.json", 201)
    assert http("webhooks_api/create_webhook.json", 201) == created
    assert created["types"] == ["rebalance.completed", "trade.recorded"]
    assert created["secret"].startswith("whsec_")


def is_acknowledged(_: System) -> None:
    assert run("webhooks_on_delivery_requested/deleted_webhook.json") == {"batchItemFailures": []}


def opens_a_connection(system: System) -> None:
    with management_api() as api:
        event = payload("webhooks_on_connection/connect.json")
        event["queryStringParameters"]["access_token"] = mint()
        assert status_of(system, event) == 200
        assert run("webhooks_on_connection/subscribe.json") == {"statusCode": 200}
        (message,) = api.sent_to(event["requestContext"]["connectionId"])
        assert message == {"type": "subscribed", "portfolio_id": "p1"}


def refuses_the_connection(_: System) -> None:
    assert run("webhooks_on_connection/connect_without_token.json") == {"statusCode": 401}


def ends_an_unknown_connection(_: System) -> None:
    assert run("webhooks_on_connection/disconnect.json") == {"statusCode": 200}


def pushes_two_events(system: System) -> None:
    logs_two_events(system)
    with management_api() as api:
        open_connection(system, "c1")
        assert run("webhooks_on_push_requested/push.json") == {"batchItemFailures": []}
        assert api.event_ids("c1") == read_ids(system)


EXPECTED: dict[str, Callable[[System], Any]] = {
    "webhooks_api/create_webhook.json": creates_the_webhook,
    "webhooks_on_delivery_requested/deleted_webhook.json": is_acknowledged,
    "webhooks_api/list_events.json": lists_the_trades,
    "webhooks_on_connection/connect.json": opens_a_connection,
    "webhooks_on_connection/connect_without_token.json": refuses_the_connection,
    "webhooks_on_connection/disconnect.json": ends_an_unknown_connection,
    "webhooks_on_connection/subscribe.json": opens_a_connection,
    "webhooks_on_push_requested/push.json": pushes_two_events,
    "webhooks_on_event/batch_with_poison.json": logs_two_events,
}
