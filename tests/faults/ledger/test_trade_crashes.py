"""Crashes, lost answers and conflicts at every call of record, correct, cash and import are repaired by a repeat.

The repeat stores the same items as an undisturbed run, version by version, and each commit carries its events.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.harness import event_ids, survive
from tests.support.faults import (
    FOR_EVER,
    CrashAfter,
    CrashBefore,
    Fault,
    Faults,
    LostAnswer,
    Throttle,
    TimeOut,
    TransactionConflict,
    TransactionThrottle,
    injecting,
)
from tests.support.moto_state import carries_events, clear_all, commits, fast_transactions, stored_items
from tests.support.system import System
from tests.support.trading import Account, account, csv_file, day, trade

ROWS = [trade(f"r{number}", "BUY", 1, 2, 50 + number / 24) for number in range(90)]
WORK: dict[str, Callable[[Account], Any]] = {
    "record": lambda mine: mine.record("n", "SELL", 2, 50, 9),
    "record without a time": lambda mine: mine.record("n", "SELL", 2, 50),
    "record back-dated": lambda mine: mine.record("n", "SELL", 2, 50, 1.5),
    "correct": lambda mine: mine.correct("a", quantity=12, executed_at=day(1.2)),
    "cash": lambda mine: mine.cash("n", "withdrawal", 400),
    "import": lambda mine: mine.upload(csv_file(ROWS)),
    "import back-dated": lambda mine: mine.upload(csv_file([trade("r", "BUY", 1, 2, 1.5), *ROWS[1:]])),
}
READ, WRITE = "BatchGetItem", "TransactWriteItems"
CALLS = {
    "record": [READ, WRITE],
    "record without a time": [READ, WRITE],
    "record back-dated": [READ, "Query", READ, WRITE],
    "correct": [READ, READ, "Query", READ, WRITE],
    "cash": [READ, WRITE],
    "import": [READ, READ, READ, WRITE],
    # Cash reads the later trades and cash entries, then the holding reads the trades of the symbol.
    "import back-dated": [READ, READ, "Query", READ, "Query", READ, "Query", READ, WRITE],
}
VARIES = {"requested_at", "created_at", "updated_at", "changed_at", "history", "by_user_sk", "by_tenant_sk"}
UNTIMED = {"by_time", "by_symbol", "executed_at", "events", "holdings", "cash_newest_at"}


@pytest.fixture
def faults(system: System) -> Iterator[Faults]:
    """Faults injected into the AWS calls of the system."""
    with fast_transactions(), injecting() as faults:
        yield faults


def start(system: System) -> Account:
    """A portfolio with two trades and cash."""
    clear_all()
    mine = account(system, cash="1500")
    mine.record("a", "BUY", 10, 1000, 1)
    mine.record("b", "SELL", 3, 400, 2)
    return mine


def stored(work: str) -> list[Any]:
    """Return the stored items without the attributes set by the clock."""
    varies = VARIES | {"record without a time": UNTIMED, "cash": UNTIMED - {"holdings"}}.get(work, set())
    items = [
        {name: value for name, value in item.items() if name not in (varies | _import_time(item))}
        for item in stored_items()
    ]
    return sorted(items, key=lambda item: str(item["sk"]))


def _import_time(item: Any) -> set[str]:
    return {"by_time"} if item["sk"]["S"].startswith("IMPORT#") else set()


def check_commits(system: System, faults: Faults) -> None:
    """Assert consecutive versions of each item, and on the bus exactly the events of the commits."""
    faults.reached_the_bus.clear()
    versions: dict[str, list[int]] = {}
    for record in commits():
        image = record["dynamodb"]["NewImage"]
        versions.setdefault(image["sk"]["S"], []).append(int(image.get("version", {"N": "1"})["N"]))
    assert all(each == list(range(1, len(each) + 1)) for each in versions.values()), versions
    records = [record for record in commits() if carries_events(record)]
    system.publish_events(records)
    ids = [each for record in records for each in event_ids(record)]
    assert sorted(event["id"] for event in faults.reached_the_bus) == sorted(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("work", WORK)
def test_the_calls_are_known_and_a_crash_at_any_of_them_loses_and_doubles_nothing(
    system: System, faults: Faults, work: str
) -> None:
    mine = start(system)
    faults.set()
    undisturbed = WORK[work](mine)
    assert undisturbed.status in {200, 201}, undisturbed.text
    assert faults.operations == CALLS[work]
    wanted = stored(work)
    for crash in (CrashBefore, CrashAfter):
        for call in range(len(CALLS[work])):
            mine = start(system)
            faults.set(crash(call))
            assert survive(lambda: WORK[work](mine)) is None  # noqa: B023 - called at once
            faults.clear()
            again = WORK[work](mine)
            assert again.status == undisturbed.status, (crash, call, again.text)
            assert stored(work) == wanted, (crash, call)
            assert WORK[work](mine).status == undisturbed.status
            assert stored(work) == wanted, (crash, call)
            check_commits(system, faults)


@pytest.mark.parametrize("kind", [LostAnswer, TimeOut, Throttle, TransactionConflict])
@pytest.mark.parametrize("work", WORK)
def test_a_transient_error_at_any_call_is_repaired_within_the_request(
    system: System, faults: Faults, work: str, kind: type[Fault]
) -> None:
    """moto ignores transaction tokens, so after a lost answer the condition refuses the retry: the harder case."""
    mine = start(system)
    WORK[work](mine)
    wanted = stored(work)
    for call in range(len(CALLS[work])):
        mine = start(system)
        faults.set(kind(call))
        answer = WORK[work](mine)
        assert answer.status in {200, 201}, (call, answer.text)
        assert stored(work) == wanted, call
        check_commits(system, faults)


@pytest.mark.parametrize("kind", [Throttle, TransactionThrottle, TransactionConflict, TimeOut])
@pytest.mark.parametrize("work", ["record", "correct", "cash", "import", "import back-dated"])
def test_a_lasting_error_asks_the_client_to_repeat_the_request(
    system: System, faults: Faults, work: str, kind: type[Fault]
) -> None:
    mine = start(system)
    before = stored_items()
    faults.set(kind(CALLS[work].index(WRITE), FOR_EVER))
    answer = WORK[work](mine)
    assert answer.status == (409 if kind is TransactionConflict else 503), answer.text
    assert answer.headers["Retry-After"] == "1"
    assert stored_items() == before
    faults.clear()
    assert WORK[work](mine).status in {200, 201}


def test_the_events_of_trades_reach_the_bus_with_the_data_of_their_revision(system: System, faults: Faults) -> None:
    mine = start(system)
    mine.correct("a", amount="900")
    mine.record("c", "BUY", 1, 1, status="pending")
    check_commits(system, faults)
    seen = [
        (event["type"], event["data"]["ref_id"], event["data"]["amount"], event["data"]["revision"], event["tenantid"])
        for event in faults.reached_the_bus
        if event["type"].startswith("trade.")
    ]
    assert seen == [
        ("trade.recorded", "a", "1000", 1, "demo"),
        ("trade.recorded", "b", "400", 1, "demo"),
        ("trade.corrected", "a", "900", 2, "demo"),
        ("trade.recorded", "c", "1", 1, "demo"),
    ]
