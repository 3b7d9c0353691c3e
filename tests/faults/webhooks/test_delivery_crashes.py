"""A crash before or after each call of a delivery, the request to the receiver among them: no event is lost."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from tests.support.faults import CrashAfter, CrashBefore, Fault, Faults, LostAnswer, Throttle, injecting
from tests.support.moto_state import fast_transactions
from tests.support.system import System
from tests.support.webhooks import (
    DeliveryRun,
    Receiver,
    Request,
    an_event,
    create_webhook,
    delivery_run,
    log_events,
    read_deliveries,
    receiving,
)
from trimtab.kernel.ids import derive_id
from trimtab.webhooks.adapters.sender import WebhookSender

NUMBERS = (1, 2, 3)
IDS = [derive_id("event", number) for number in NUMBERS]
STEPS = [
    ["GetItem", "UpdateItem", "GetItem", "Query", "Send", "SendMessage", "SendMessage", "TransactWriteItems"],
    ["GetItem", "GetItem", "GetItem", "Send", "UpdateItem", "PutItem"],
    [
        *("GetItem", "UpdateItem", "GetItem", "Query"),
        *("Send", "TransactWriteItems", "Send", "TransactWriteItems", "TransactWriteItems", "Query"),
    ],
]
"""The calls of three messages: the first event fails; the event is repeated; the new events behind it are delivered."""


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Inject faults into the calls of the system and into the requests to the receiver."""
    with injecting() as faults:
        send = WebhookSender.send

        def send_with_faults(*arguments: Any) -> Any:
            return faults.around("receiver", "Send", lambda: send(*arguments))

        with mock.patch.object(WebhookSender, "send", send_with_faults):
            yield faults


@pytest.fixture
def run(faults: Faults, system: System) -> Iterator[DeliveryRun]:
    """Provide a run of the worker of deliveries."""
    with fast_transactions(), delivery_run(system) as fresh:
        yield fresh


def deliver_all(run: DeliveryRun, faults: Faults, step: int, *injected: Fault) -> Receiver:
    """Deliver three events, of which the first fails once, with the faults at one of the messages."""
    with receiving() as receiver:
        failed = set[str]()

        def fail_first(request: Request) -> int:
            is_first = request.event_id == IDS[0] and not failed
            failed.add(request.event_id)
            return 500 if is_first else 204

        receiver.answer = fail_first
        with faults.paused():
            webhook = create_webhook(run.system, receiver.url)
            log_events(run.system, *map(an_event, NUMBERS))
        for number in range(len(STEPS)):
            found = run.step(lambda: faults.set(*(injected if number == step else ())))  # noqa: B023 - called at once
            assert injected or (found and faults.operations == STEPS[number])
        faults.clear()
        run.finish()
        with faults.paused():
            check_delivered(run.system, webhook, receiver)
    return receiver


def check_delivered(system: System, webhook: Any, receiver: Receiver) -> None:
    """Assert that each event arrived, first attempts in order, and that the log of deliveries says so."""
    assert list(dict.fromkeys(receiver.event_ids)) == IDS
    deliveries = read_deliveries(system, webhook)
    assert [(each["event_id"], each["status"]) for each in deliveries] == [(id, "DELIVERED") for id in reversed(IDS)]
    assert system.http("GET", f"/webhooks/{webhook['webhook_id']}").json["status"] == "ENABLED"


def test_without_a_fault_each_event_is_sent_once_and_the_failed_one_twice(run: DeliveryRun, faults: Faults) -> None:
    receiver = deliver_all(run, faults, -1)
    assert sorted(receiver.event_ids) == sorted([IDS[0], *IDS])


@pytest.mark.parametrize("kind", [CrashBefore, CrashAfter])
@pytest.mark.parametrize(
    ("step", "call"), [(step, call) for step, calls in enumerate(STEPS) for call in range(len(calls))]
)
def test_a_crash_at_any_call_loses_no_event(
    run: DeliveryRun, faults: Faults, step: int, call: int, kind: type[Fault]
) -> None:
    deliver_all(run, faults, step, kind(call))


@pytest.mark.parametrize("kind", [LostAnswer, Throttle])
@pytest.mark.parametrize("call", [call for call, name in enumerate(STEPS[0]) if name != "Send"])
def test_a_lost_answer_or_a_throttle_at_any_call_loses_no_event(
    run: DeliveryRun, faults: Faults, call: int, kind: type[Fault]
) -> None:
    deliver_all(run, faults, 0, kind(call, times=4))
