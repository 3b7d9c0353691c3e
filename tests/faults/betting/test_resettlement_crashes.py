"""Corrections of settled markets under crashes: each order is settled again once, and the totals stay right."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.faults.betting.test_settlement_crashes import (
    deliver,
    finish,
    no_waits,
    place,
    restore,
    snapshot,
)
from tests.support.betting import MARKET, Bettor, betting_store, process_stream, settle_market
from tests.support.fast_moto import fast_items
from tests.support.faults import CrashAfter, CrashBefore, Faults, injecting
from tests.support.moto_state import commits, fast_transactions
from tests.support.system import BETTING_TABLE, System
from trimtab.contracts.events import unpack_events
from trimtab.kernel.money import ZERO

CHECK = ["GetItem", "Query", "BatchGetItem"]
PASS_START = ["GetItem", "GetItem", "Query", "BatchGetItem", "Query"]


@pytest.fixture
def crashes(system: System) -> Iterator[Faults]:
    """Inject crashes only: items skip the serialization, which faults on the wire need."""
    with fast_transactions(), fast_items(), no_waits(), injecting() as faults:
        yield faults


def corrected(system: System, faults: Faults, orders: int, users: int) -> list[Any]:
    """Settle a market and correct the results; return the stream record of the correction."""
    place(orders, users)
    settle_market(system, ["home"], commission_rate=5)
    process_stream(system)
    finish(system, faults)
    body = {"winners": ["draw"], "reason": "A wrong result."}
    assert system.http("POST", f"/markets/{MARKET}/resettle", body).status == 202
    return commits(BETTING_TABLE)[-1:]


def check_corrected(orders: int, users: int) -> None:
    """Assert that each affected order was corrected once, and that positions, totals and commissions follow."""
    market = betting_store().get_market("demo", MARKET)
    assert market is not None
    assert (market.settled_at is not None, market.orders, market.number) == (True, orders, 2)
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    texts = [image["events"]["S"] for image in images if "events" in image]
    events = [event for text in texts for event in unpack_events(text) if event.type == "order.resettled"]
    affected = sum(number % 3 in {0, 1} for number in range(orders))  # those on `home` and on `draw`
    assert len(events) == len({event.data["id"] for event in events}) == affected
    for number in range(users):
        comparison = Bettor(None, f"u{number}").compare_totals()  # type: ignore[arg-type]
        assert comparison.is_consistent, comparison
        profit = comparison.stored.profit + comparison.stored.commission
        assert comparison.stored.commission == max(ZERO, round(profit * 5 / 100, 2)) == round(max(ZERO, profit) / 20, 2)


def request(system: System, faults: Faults, correction: list[Any]) -> None:
    """Pass the stream record of the correction, and deliver the check that requests the users."""
    with faults.paused():
        system.pass_betting_stream(correction)
    assert deliver(system, system.settlements_url, None, faults)


def test_a_hundred_orders_with_a_crash_at_each_call_are_each_corrected_once(system: System, crashes: Faults) -> None:
    faults = crashes
    correction = corrected(system, faults, 100, users=1)
    state = snapshot()
    request(system, faults, correction)
    faults.set()
    assert deliver(system, system.settlements_url, None, faults)
    calls = faults.operations[:]
    batch = ["BatchGetItem", "TransactWriteItems"]
    assert calls == [*PASS_START, *batch, *batch, "GetItem", "TransactWriteItems"]
    finish(system, faults)
    check_corrected(100, 1)
    for kind in (CrashBefore, CrashAfter):
        for call in range(len(calls)):
            restore(state)
            request(system, faults, correction)
            assert deliver(system, system.settlements_url, kind(call), faults)
            finish(system, faults)
            with faults.paused():
                check_corrected(100, 1)


def test_a_crash_at_each_call_of_a_check_loses_no_user(system: System, crashes: Faults) -> None:
    faults = crashes
    correction = corrected(system, faults, 6, users=2)
    state = snapshot()
    calls = [*CHECK, "SendMessageBatch", "SendMessage"]
    for kind in (CrashBefore, CrashAfter):
        for call in range(len(calls)):
            restore(state)
            with faults.paused():
                system.pass_betting_stream(correction)
            assert deliver(system, system.settlements_url, kind(call), faults)
            finish(system, faults)
            with faults.paused():
                check_corrected(6, 2)


@pytest.mark.assurance("Correction of 2,000 orders: each delivery crashes one call later")
@pytest.mark.proof
def test_two_thousand_orders_with_every_delivery_crashing_one_call_later_are_each_corrected_once(
    system: System, crashes: Faults
) -> None:
    """Four users with 500 orders each: deliveries crash before and after call 0, 1, 2, … until all is corrected."""
    faults = crashes
    correction = corrected(system, faults, 2000, users=4)
    request(system, faults, correction)
    met = 0
    for crash in [kind(call) for call in range(40) for kind in (CrashBefore, CrashAfter)]:
        if not deliver(system, system.settlements_url, crash, faults):
            break
        met += len(faults.met)
    finish(system, faults)
    assert met > 10
    with faults.paused():
        check_corrected(2000, 4)


def test_the_commission_of_a_correction_is_worked_by_hand(system: System, crashes: Faults) -> None:
    """One BACK of 10 at 2.50 on `home`, a LAY on `draw`, a BACK on `away`: 15 + 10 - 10, then -10 - 15 - 10."""
    faults = crashes
    correction = corrected(system, faults, 3, users=1)
    before = Bettor(system, "u0").metrics()
    assert (before["profit"], before["commission"]) == ("14.25", "0.75")
    request(system, faults, correction)
    finish(system, faults)
    after = betting_store().get_user_totals("demo", "u0").totals
    assert (after.profit, after.commission) == (Decimal(-35), ZERO)
