"""Betting under crashes, throttles and conflicts: each order is settled once, and the totals stay right."""

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
from tests.support.betting import (
    MARKET,
    Bettor,
    betting_store,
    count_statuses,
    needs_settling,
    process_stream,
    settle_market,
    stored_orders,
)
from tests.support.fast_moto import fast_items
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
from tests.support.moto_state import clear_all, commits, fast_transactions, stored_items, table
from tests.support.system import BETTING_TABLE, System, sqs_record
from tests.support.trading import refused
from trimtab.betting.domain.orders import BetOrder, NewOrder, derive_order_id
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.results import BetSide
from trimtab.betting.service import settlements as service
from trimtab.betting.service.settlements import BATCH_SIZE
from trimtab.kernel.clock import utc_now

SELECTIONS = ("home", "draw", "away")
BATCH_CALLS = ["BatchGetItem", "TransactWriteItems"]


@pytest.fixture
def faults(system: System) -> Iterator[Faults]:
    """Inject faults into the calls of the system."""
    with fast_transactions(), no_waits(), injecting() as faults:
        yield faults


def no_waits() -> Any:
    """Let retried messages arrive at once."""
    return mock.patch.object(service, "FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def crashes(system: System) -> Iterator[Faults]:
    """Inject crashes only: items skip the serialization, which faults on the wire need."""
    with fast_transactions(), fast_items(), no_waits(), injecting() as faults:
        yield faults


def place(orders: int, users: int) -> None:
    """Place orders of these users in turn on the market of the tests; in batches, as single requests take minutes."""
    now = utc_now()
    for user in range(users):
        position = BettingPosition(tenant_id="demo", user_id=f"u{user}", market_id=MARKET, updated_at=now)
        placed = [_order(number, f"u{user}", now) for number in range(user, orders, users)]
        for start in range(0, len(placed), BATCH_SIZE):
            batch = placed[start : start + BATCH_SIZE]
            before, position = position, position.apply([(None, order) for order in batch], now)
            betting_store().change_orders(batch, position, position.totals.minus(before.totals), open_market=True)


def _order(number: int, user_id: str, now: datetime) -> BetOrder:
    side = BetSide.LAY if number % 2 else BetSide.BACK
    new = NewOrder(user_id, MARKET, SELECTIONS[number % 3], side, Decimal(10), Decimal("2.50"))
    return new.place("demo", derive_order_id("demo", user_id, f"k{number}"), None, now)


def deliver(system: System, url: str, crash: Fault | None, faults: Faults) -> bool:
    """Deliver the next message with the fault, and return whether there was a message."""
    sqs = boto3.client("sqs")
    with faults.paused():
        found = sqs.receive_message(QueueUrl=url, AttributeNames=["All"]).get("Messages")
    if not found:
        return False
    (message,) = found
    record = sqs_record(message["Body"], message_id=message["MessageId"], **message["Attributes"])
    faults.set(*([crash] if crash else []))
    failed = survive(lambda: system.invoke_worker(record, worker=settlement_function))
    faults.clear()
    with faults.paused():
        if failed is None or failed:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        else:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return True


def finish(system: System, faults: Faults) -> None:
    """Deliver messages without faults until the queue is empty."""
    for _ in range(500):
        if not deliver(system, system.settlements_url, None, faults):
            return
    pytest.fail("the queue does not become empty")


def check_settled(system: System, orders: int, users: int) -> None:
    """Assert that a single commit settled each order with the event, and that positions and totals are right."""
    assert count_statuses() == {"SETTLED": orders}
    market = betting_store().get_market("demo", MARKET)
    assert market is not None
    assert (market.settled_at is not None, market.orders) == (True, orders)
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    settled = [image for image in images if image["sk"]["S"] == "ORDER" and image["status"]["S"] == "SETTLED"]
    assert len(settled) == len({image["pk"]["S"] for image in settled}) == orders
    assert all(image["version"]["N"] == "2" and "order.settled" in image["events"]["S"] for image in settled)
    for number in range(users):
        comparison = Bettor(system, f"u{number}").compare_totals()
        assert comparison.is_consistent, comparison
        assert comparison.stored.orders_open == 0


def snapshot() -> tuple[Any, Any]:
    """Return the contents of the table and the stream."""
    return copy.deepcopy(table(BETTING_TABLE).items), list(table(BETTING_TABLE).stream_shard.items)


def restore(state: tuple[Any, Any]) -> None:
    """Restore the contents of the table and its stream, and empty the queues."""
    clear_all(BETTING_TABLE)
    table(BETTING_TABLE).items.update(copy.deepcopy(state[0]))
    table(BETTING_TABLE).stream_shard.items.extend(state[1])


def test_a_hundred_orders_with_a_crash_at_each_call_are_each_settled_once(system: System, crashes: Faults) -> None:
    faults = crashes
    place(100, users=1)
    settle_market(system, ["home"], commission_rate=5)
    closing, state = commits(BETTING_TABLE)[-1:], snapshot()
    system.pass_betting_stream(closing)
    assert deliver(system, system.settlements_url, None, faults)  # requests the only user with open orders
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
                system.pass_betting_stream(closing)
            assert deliver(system, system.settlements_url, None, faults)
            assert deliver(system, system.settlements_url, kind(call), faults)
            finish(system, faults)
            with faults.paused():
                check_settled(system, 100, 1)


CHECKING = ["GetItem", "Query", "BatchGetItem"]
STEPS = [
    ["Query", "SendMessageBatch", "SendMessage"],  # requests the users with open orders
    ["GetItem", "Query", *BATCH_CALLS, "GetItem"],  # settles the only open order
    [*CHECKING, "SendMessageBatch", "SendMessage"],  # the check finds the other user, who owes commission
    ["GetItem", "Query", "GetItem", "TransactWriteItems"],  # charges the commission
    [*CHECKING, "PutItem"],  # the check finds every user settled
]
CRASHES = [
    (step, kind(call))
    for step in (0, 2, 3, 4)
    for kind in (CrashBefore, CrashAfter)
    for call in range(len(STEPS[step]))
]


def test_a_crash_at_each_call_of_requesting_charging_and_checking_loses_and_doubles_nothing(
    system: System, crashes: Faults
) -> None:
    """The order of one user is settled with the market; the other user's order was settled before the market."""
    faults = crashes
    alone = Bettor(system, "u1")
    alone.settle(alone.place_successfully("BACK", 100, "2.00"), won=True)
    place(1, users=1)
    settle_market(system, ["home"], commission_rate=5)
    closing, state = commits(BETTING_TABLE)[-1:], snapshot()
    for crash_at, crash in [(-1, None), *CRASHES]:
        restore(state)
        with faults.paused():
            system.pass_betting_stream(closing)
        for step, calls in enumerate(STEPS):
            assert deliver(system, system.settlements_url, crash if step == crash_at else None, faults)
            assert crash or faults.operations == calls
        finish(system, faults)
        with faults.paused():
            check_settled(system, 2, 2)
            assert alone.position()["market_commission"] == "5.00"


@pytest.mark.parametrize("kind", [LostAnswer, TimeOut, Throttle, TransactionConflict])
def test_a_transient_fault_at_any_call_of_a_settlement_doubles_nothing(
    system: System, faults: Faults, kind: type[Fault]
) -> None:
    place(6, users=1)
    settle_market(system, ["home"], commission_rate=5)
    state = snapshot()
    for call in range(5):
        restore(state)
        with faults.paused():
            process_stream(system)
        deliver(system, system.settlements_url, None, faults)
        deliver(system, system.settlements_url, kind(call), faults)
        finish(system, faults)
        with faults.paused():
            check_settled(system, 6, 1)


@pytest.mark.assurance("Settlement of 2,000 orders: each delivery crashes one call later")
@pytest.mark.proof
def test_two_thousand_orders_with_every_delivery_crashing_one_call_later_are_each_settled_once(
    system: System, faults: Faults
) -> None:
    """Four users with 500 orders each: deliveries crash before and after call 0, 1, 2, … until all is settled."""
    orders, users = 2000, 4
    place(orders, users)
    settle_market(system, ["home"], commission_rate=5)
    process_stream(system)
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


@pytest.mark.assurance("Settlement of 2,000 orders: crashes in the middle and at the end")
@pytest.mark.proof
def test_two_thousand_orders_of_one_user_survive_a_crash_in_the_middle_and_in_the_last_batch(
    system: System, faults: Faults
) -> None:
    """Each message crashes in turn: first in a batch in the middle, then in the last batch."""
    place(2000, users=1)
    faults.set()
    settle_market(system, ["home"], commission_rate=5)
    process_stream(system)
    deliver(system, system.settlements_url, None, faults)  # requests the only user with open orders
    for crash in (CrashBefore(23), CrashAfter(23), CrashBefore(2), CrashAfter(3), CrashBefore(13)):
        deliver(system, system.settlements_url, crash, faults)
    finish(system, faults)
    with faults.paused():
        check_settled(system, 2000, 1)


# Single orders -------------------------------------------------------------------------------------------------------

WORK: dict[str, Callable[[Bettor], Any]] = {
    "place": lambda bettor: bettor.place("LAY", 10, "3.50", "away", key="new"),
    "settle": lambda bettor: bettor.settle(only_order_id(), won=True),
    "cancel": lambda bettor: bettor.system.http("POST", f"/orders/{only_order_id()}/cancel"),
    "close": lambda bettor: settle_market(bettor.system, ["home"]),
}
CALLS = {
    "place": ["BatchGetItem", "TransactWriteItems"],
    "settle": ["GetItem", "BatchGetItem", "TransactWriteItems", "GetItem", "GetItem"],  # answers position and metrics
    "cancel": ["GetItem", "BatchGetItem", "TransactWriteItems"],
    "close": ["PutItem", "Query", "Query"],
}
VARIES = {"created_at", "updated_at", "by_user_sk", "by_market_sk", "by_open_user_sk", "by_open_market_sk"}
VARIES |= {"settlement", "events", "closed_at"}


def only_order_id() -> str:
    """Return the id of the only stored order."""
    (order,) = stored_orders()
    return str(order["pk"]["S"].rpartition("#")[2])


def start_with_one_order(system: System) -> Bettor:
    """Empty the table and return a user with a single order."""
    clear_all(BETTING_TABLE)
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "2.00")
    return bettor


