"""Deliveries to a real HTTP server: signed, in order, repeated with growing pauses, and never to another host."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from jsonschema import Draft202012Validator
from standardwebhooks import Webhook as Signer

from functions.webhooks_on_delivery_requested import handler as delivery_function
from tests.support.fast_moto import fast_items
from tests.support.moto_state import commits, fast_transactions
from tests.support.system import System, payload
from tests.support.trading import refused
from tests.support.webhooks import (
    DeliveryRun,
    Receiver,
    an_event,
    create_webhook,
    delivery_run,
    log_events,
    read_deliveries,
    read_ids,
    receiving,
)
from trimtab.kernel.clock import parse_time, utc_now
from trimtab.kernel.ids import derive_id
from trimtab.runtime.dynamodb.outbox import events_of
from trimtab.webhooks.adapters.sender import WebhookSender
from trimtab.webhooks.domain.deliveries import MAX_TRIES


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Provide a receiver."""
    with receiving() as fresh:
        yield fresh


@pytest.fixture
def run(system: System) -> Iterator[DeliveryRun]:
    """Provide a run of the worker of deliveries."""
    with delivery_run(system) as fresh:
        yield fresh


def ids(*numbers: int) -> list[str]:
    """Return the ids of the events with these numbers."""
    return [derive_id("event", number) for number in numbers]


