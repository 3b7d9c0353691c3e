"""Faults at every call of a large import, of its undo and of its cancellation.

Each is complete and once, and the figures never have half of an import.

The client repeats until it is answered, and the queue delivers until the worker acknowledges. Chunks have two entries.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

import pytest

from functions.ledger_on_recalculation_requested import handler as worker_function
from tests.faults.harness import survive
from tests.support.assurance import tried
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
from tests.support.moto_state import clear_all, commits, fast_transactions, stored_items
from tests.support.system import System, sqs_record
from tests.support.trading import Account, account, csv_file, trade
from trimtab.portfolios.ledger import import_plan, import_rows, import_service
from trimtab.runtime.dynamodb.outbox import events_of

ROWS = csv_file([trade(f"r{number}", "BUY", 1, 2, number) for number in range(5)])
VARIES = {"requested_at", "created_at", "updated_at", "changed_at", "by_user_sk", "by_tenant_sk", "events"}
READ, WRITE = "BatchGetItem", "TransactWriteItems"
IMPORT = [
    *(READ, "PutItem", WRITE, "SendMessage"),
    # No recalculation, but an import; the rows, their entries, the quote, the trades; three chunks, and the end.
    *(READ, READ, "GetItem", READ, READ, "Query", READ, WRITE, WRITE, WRITE, WRITE),
]
UNDO = [
    # The import, its rows and entries; the quote and the trades of the symbol; the flip.
    *(READ, "GetItem", READ, READ, "Query", READ, WRITE, "SendMessage"),
    *(READ, READ, "GetItem", READ, WRITE, WRITE, WRITE, WRITE),
]
CANCEL = [
    # The cancellation; the rows and the written entries, of which one chunk is deleted; the end.
    *(READ, "PutItem", "SendMessage"),
    *(READ, READ, "GetItem", READ, WRITE, WRITE),
]
Step = Callable[[Account], Any]


@pytest.fixture
def faults(system: System) -> Iterator[Faults]:
    """Faults injected into the AWS calls of the system, with chunks of two entries."""
    with ExitStack() as stack:
        for module in (import_plan, import_rows, import_service):
            stack.enter_context(mock.patch.object(module, "ENTRIES_PER_CHUNK", 2))
        stack.enter_context(fast_transactions())
        yield stack.enter_context(injecting())


def imports(mine: Account) -> Any:
    """Import the file: the client's request, then the worker, each until it succeeds."""
    job = answered(lambda: mine.upload(ROWS))
    deliver(mine, job["import_id"])
    return job


def undo(mine: Account, import_id: str) -> Any:
    """Undo an import."""
    job = answered(lambda: mine.undo(import_id))
    deliver(mine, import_id)
    return job


def answered(request: Callable[[], Any]) -> Any:
    """Return the body of the first answer that a client does not repeat the request for."""
    for _ in range(4):
        answer = survive(request)
        if answer is not None and answer.status in {200, 202}:
            return answer.json
    raise AssertionError("the request is never answered")


def message_of(mine: Account, import_id: str) -> Any:
    """Return the message of an import."""
    message = {"schema_version": 1, "type": "recalculation.requested", "tenant_id": "demo"}
    message |= {"portfolio_id": mine.portfolio["portfolio_id"], "job_id": import_id}
    return sqs_record(json.dumps(message))


def deliver(mine: Account, import_id: str) -> None:
    """Deliver the message of an import until the worker acknowledges, and once more."""
    record, acknowledged = message_of(mine, import_id), 0
    for _ in range(5):
        acknowledged += survive(lambda: mine.system.invoke_worker(record, worker=worker_function)) == set()
        if acknowledged == 2:
            return
    raise AssertionError("the worker never acknowledges")


def interrupted(system: System, faults: Faults) -> tuple[Account, str]:
    """A portfolio with an import whose worker has crashed after the first chunk, and the id of the import."""
    mine = start(system)
    job = answered(lambda: mine.upload(ROWS))
    faults.set(CrashAfter(IMPORT[4:].index(WRITE)))
    survive(lambda: mine.system.invoke_worker(message_of(mine, job["import_id"]), worker=worker_function))
    return mine, job["import_id"]


def start(system: System) -> Account:
    """A portfolio with a trade of its own."""
    clear_all()
    mine = account(system)
    mine.record("own", "BUY", 1, 10, 9)
    return mine


def imported(system: System) -> tuple[Account, str]:
    """A portfolio after an import, and the id of the import."""
    mine = start(system)
    return mine, imports(mine)["import_id"]