def stored_without_times() -> list[Any]:
    """Return all stored items without their times."""
    items = [
        {name: value for name, value in item.items() if name not in VARIES} for item in stored_items(BETTING_TABLE)
    ]
    timeless = json.loads(re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "", json.dumps(items)))  # selections have times too
    return sorted(timeless, key=lambda item: (str(item["pk"]), str(item["sk"])))


@pytest.mark.parametrize("work", WORK)
def test_a_repeated_request_completes_after_a_crash_at_any_call(system: System, faults: Faults, work: str) -> None:
    bettor = start_with_one_order(system)
    faults.set()
    undisturbed = WORK[work](bettor)
    assert undisturbed.status < 300, undisturbed.text
    assert faults.operations == CALLS[work]
    wanted = stored_without_times()
    for kind in (CrashBefore, CrashAfter):
        for call in range(len(CALLS[work])):
            bettor = start_with_one_order(system)
            faults.set(kind(call))
            assert survive(lambda: WORK[work](bettor)) is None  # noqa: B023 - called at once
            faults.clear()
            again = WORK[work](bettor)
            assert again.status == undisturbed.status, (kind, call, again.text)
            assert stored_without_times() == wanted, (kind, call)


@pytest.mark.parametrize("kind", [LostAnswer, TimeOut, Throttle, TransactionConflict])
@pytest.mark.parametrize("work", WORK)
def test_a_request_completes_despite_a_transient_fault_at_any_call(
    system: System, faults: Faults, work: str, kind: type[Fault]
) -> None:
    bettor = start_with_one_order(system)
    WORK[work](bettor)
    wanted = stored_without_times()
    for call in range(len(CALLS[work])):
        bettor = start_with_one_order(system)
        faults.set(kind(call))
        answer = WORK[work](bettor)
        assert answer.status < 300, (call, answer.text)
        assert stored_without_times() == wanted, call


def test_a_market_is_closed_although_orders_are_being_placed_in_the_market(system: System, faults: Faults) -> None:
    start_with_one_order(system)
    faults.set(TransactionConflict(0, times=5))
    assert settle_market(system, ["home"]).status == 202
    faults.set(TransactionConflict(0, times=FOR_EVER))
    refused(settle_market(system, ["home"], "other"), 409, "contended")


def test_a_market_whose_closing_crashed_is_settled(system: System, faults: Faults) -> None:
    """The function crashes right after the market is closed: the stream record requests the settlement."""
    start_with_one_order(system)
    faults.set(CrashAfter(0))
    assert survive(lambda: settle_market(system, ["home"])) is None
    faults.clear()
    system.pass_betting_stream([record for record in commits(BETTING_TABLE) if needs_settling(record)])
    system.process_settlements()
    assert count_statuses() == {"SETTLED": 1}