def test_events_arrive_once_in_order_and_are_verified_by_the_library(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    log_events(system, an_event(0))
    webhook = create_webhook(system, receiver.url)
    log_events(system, *map(an_event, range(1, 6)))
    log_events(system, *map(an_event, range(4, 9)))
    run.finish()
    assert receiver.event_ids == ids(*range(1, 9)), "the webhook is newer than event 0"
    for request in receiver.requests:
        event = Signer(webhook["secret"]).verify(request.body, request.headers)
        assert (event["id"], request.path) == (request.event_id, "/hooks?of=trimtab")
    deliveries = read_deliveries(system, webhook)
    assert [each["event_id"] for each in deliveries] == ids(*range(8, 0, -1))
    assert {(each["status"], each["tries"], each["next_attempt_at"]) for each in deliveries} == {("DELIVERED", 1, None)}
    assert [attempt["status"] for attempt in deliveries[0]["attempts"]] == [204]


def test_only_the_types_of_a_webhook_are_delivered_to_it(system: System, run: DeliveryRun, receiver: Receiver) -> None:
    create_webhook(system, receiver.url, "portfolio.closed", "portfolio.created")
    log_events(system, an_event(1), an_event(2, type="portfolio.closed"), an_event(3))
    log_events(system, an_event(4), an_event(5, type="portfolio.created"))
    run.finish()
    assert receiver.event_ids == ids(2, 5)


def test_the_events_of_another_tenant_are_never_delivered(system: System, run: DeliveryRun, receiver: Receiver) -> None:
    create_webhook(system, receiver.url)
    log_events(system, an_event(1, tenant_id="acme"), an_event(2), an_event(3, tenant_id="acme"))
    run.finish()
    assert receiver.event_ids == ids(2)


def test_a_failed_event_is_repeated_with_growing_pauses_over_a_day(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, receiver.url)
    receiver.answer = lambda request: 500 if request.event_id in ids(1) else 204
    log_events(system, an_event(1), an_event(2))
    run.finish()
    assert [each for each in receiver.event_ids if each in ids(2)] == ids(2)
    failed = read_deliveries(system, webhook)[1]
    assert (failed["status"], failed["tries"], failed["next_attempt_at"]) == ("FAILED", MAX_TRIES, None)
    times = [parse_time(attempt["at"]) for attempt in failed["attempts"]]
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    for number, pause in enumerate(pauses):
        assert 10 * 3**number <= pause <= 10 * 3**number + 30 + 15 * number, (number, pause)
    assert timedelta(days=1) < times[-1] - times[0] < timedelta(days=1.3)
    assert system.http("GET", f"/webhooks/{webhook['webhook_id']}").json["status"] == "ENABLED", "another event arrived"


def test_new_events_wait_for_a_receiver_that_is_down_and_arrive_in_order(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, receiver.url)
    receiver.answer = lambda _: 503
    log_events(system, *map(an_event, range(15)))
    run.finish(until=lambda: run.ahead > timedelta(minutes=10))
    attempted = {each["event_id"] for each in read_deliveries(system, webhook)}
    assert len(attempted) < 6, "each attempt of a new event waits longer"
    receiver.requests.clear()
    receiver.answer = lambda _: 204
    run.finish()
    first_attempts = [each for each in receiver.event_ids if each not in attempted]
    assert first_attempts == [each for each in ids(*range(15)) if each not in attempted]
    assert set(receiver.event_ids) == set(ids(*range(15)))
    assert {each["status"] for each in read_deliveries(system, webhook)} == {"DELIVERED"}


def test_a_webhook_is_disabled_with_a_reason_and_an_event_when_nothing_arrived_for_a_day(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, receiver.url)
    receiver.answer = lambda _: 500
    log_events(system, an_event(1))
    run.finish()
    home = f"/webhooks/{webhook['webhook_id']}"
    disabled = system.http("GET", home).json
    assert (disabled["status"], "10 times" in disabled["disabled_reason"]) == ("DISABLED", True)
    (told,) = [event for record in commits("webhooks") for event in events_of(record)]
    Draft202012Validator(payload("schemas/webhook.disabled.json")).validate(told)
    assert (told["type"], told["data"]["webhook_id"], told["tenantid"]) == (
        "webhook.disabled",
        webhook["webhook_id"],
        "demo",
    )
    log_events(system, told, an_event(2))
    run.finish()
    assert len(receiver.requests) == MAX_TRIES, "nothing is sent to a disabled webhook"
    refused(system.http("POST", f"{home}/deliveries/1/redeliver"), 409, "webhook_disabled")
    receiver.answer = lambda _: 204
    assert system.http("PATCH", home, {"enabled": True}).json["disabled_reason"] is None
    run.finish()
    assert receiver.event_ids[MAX_TRIES:] == [told["id"], *ids(2)], "the events that waited"
    assert read_ids(system) == [*ids(1), told["id"], *ids(2)]


def test_a_receiver_that_is_gone_disables_the_webhook_at_once(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, receiver.url)
    receiver.answer = lambda _: 410
    log_events(system, an_event(1), an_event(2))
    run.finish()
    assert receiver.event_ids == ids(1)
    assert "410" in system.http("GET", f"/webhooks/{webhook['webhook_id']}").json["disabled_reason"]
    assert [each["status"] for each in read_deliveries(system, webhook)] == ["FAILED"]


def test_a_dead_letter_is_delivered_again_on_request(system: System, run: DeliveryRun, receiver: Receiver) -> None:
    webhook = create_webhook(system, receiver.url)
    receiver.answer = lambda request: 500 if request.event_id in ids(1) else 204
    log_events(system, an_event(1), an_event(2))
    run.finish()
    dead = read_deliveries(system, webhook)[1]
    receiver.answer = lambda _: 200
    path = f"/webhooks/{webhook['webhook_id']}/deliveries"
    accepted = system.http("POST", f"{path}/{dead['delivery_id']}/redeliver")
    assert (accepted.status, accepted.json["status"]) == (202, "PENDING")
    run.finish()
    again = read_deliveries(system, webhook)[1]
    assert (again["status"], again["tries"], again["attempts"][-1]["status"]) == ("DELIVERED", MAX_TRIES + 1, 200)
    refused(system.http("POST", f"{path}/99/redeliver"), 404, "not_found")
    assert system.http("POST", f"{path}/x/redeliver").status == 400


def test_a_redirect_is_a_failure_and_is_not_followed(system: System, run: DeliveryRun, receiver: Receiver) -> None:
    webhook = create_webhook(system, receiver.url)
    answers = iter([301, 307, 204])
    receiver.answer = lambda _: next(answers)
    log_events(system, an_event(1))
    run.finish()
    assert {request.path for request in receiver.requests} == {"/hooks?of=trimtab"}
    (delivery,) = read_deliveries(system, webhook)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [301, 307, 204]


def test_a_receiver_that_hangs_is_given_up_and_tried_again(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, receiver.url)
    receiver.answer = receiver.hang
    log_events(system, an_event(1))
    with mock.patch.object(delivery_function, "WebhookSender", return_value=WebhookSender(True, 0.2)):
        run.step()
        delivery_function.deliverer.cache_clear()
    (attempt,) = read_deliveries(system, webhook)[0]["attempts"]
    assert (attempt["status"], "No response" in attempt["error"]) == (None, True)
    receiver.answer = lambda _: 204
    run.finish()
    assert read_deliveries(system, webhook)[0]["status"] == "DELIVERED"


def test_a_receiver_that_sends_its_response_byte_by_byte_is_given_up() -> None:
    """The time-out of a socket begins anew with each byte; the time of a delivery does not."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                while True:
                    connection.sendall(b"H")
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        attempt = WebhookSender(True, 0.3).send(url, ["whsec_aGVsbG8="], an_event(1), utc_now())
    assert (attempt.status, attempt.error) == (None, "No response within 0.3 seconds.")


def test_both_secrets_sign_for_a_day_after_a_rotation(system: System, run: DeliveryRun, receiver: Receiver) -> None:
    old = create_webhook(system, receiver.url)
    new = system.http("POST", f"/webhooks/{old['webhook_id']}/rotate").json
    log_events(system, an_event(1))
    run.finish()
    run.ahead += timedelta(hours=24, minutes=1)
    log_events(system, an_event(2))
    run.finish()
    during, afterwards = receiver.requests
    for webhook in (old, new):
        Signer(webhook["secret"]).verify(during.body, during.headers)
    assert afterwards.is_signed_with(new["secret"])
    assert not afterwards.is_signed_with(old["secret"])


def test_a_host_that_resolves_to_a_private_address_gets_nothing(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, "https://rebound.example.com/hooks")
    log_events(system, an_event(1))
    private = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))
    resolve = socket.getaddrinfo

    def answer(host: str, *arguments: Any, **options: Any) -> Any:
        return [private] if host == "rebound.example.com" else resolve(host, *arguments, **options)

    with mock.patch.object(socket, "getaddrinfo", answer):
        run.step()
    (attempt,) = read_deliveries(system, webhook)[0]["attempts"]
    assert (attempt["status"], attempt["error"]) == (
        None,
        "The host has an address that is not public; nothing was sent.",
    )


def test_two_workers_at_once_deliver_in_order_and_lose_nothing(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    """While an event is sent, its successor is logged, and the message for it finds the lease taken."""
    create_webhook(system, receiver.url)
    later = iter(range(2, 6))

    def log_the_next(_: object) -> int:
        if (number := next(later, None)) is not None:
            log_events(system, an_event(number))
            run.step()  # the second worker
        return 204

    receiver.answer = log_the_next
    log_events(system, an_event(1))
    run.finish()
    assert receiver.event_ids == ids(1, 2, 3, 4, 5)


def test_a_slow_receiver_is_served_by_one_message_after_the_other(
    system: System, run: DeliveryRun, receiver: Receiver
) -> None:
    webhook = create_webhook(system, receiver.url)

    def take_ten_seconds(_: object) -> int:
        run.ahead += timedelta(seconds=10)
        return 204

    receiver.answer = take_ten_seconds
    log_events(system, *map(an_event, range(7)))
    run.finish()
    assert receiver.event_ids == ids(*range(7))
    assert {each["tries"] for each in read_deliveries(system, webhook)} == {1}


@pytest.mark.volume
def test_a_thousand_events_are_each_delivered(receiver: Receiver) -> None:
    from tests.support.system import in_process_system  # noqa: PLC0415 - an import above would make the fixture a test

    with fast_items(), in_process_system() as system, fast_transactions(), delivery_run(system) as run:
        webhook = create_webhook(system, receiver.url)
        failing = set(ids(*range(0, 1000, 100)))

        def fail_once(request: Any) -> int:
            known = request.event_id not in failing
            failing.discard(request.event_id)
            return 204 if known else 500

        receiver.answer = fail_once
        for start in range(0, 1000, 100):
            log_events(system, *map(an_event, range(start, start + 100)))
        run.finish()
        assert set(receiver.event_ids) == set(ids(*range(1000)))
        assert len(receiver.requests) == 1010
        assert all(request.is_signed_with(webhook["secret"]) for request in receiver.requests)
