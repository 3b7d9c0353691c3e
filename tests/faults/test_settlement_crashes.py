"""Betting under crashes, throttles and conflicts: each order is settled once, and sums are the fold of the orders."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.betting_on_settlement_requested import handler as settlement_function
from tests.faults.harness import survive
from tests.support.betting import MARKET, Bettor, book, close, needs_settling, run_stream, statuses
from tests.support.fast_moto import quick_items
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
    injecting,
)
from tests.support.moto_state import commits, forget_everything, quick_transactions, stored_items, table
from tests.support.system import BETTING_TABLE, System, sqs_record
from tests.support.trading import refused
from trimtab.betting.domain.orders import NewOrder, Order, order_id_of
from trimtab.betting.domain.positions import Position
from trimtab.betting.domain.results import Side
from trimtab.betting.domain.tally import tally, total
from trimtab.betting.service import settlements as service
from trimtab.betting.service.settlements import BATCH
from trimtab.kernel.clock import utc_now

SELECTIONS = ("home", "draw", "away")
BATCH_CALLS = ["BatchGetItem", "TransactWriteItems"]


@pytest.fixture
def faults(system: System) -> Iterator[Faults]:
    """Faults around the system."""
    with quick_transactions(), no_waits(), injecting() as faults:
        yield faults


def no_waits() -> Any:
    """What is asked for again comes at once."""
    return mock.patch.object(service, "FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def crashes(system: System) -> Iterator[Faults]:
    """Crashes around the system, whose items take the short way; what is thrown on the wire needs the long one."""
    with quick_transactions(), quick_items(), no_waits(), injecting() as faults:
        yield faults


def place(orders: int, users: int) -> None:
    """Orders of these users on the tests' market, in turn; by the batch, as thousands of requests take minutes."""
    now = utc_now()
    for user in range(users):
        position = Position(tenant_id="demo", user_id=f"u{user}", market_id=MARKET, updated_at=now)
        placed = [_order(number, f"u{user}", now) for number in range(user, orders, users)]
        for start in range(0, len(placed), BATCH):
            batch = placed[start : start + BATCH]
            position = position.changed([(None, it) for it in batch], now)
            book().change(batch, position, total(tally(it) for it in batch), open_market=True)


def _order(number: int, user_id: str, now: datetime) -> Order:
    side = Side.LAY if number % 2 else Side.BACK
    new = NewOrder(user_id, MARKET, SELECTIONS[number % 3], side, Decimal(10), Decimal("2.50"))
    return new.placed("demo", order_id_of("demo", user_id, f"k{number}"), None, now)


def deliver(system: System, url: str, crash: Fault | None, faults: Faults) -> bool:
    """One delivery of the next message, in which the fault happens; whether there was a message."""
    sqs = boto3.client("sqs")
    with faults.paused():
        found = sqs.receive_message(QueueUrl=url, AttributeNames=["All"]).get("Messages")
    if not found:
        return False
    (message,) = found
    record = sqs_record(message["Body"], message_id=message["MessageId"], **message["Attributes"])
    faults.set(*([crash] if crash else []))
    failed = survive(lambda: system.work(record, worker=settlement_function))
    faults.clear()
    with faults.paused():
        if failed is None or failed:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        else:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return True


def finish(system: System, faults: Faults) -> None:
    """Deliveries without faults until there is no message any more."""
    for _ in range(500):
        if not deliver(system, system.settlements_url, None, faults):
            return
    pytest.fail("there is no end of messages")


def check_settled(system: System, orders: int, users: int) -> None:
    """Each order is settled by one commit, each position and all sums are the fold, and events are those of commits."""
    assert statuses() == {"SETTLED": orders}
    market = book().market("demo", MARKET)
    assert market is not None
    assert (market.settled_at is not None, market.orders) == (True, orders)
    images = [it["dynamodb"]["NewImage"] for it in commits(BETTING_TABLE)]
    settled = [it for it in images if it["sk"]["S"] == "ORDER" and it["status"]["S"] == "SETTLED"]
    assert len(settled) == len({it["pk"]["S"] for it in settled}) == orders
    assert all(it["version"]["N"] == "2" and "order.settled" in it["events"]["S"] for it in settled)
    for number in range(users):
        rebuilt = Bettor(system, f"u{number}").rebuilt()
        assert rebuilt.is_right, rebuilt
        assert rebuilt.kept.orders_open == 0


def snapshot() -> tuple[Any, Any]:
    """What the table and its stream hold."""
    return copy.deepcopy(table(BETTING_TABLE).items), list(table(BETTING_TABLE).stream_shard.items)


