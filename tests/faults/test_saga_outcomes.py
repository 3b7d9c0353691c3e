"""What a portfolio's owner sees of a saga that goes wrong: nothing half done, and a word where a person has to act."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from unittest import mock

import pytest

from tests.faults.saga import HELD, Deed, SagaRun, Scenario
from tests.faults.saga_broker import Fate
from tests.faults.saga_checks import checked, events, violations
from tests.faults.saga_laboratory import SagaLaboratory, saga_laboratory
from tests.faults.saga_scenarios import (
    HALF_AND_OPEN,
    MOVED,
    OPERATOR,
    SALE,
    SCENARIOS,
    SLOW,
    STALE,
    TOO_DEAR,
    prices,
    seven_hours_pass,
    under_way,
)
from tests.support.faults import CrashAfter
from tests.support.trading import refused
from trimtab.kernel.money import plain
from trimtab.portfolios.execution.broker import NotSent, OutcomeUnknown
from trimtab.portfolios.execution.worker import _Run
from trimtab.portfolios.rebalancing.orders import Order

BEFORE = {symbol: Decimal(quantity) for symbol, quantity in HELD.items()}
CASH = Decimal(100)
NEVER = Fate(time_out="before", times=99)
TOO_LATE = Scenario(STALE, deeds=(Deed(under_way, seven_hours_pass),))


@pytest.fixture(scope="module")
def saga() -> Iterator[SagaLaboratory]:
    """A laboratory for all of them."""
    with saga_laboratory() as fresh:
        yield fresh


def explained(run: SagaRun) -> str:
    """Why its first rebalance ended so, in words."""
    why = run.rebalances()[0].why
    assert why is not None
    return why.detail


def orders_of(run: SagaRun) -> tuple[Order, ...]:
    """The orders of its first rebalance."""
    execution = run.rebalances()[0].execution
    assert execution is not None
    return execution.orders


def plan_of(run: SagaRun) -> list[tuple[str, ...]]:
    """What the broker is asked for, but for how much: a buy is cut to what the sells bring."""
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    return [
        (it.client_order_id, it.symbol, it.side, str(it.price), str(it.limit_price))
        for it in rebalance.execution.orders
        if not it.reverses
    ]


def test_after_a_partial_failure_holdings_and_cash_are_as_before(saga: SagaLaboratory) -> None:
    run = saga.settled(SCENARIOS["the buy refused"])
    assert (run.statuses(), run.quantities(), run.portfolio().cash) == (("ROLLED_BACK",), BEFORE, CASH)
    assert len(run.fills()) == 4, "two were sold and bought back"


def test_after_a_reversal_at_other_prices_the_cash_differs_by_what_they_cost(saga: SagaLaboratory) -> None:
    run = saga.settled(MOVED)
    assert (run.statuses(), run.quantities()) == (("ROLLED_BACK",), BEFORE)
    cost = Decimal("3.6") * 1 + Decimal("3.15") * 2
    assert run.portfolio().cash == CASH - cost
    assert checked(run) == []


@pytest.mark.parametrize(
    "scenario",
    [SCENARIOS["never reversed"], SCENARIOS["never an answer"], TOO_DEAR],
    ids=["refused", "unknown", "dear"],
)
def test_what_cannot_be_reversed_makes_the_portfolio_stale_with_one_alert_and_refuses_trades(
    saga: SagaLaboratory, scenario: Scenario
) -> None:
    run = saga.settled(scenario)
    assert [type for type, _ in events() if "stale" in type] == ["portfolio.stale"]
    refused(run.system.http("POST", f"{run.home}/trades", SALE), 409, "stale")
    more = {"ref_id": "more", "type": "deposit", "amount": "1"}
    refused(run.system.http("POST", f"{run.home}/cash", more), 409, "stale")
    asked = run.system.http("POST", f"{run.home}/rebalances", {}, headers={"Idempotency-Key": "again"})
    refused(asked, 409, "stale")
    assert violations(run) == []


def test_a_stale_portfolio_trades_again_once_an_operator_has_said_what_it_holds(saga: SagaLaboratory) -> None:
    run = saga.settled(SCENARIOS["never reversed"])
    body = {"reason": "AAPL was bought by hand", "holdings": {"AAPL": "40"}, "cash": "100"}
    answer = run.system.http("POST", f"{run.home}/resolve", body, authorizer=OPERATOR)
    assert answer.status == 200, answer.text
    assert (run.statuses(), run.quantities(), run.portfolio().cash) == (("RESOLVED",), BEFORE, CASH)
    assert run.system.http("POST", f"{run.home}/trades", SALE).status == 201


def test_a_broker_that_raises_until_the_deadline_makes_the_portfolio_stale(saga: SagaLaboratory) -> None:
    def fails() -> None:
        raise ValueError

    run = saga.start(TOO_LATE)
    run.exchange.trouble = fails
    run.settle()
    assert violations(run) == []
    assert "The deadline passed" in explained(run)


def test_what_a_broker_says_of_the_other_orders_is_kept_where_one_cannot_be_asked_for(saga: SagaLaboratory) -> None:
    run = saga.settled(Scenario(STALE, {("AAPL", 1): Fate(time_out="before", times=99, error=ValueError)}))
    assert checked(run) == []
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    assert [(it.symbol, it.status, it.attempts, it.reason) for it in rebalance.execution.current] == [
        ("AAPL", "SENT", 8, "ValueError"),
        ("MSFT", "FILLED", 1, None),
    ]


@pytest.mark.parametrize("fate", [Fate(), Fate(time_out="after"), Fate(time_out="before", times=20, error=NotSent)])
def test_a_broker_that_cannot_be_reached_for_a_while_holds_a_rebalance_up_and_does_not_end_it(
    saga: SagaLaboratory, fate: Fate
) -> None:
    run = saga.start(Scenario(fates={("AAPL", 1): fate}))
    began = run.clock.now

    def fails() -> None:
        if 1 < (run.clock.now - began).total_seconds() < 900:
            raise OutcomeUnknown("no connection")

    run.exchange.trouble = fails if fate.error is OutcomeUnknown else lambda: None
    run.clock.wait(0 if fate.time_out else 2)
    run.settle()
    assert checked(run) == []
    assert run.rebalances()[0].updated_at - began > timedelta(minutes=10)
    assert {order.attempts for it in run.rebalances() if it.execution for order in it.execution.orders} <= {1, 2}


def test_before_a_rebalance_is_given_up_its_open_orders_are_ended_and_booked(saga: SagaLaboratory) -> None:
    run = saga.settled(Scenario(STALE, {("AAPL", 1): NEVER, ("MSFT", 1): HALF_AND_OPEN}))
    assert checked(run) == []
    assert [(it.symbol, it.status, it.is_booked) for it in orders_of(run)] == [
        ("AAPL", "SENT", False),
        ("MSFT", "ENDED", True),
        ("NVDA", "PLANNED", False),
    ]
    assert run.quantities()["MSFT"] < BEFORE["MSFT"]
    assert explained(run) == "The broker does not say what became of the orders for AAPL."


def test_what_is_still_open_when_a_rebalance_is_given_up_is_named_and_not_called_booked(saga: SagaLaboratory) -> None:
    run = saga.start(Scenario(STALE, {("AAPL", 1): NEVER, ("MSFT", 1): HALF_AND_OPEN}))
    with mock.patch.object(run.exchange, "cancel"):
        run.settle()
    (unknown, still_open, _) = orders_of(run)
    assert (run.statuses(), unknown.attempts, still_open.status, still_open.is_booked) == (STALE, 10, "OPEN", False)
    filled = f"MSFT ({plain(still_open.filled)} of {plain(still_open.quantity)} filled)"
    assert explained(run).endswith(f"for AAPL; still open at the broker, and not booked: {filled}.")
    assert run.quantities() == BEFORE


def test_a_worker_that_never_comes_further_than_its_lease_is_reported(saga: SagaLaboratory) -> None:
    run = saga.start(SCENARIOS["message lost"])
    with mock.patch.object(_Run, "to_the_end_or_the_next_wait", side_effect=RuntimeError):
        for _ in range(20):
            run.step()
            run.waiting = [it for it in run.waiting if not it.received]  # the others are dead-lettered
    assert [type for type, _ in events() if "stuck" in type] == ["rebalance.stuck"]


def test_a_client_that_sells_while_the_portfolio_is_locked_is_told_when_to_come_again(saga: SagaLaboratory) -> None:
    def sells(run: SagaRun) -> bool:
        answer = run.system.http("POST", f"{run.home}/trades", SALE)
        refused(answer, 409, "locked")
        return 0 < int(answer.headers["Retry-After"]) <= 60

    run = saga.settled(Scenario(fates={("AAPL", 1): SLOW}, deeds=(Deed(under_way, sells),)))
    assert checked(run) == []
    assert run.system.http("POST", f"{run.home}/trades", SALE).status == 201


@pytest.mark.parametrize("call", range(2, 12))
def test_after_its_lease_has_expired_a_rebalance_is_resumed_and_never_planned_anew(
    saga: SagaLaboratory, call: int
) -> None:
    moved = Deed(lambda run: bool(run.lab.faults.met), prices(AAPL="101", MSFT="99", NVDA="60.5"))
    run = saga.start(Scenario(deeds=(moved,)))
    planned = plan_of(run)
    saga.faults.set(CrashAfter(call))
    run.settle()
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    assert (rebalance.execution.fence, rebalance.execution.resumes) == (2, 1)
    assert {order.client_order_id for order in run.exchange.submissions} == {id for id, *_ in planned}
    assert plan_of(run) == planned
    assert checked(run) == []


def test_two_messages_of_one_rebalance_do_not_put_it_off_for_each_other(saga: SagaLaboratory) -> None:
    scenario, sends_the_second = SCENARIOS["reversed at the second try"], CrashAfter(23)
    run = saga.settled(scenario, sends_the_second, visibility=20)
    assert saga.faults.calls[23].operation == "SendMessage"
    assert run.clock.now - run.rebalances()[0].created_at < timedelta(minutes=5)
    assert checked(run) == []
