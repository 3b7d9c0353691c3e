"""WebSocket connections: who may connect, what a subscription covers, and which events are pushed to whom."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from functions.webhooks_on_connection import handler as connection_function
from functions.webhooks_on_push_requested import handler as push_function
from tests.support.moto_state import take_messages, waiting
from tests.support.sockets import (
    ManagementApi,
    connect,
    disconnect,
    management_api,
    open_connection,
    send,
    status_of,
)
from tests.support.system import System, forget_cached, payload, sqs_record
from tests.support.tokens import bad_tokens, mint
from tests.support.webhooks import an_event, log_events, read_ids
from trimtab.contracts.messages import MAX_PUSHED_EVENTS
from trimtab.kernel.clock import utc_now
from trimtab.kernel.ids import derive_id
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.domain.connections import MAX_SUBSCRIPTIONS, new_connection


@pytest.fixture
def api(system: System) -> Iterator[ManagementApi]:
    """Provide the management API to the functions of the system."""
    with management_api() as api:
        yield api


def ids(*numbers: int) -> list[str]:
    """Return the ids of the events with these numbers."""
    return [derive_id("event", number) for number in numbers]


def publish(system: System, *events: Any) -> None:
    """Log events, and push them."""
    log_events(system, *events)
    system.process_pushes()


def store() -> ConnectionStore:
    """Return the store of connections."""
    return ConnectionStore(dynamodb_client(), "webhooks")


def test_a_connection_without_a_subscription_gets_nothing_and_with_one_each_event_in_order(
    system: System, api: ManagementApi
) -> None:
    assert connect(system, "c1") == 200
    publish(system, an_event(1))
    assert send(system, "c1", {"action": "subscribe"}) == 200
    publish(system, an_event(2), an_event(3), an_event(4))
    assert api.sent_to("c1")[0] == {"type": "subscribed"}
    assert api.event_ids("c1") == ids(2, 3, 4)
    assert api.sent_to("c1")[1] == system.http("GET", "/events").json["items"][1]


def test_a_subscription_covers_one_portfolio_one_user_or_all(system: System, api: ManagementApi) -> None:
    open_connection(system, "all")
    open_connection(system, "portfolio", {"portfolio_id": "p2"})
    open_connection(system, "user", {"user_id": "2"})
    assert send(system, "user", {"action": "subscribe", "portfolio_id": "p3"}) == 200
    publish(system, an_event(1, user_id="2"), an_event(2), an_event(3), an_event(4))
    assert api.event_ids("all") == ids(1, 2, 3, 4)
    assert api.event_ids("portfolio") == ids(2)
    assert api.event_ids("user") == ids(1, 3)


def test_an_end_user_gets_own_events_only_whatever_the_subscription(system: System, api: ManagementApi) -> None:
    open_connection(system, "ada", user_id="ada")
    assert send(system, "ada", {"action": "subscribe", "portfolio_id": "p2"}) == 200
    assert send(system, "ada", {"action": "subscribe", "user_id": "bob"}) == 200
    publish(system, an_event(1, user_id="ada"), an_event(2, user_id="bob"))
    assert api.event_ids("ada") == ids(1)
    assert api.sent_to("ada")[2] == {
        "type": "error",
        "detail": "The token of an end user may act for that user only.",
    }


def test_another_tenant_gets_nothing(system: System, api: ManagementApi) -> None:
    open_connection(system, "other", tenant_id="acme")
    publish(system, an_event(1))
    assert not waiting(system.pushes_url)
    assert api.event_ids("other") == []
    publish(system, an_event(2, tenant_id="acme"))
    assert api.event_ids("other") == ids(2)


@pytest.mark.parametrize("name", bad_tokens())
def test_a_connect_with_a_bad_token_is_refused(system: System, api: ManagementApi, name: str) -> None:
    event = payload("webhooks_on_connection/connect.json")
    header = bad_tokens()[name]
    event["headers"]["Authorization"] = header
    event["queryStringParameters"] = None
    assert status_of(system, event) == 401
    assert not store().all("demo")


def test_a_connect_takes_the_token_from_the_header_or_from_the_query(system: System, api: ManagementApi) -> None:
    event = payload("webhooks_on_connection/connect_without_token.json")
    assert status_of(system, event) == 401
    event["headers"]["authorization"] = f"Bearer {mint()}"
    assert status_of(system, event) == 200
    assert connect(system, "c2") == 200


def test_a_token_without_the_scope_is_refused(system: System, api: ManagementApi) -> None:
    assert connect(system, "c1", scope="portfolios:read") == 403


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("not JSON", "Invalid JSON"),
        ("[]", "not an object"),
        ({"action": "unsubscribe"}, "action"),
        ({}, "action"),
        ({"action": "subscribe", "portfolio": "p1"}, "portfolio"),
        ({"action": "subscribe", "portfolio_id": 5}, "portfolio_id"),
        ("x" * 70_000, "limit"),
    ],
)
def test_a_message_that_is_not_understood_is_answered_with_what_is_wrong(
    system: System, api: ManagementApi, message: Any, says: str
) -> None:
    assert connect(system, "c1") == 200
    assert send(system, "c1", message) == 200
    (answer,) = api.sent_to("c1")
    assert answer["type"] == "error"
    assert says in answer["detail"]


def test_a_connection_has_a_bounded_number_of_subscriptions(system: System, api: ManagementApi) -> None:
    assert connect(system, "c1") == 200
    for number in [*range(MAX_SUBSCRIPTIONS), 0, MAX_SUBSCRIPTIONS]:
        assert send(system, "c1", {"action": "subscribe", "portfolio_id": f"p{number}"}) == 200
    *confirmed, refused = api.sent_to("c1")
    assert confirmed[-1] == {"type": "subscribed", "portfolio_id": "p0"}
    assert {answer["type"] for answer in confirmed} == {"subscribed"}
    assert refused["detail"] == "A connection has at most 20 subscriptions. Open another connection."


def test_a_tenant_has_a_bounded_number_of_connections_and_ended_ones_do_not_count(
    system: System, api: ManagementApi
) -> None:
    now = utc_now()
    store().create(new_connection("demo", "expired", None, int(now.timestamp()) - 1, now))
    with mock.patch("trimtab.webhooks.service.connections.MAX_CONNECTIONS", 2):
        assert [connect(system, name) for name in ("c1", "c2", "c3")] == [200, 200, 429]
        assert connect(system, "other", tenant_id="acme") == 200
        assert disconnect(system, "c1") == 200
        assert [connect(system, name) for name in ("c4", "c5")] == [200, 429]


def test_a_push_after_the_expiry_of_the_token_closes_the_connection(system: System, api: ManagementApi) -> None:
    open_connection(system, "short", exp=int(time.time()) + 60)
    open_connection(system, "long")
    log_events(system, an_event(1))
    later = utc_now() + timedelta(seconds=90)
    with mock.patch.object(push_function, "utc_now", return_value=later):
        forget_cached()
        system.process_pushes()
    assert (api.closed, api.event_ids("short"), api.event_ids("long")) == (["short"], [], ids(1))
    assert [each.connection_id for each in store().all("demo")] == ["long"]


def test_a_message_after_the_expiry_of_the_token_is_refused(system: System, api: ManagementApi) -> None:
    assert connect(system, "short", exp=int(time.time()) + 60) == 200
    later = utc_now() + timedelta(seconds=90)
    with mock.patch.object(connection_function, "utc_now", return_value=later):
        forget_cached()
        assert send(system, "short", {"action": "subscribe"}) == 200
    assert api.sent_to("short")[0]["detail"] == "The connection has expired. Connect again with a new token."


def test_a_connection_that_is_gone_is_forgotten_and_others_get_their_events(system: System, api: ManagementApi) -> None:
    for name in ("gone", "broken", "open"):
        open_connection(system, name)
    api.statuses = {"gone": 410, "broken": 500}
    publish(system, an_event(1))
    assert api.event_ids("open") == ids(1)
    assert [each.connection_id for each in store().all("demo")] == ["broken", "open"]
    assert store().get("gone") is None


def test_a_client_that_disconnects_is_forgotten(system: System, api: ManagementApi) -> None:
    open_connection(system, "c1")
    assert disconnect(system, "c1") == disconnect(system, "c1") == 200
    publish(system, an_event(1))
    assert (api.event_ids("c1"), store().all("demo"), store().get("c1")) == ([], [], None)


def test_many_events_are_pushed_in_bounded_messages(system: System, api: ManagementApi) -> None:
    open_connection(system, "c1")
    events = 2 * MAX_PUSHED_EVENTS + 5
    log_events(system, *map(an_event, range(events)))
    assert system.process_pushes() == 3
    assert sorted(api.event_ids("c1")) == sorted(read_ids(system))


def test_pushes_end_in_time_and_the_list_has_all_events(system: System, api: ManagementApi) -> None:
    open_connection(system, "c1")
    log_events(system, *map(an_event, range(3)))
    start = utc_now()
    times = iter([start, start, start, *[start + timedelta(minutes=1)] * 9])
    with mock.patch.object(push_function, "utc_now", side_effect=times):
        forget_cached()
        system.process_pushes()
    assert api.event_ids("c1") == ids(0)
    assert read_ids(system) == ids(0, 1, 2)


def test_a_message_that_was_delivered_before_pushes_nothing(system: System, api: ManagementApi) -> None:
    open_connection(system, "c1")
    log_events(system, an_event(1))
    ((body, _),) = take_messages(system.pushes_url)
    record = sqs_record(body, ApproximateReceiveCount="2")
    assert system.invoke_worker(record, worker=push_function) == set()
    assert api.event_ids("c1") == []


def test_without_a_websocket_api_events_are_logged_and_nothing_is_pushed(system: System, api: ManagementApi) -> None:
    open_connection(system, "c1")
    with mock.patch.dict("os.environ", {"PUSHES_QUEUE_URL": ""}):
        forget_cached()
        log_events(system, an_event(1))
    assert (read_ids(system), list(waiting(system.pushes_url))) == (ids(1), [])