def restore(state: tuple[Any, Any]) -> None:
    """Puts it back, and empties the queues."""
    forget_everything(BETTING_TABLE)
    table(BETTING_TABLE).items.update(copy.deepcopy(state[0]))
    table(BETTING_TABLE).stream_shard.items.extend(state[1])


def test_a_hundred_orders_with_a_crash_at_each_call_are_each_settled_once(system: System, crashes: Faults) -> None:
    faults = crashes
    place(100, users=1)
    close(system, ["home"], commission_rate=5)
    closing, state = commits(BETTING_TABLE)[-1:], snapshot()
    system.stream_betting(closing)
    assert deliver(system, system.settlements_url, None, faults)  # who has open orders: one user
    faults.set()
    assert deliver(system, system.settlements_url, None, faults)
    calls = faults.operations[:]
    assert calls == ["GetItem", "Query", *BATCH_CALLS, *BATCH_CALLS, "GetItem"]
    finish(system, faults)
    check_settled(system, 100, 1)
    for kind in (CrashBefore, CrashAfter):
        for call in range(len(calls)):
            restore(state)
            with faults.paused():
                system.stream_betting(closing)
            assert deliver(system, system.settlements_url, None, faults)
            assert deliver(system, system.settlements_url, kind(call), faults)
            finish(system, faults)
            with faults.paused():
                check_settled(system, 100, 1)


LOOKING = ["GetItem", "Query", "BatchGetItem"]
STEPS = [
    ["Query", "SendMessageBatch", "SendMessage"],  # who has open orders
    ["GetItem", "Query", *BATCH_CALLS, "GetItem"],  # settles the only one
    [*LOOKING, "SendMessageBatch", "SendMessage"],  # the other user owes commission
    ["GetItem", "Query", "GetItem", "TransactWriteItems"],  # charges it
    [*LOOKING, "PutItem"],  # nobody has anything left
]
CRASHES = [
    (step, kind(call))
    for step in (0, 2, 3, 4)
    for kind in (CrashBefore, CrashAfter)
    for call in range(len(STEPS[step]))
]


def test_a_crash_at_each_call_of_asking_charging_and_looking_leaves_nothing_undone_and_does_nothing_twice(
    system: System, crashes: Faults
) -> None:
    """One user's order is settled with the market, the other's was settled alone before and pays with the market."""
    faults = crashes
    alone = Bettor(system, "u1")
    alone.settle(alone.placed("BACK", 100, "2.00"), won=True)
    place(1, users=1)
    close(system, ["home"], commission_rate=5)
    closing, state = commits(BETTING_TABLE)[-1:], snapshot()
    for crash_at, crash in [(-1, None), *CRASHES]:
        restore(state)
        with faults.paused():
            system.stream_betting(closing)
        for step, calls in enumerate(STEPS):
            assert deliver(system, system.settlements_url, crash if step == crash_at else None, faults)
            assert crash or faults.operations == calls
        finish(system, faults)
        with faults.paused():
            check_settled(system, 2, 2)
            assert alone.position()["market_commission"] == "5.00"


@pytest.mark.parametrize("kind", [LostAnswer, TimeOut, Throttle, TransactionConflict])
def test_a_passing_trouble_at_any_call_of_a_settlement_doubles_nothing(
    system: System, faults: Faults, kind: type[Fault]
) -> None:
    place(6, users=1)
    close(system, ["home"], commission_rate=5)
    state = snapshot()
    for call in range(5):
        restore(state)
        with faults.paused():
            run_stream(system)
        deliver(system, system.settlements_url, None, faults)
        deliver(system, system.settlements_url, kind(call), faults)
        finish(system, faults)
        with faults.paused():
            check_settled(system, 6, 1)


@pytest.mark.proof
def test_two_thousand_orders_with_every_delivery_crashing_one_call_later_are_each_settled_once(
    system: System, faults: Faults
) -> None:
    """Four users of 500 orders: deliveries crash before and after call 0, 1, 2, … until nothing is left to do."""
    orders, users = 2000, 4
    place(orders, users)
    close(system, ["home"], commission_rate=5)
    run_stream(system)
    crashes = [kind(call) for call in range(40) for kind in (CrashBefore, CrashAfter)]
    met = 0
    for crash in crashes:
        if not deliver(system, system.settlements_url, crash, faults):
            break
        met += len(faults.met)
    finish(system, faults)
    assert met > 10
    with faults.paused():
        check_settled(system, orders, users)