def stored() -> list[Any]:
    """Return the stored items without what the clock sets."""
    items = []
    for item in stored_items():
        varies = VARIES | ({"by_time"} if item["sk"]["S"].startswith("IMPORT#") else set())
        items.append({name: value for name, value in item.items() if name not in varies})
    return sorted(items, key=lambda item: str(item["sk"]))


def announced() -> list[str]:
    """Return the types of the committed events about imports."""
    images = [record for record in commits() if "NewImage" in record["dynamodb"]]
    return [event["type"] for record in images for event in events_of(record) if event["type"].startswith("import.")]


def watch(mine: Account, faults: Faults) -> list[str]:
    """Return a list that collects the quantity that a reader sees after each write."""
    tried()
    seen: list[str] = []

    def look(call: Any) -> None:
        if call.operation == WRITE:
            with faults.paused():
                seen.append(mine.sums()[0])  # type: ignore[index]

    faults.on_answer = look
    return seen


def check(system: System, faults: Faults, kinds: tuple[type[Fault], ...]) -> None:
    """Import with a fault at each call, and undo with a fault at each call; compare with an undisturbed run."""
    mine = start(system)
    before = stored()
    faults.set()
    import_id = imports(mine)["import_id"]
    assert faults.operations[: len(IMPORT)] == IMPORT
    recorded = stored()
    faults.set()
    undo(mine, import_id)
    assert faults.operations[: len(UNDO)] == UNDO
    undone = stored()
    assert [item for item in undone if item["sk"]["S"].startswith("TRADE#")] == [
        item for item in before if item["sk"]["S"].startswith("TRADE#")
    ]
    for kind in kinds:
        for call in range(len(IMPORT)):
            mine = start(system)
            seen = watch(mine, faults)
            faults.set(kind(call))
            imports(mine)
            faults.on_answer = None
            assert (stored(), announced()) == (recorded, ["import.completed"]), (kind, call)
            assert (set(seen) <= {"1", "6"}, seen) == (True, sorted(seen)), (kind, call)
        for call in range(len(UNDO)):
            faults.set()
            mine, import_id = imported(system)
            seen = watch(mine, faults)
            faults.set(kind(call))
            undo(mine, import_id)
            faults.on_answer = None
            assert (stored(), announced()) == (undone, ["import.completed", "import.undone"]), (kind, call)
            assert (set(seen) <= {"1", "6"}, seen) == (True, sorted(seen, reverse=True)), (kind, call)


def test_a_crash_at_any_call_of_an_import_or_an_undo_leaves_each_complete_and_once(
    system: System, faults: Faults
) -> None:
    check(system, faults, (CrashAfter,))


def check_cancel(system: System, faults: Faults, kinds: tuple[type[Fault], ...]) -> None:
    """Cancel a half-written import with a fault at each call; compare with an undisturbed run."""
    faults.set()
    mine = start(system)
    own = stored()
    mine, import_id = interrupted(system, faults)
    assert len(stored()) > len(own) + 2, "a chunk is written"
    faults.set()
    undo(mine, import_id)
    assert faults.operations[: len(CANCEL)] == CANCEL
    cancelled = stored()
    trades = [item for item in cancelled if item["sk"]["S"].startswith("TRADE#")]
    assert trades == [item for item in own if item["sk"]["S"].startswith("TRADE#")]
    (job,) = (item for item in cancelled if item["sk"]["S"].startswith("IMPORT#") and "status" in item)
    assert job["status"]["S"] == "CANCELLED"
    for kind in kinds:
        for call in range(len(CANCEL)):
            mine, import_id = interrupted(system, faults)
            seen = watch(mine, faults)
            faults.set(kind(call))
            undo(mine, import_id)
            faults.on_answer = None
            assert (stored(), announced(), {*seen}) == (cancelled, [], {"1"}), (kind, call)


def test_a_crash_at_any_call_of_a_cancellation_leaves_nothing_of_the_import_and_no_lock(
    system: System, faults: Faults
) -> None:
    check_cancel(system, faults, (CrashAfter,))


@pytest.mark.assurance("Imports: any fault at any call of a cancellation")
@pytest.mark.proof
def test_any_other_fault_of_a_cancellation_does_so_too(system: System, faults: Faults) -> None:
    check_cancel(system, faults, (CrashBefore, LostAnswer, Throttle, TimeOut, TransactionConflict))


@pytest.mark.assurance("Imports: any fault at any call of an import or an undo")
@pytest.mark.proof
def test_any_other_fault_at_any_call_does_so_too(system: System, faults: Faults) -> None:
    check(system, faults, (CrashBefore, LostAnswer, Throttle, TimeOut, TransactionConflict))
