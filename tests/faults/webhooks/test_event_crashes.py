"""A crash, a lost answer or a throttle at any call of logging events: every event is listed once, in one order."""

import json
from collections.abc import Iterator

import pytest

from functions.webhooks_on_event import handler as event_function
from tests.faults.harness import survive
from tests.support.analytics import on_bus
from tests.support.faults import (
    CrashAfter,
    CrashBefore,
    Fault,
    Faults,
    LostAnswer,
    Throttle,
    TimeOut,
    TransactionConflict,
    injecting,
)
from tests.support.moto_state import fast_transactions, waiting
from tests.support.system import System, sqs_record
from tests.support.webhooks import an_event, create_webhook, read_ids
from trimtab.kernel.ids import derive_id

EVENTS = 45  # more than one transaction takes
CALLS = [*["BatchGetItem", "TransactWriteItems"] * 2, "Query", "SendMessage", "Query"]


@pytest.fixture
def faults(system: System) -> Iterator[Faults]:
    """Inject faults into the calls of the system."""
    with fast_transactions(), injecting() as faults:
        yield faults


@pytest.mark.parametrize("kind", [CrashBefore, CrashAfter, LostAnswer, Throttle, TimeOut, TransactionConflict])
@pytest.mark.parametrize("call", range(len(CALLS)))
def test_events_are_listed_once_whatever_happens_at_a_call(
    system: System, faults: Faults, call: int, kind: type[Fault]
) -> None:
    records = [sqs_record(json.dumps(on_bus(an_event(number))), message_id=f"m{number}") for number in range(EVENTS)]
    with faults.paused():
        create_webhook(system, "https://hooks.example.com/")
    faults.set(kind(call))
    survive(lambda: system.invoke_worker(*records, worker=event_function))
    assert faults.met or kind is TransactionConflict, "reads meet no conflict"
    faults.set()
    assert system.invoke_worker(*records, worker=event_function) == set()
    assert len(faults.operations) <= len(CALLS)
    assert waiting(system.webhook_deliveries_url), "the delivery is requested"
    assert system.invoke_worker(*records, worker=event_function) == set()
    assert read_ids(system) == [derive_id("event", number) for number in range(EVENTS)]