@pytest.mark.proof
def test_two_thousand_orders_of_one_user_survive_a_crash_in_the_middle_and_in_the_last_batch(
    system: System, faults: Faults
) -> None:
    """One message after the other, since each is cut short: a batch in the middle first, then the one that ends it."""
    place(2000, users=1)
    faults.set()
    close(system, ["home"], commission_rate=5)
    run_stream(system)
    deliver(system, system.settlements_url, None, faults)  # who has open orders: one user
    for crash in (CrashBefore(23), CrashAfter(23), CrashBefore(2), CrashAfter(3), CrashBefore(13)):
        deliver(system, system.settlements_url, crash, faults)
    finish(system, faults)
    with faults.paused():
        check_settled(system, 2000, 1)


# Single orders -------------------------------------------------------------------------------------------------------

WORK: dict[str, Callable[[Bettor], Any]] = {
    "place": lambda mine: mine.place("LAY", 10, "3.50", "away", key="new"),
    "settle": lambda mine: mine.settle(first(mine), won=True),
    "cancel": lambda mine: mine.system.http("POST", f"/orders/{first(mine)}/cancel"),
    "close": lambda mine: close(mine.system, ["home"]),
}
CALLS = {
    "place": ["BatchGetItem", "TransactWriteItems"],
    "settle": ["GetItem", "BatchGetItem", "TransactWriteItems"],
    "cancel": ["GetItem", "BatchGetItem", "TransactWriteItems"],
    "close": ["PutItem", "Query", "Query"],
}
VARIES = {"created_at", "updated_at", "by_user_sk", "by_market_sk", "by_open_user_sk", "by_open_market_sk"}
VARIES |= {"settlement", "events", "closed_at"}


def first(mine: Bettor) -> str:
    """The order that is there."""
    (order,) = (it for it in stored_items(BETTING_TABLE) if it["sk"]["S"] == "ORDER")
    return str(order["pk"]["S"].rpartition("#")[2])


def start(system: System) -> Bettor:
    """A bettor with one order."""
    forget_everything(BETTING_TABLE)
    mine = Bettor(system)
    mine.placed("BACK", 10, "2.00")
    return mine


def stored() -> list[Any]:
    """What is stored, but for what the clock says."""
    items = [{name: it for name, it in item.items() if name not in VARIES} for item in stored_items(BETTING_TABLE)]
    timeless = json.loads(re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "", json.dumps(items)))  # selections have times too
    return sorted(timeless, key=lambda item: (str(item["pk"]), str(item["sk"])))


@pytest.mark.parametrize("work", WORK)
def test_a_crash_at_any_call_of_a_request_is_mended_by_its_repeat(system: System, faults: Faults, work: str) -> None:
    mine = start(system)
    faults.set()
    undisturbed = WORK[work](mine)
    assert undisturbed.status < 300, undisturbed.text
    assert faults.operations == CALLS[work]
    wanted = stored()
    for kind in (CrashBefore, CrashAfter):
        for call in range(len(CALLS[work])):
            mine = start(system)
            faults.set(kind(call))
            assert survive(lambda: WORK[work](mine)) is None  # noqa: B023 - called at once
            faults.clear()
            again = WORK[work](mine)
            assert again.status == undisturbed.status, (kind, call, again.text)
            assert stored() == wanted, (kind, call)


@pytest.mark.parametrize("kind", [LostAnswer, TimeOut, Throttle, TransactionConflict])
@pytest.mark.parametrize("work", WORK)
def test_a_passing_trouble_at_any_call_of_a_request_is_mended_within_it(
    system: System, faults: Faults, work: str, kind: type[Fault]
) -> None:
    mine = start(system)
    WORK[work](mine)
    wanted = stored()
    for call in range(len(CALLS[work])):
        mine = start(system)
        faults.set(kind(call))
        answer = WORK[work](mine)
        assert answer.status < 300, (call, answer.text)
        assert stored() == wanted, call


def test_a_market_is_closed_though_one_order_after_the_other_is_being_placed_in_it(
    system: System, faults: Faults
) -> None:
    start(system)
    faults.set(TransactionConflict(0, times=5))
    assert close(system, ["home"]).status == 202
    faults.set(TransactionConflict(0, times=FOR_EVER))
    refused(close(system, ["home"], "other"), 409, "contended")


def test_a_market_whose_closing_was_cut_short_is_settled_all_the_same(system: System, faults: Faults) -> None:
    """The function ends right after the market is closed: its stream record asks for the settlement."""
    start(system)
    faults.set(CrashAfter(0))
    assert survive(lambda: close(system, ["home"])) is None
    faults.clear()
    system.stream_betting([it for it in commits(BETTING_TABLE) if needs_settling(it)])
    system.settle()
    assert statuses() == {"SETTLED": 1}
