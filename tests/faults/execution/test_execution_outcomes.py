"""Failed executions as the portfolio's owner sees them: nothing half done, and an alert where a person has to act."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from unittest import mock

import pytest

from tests.faults.execution.invariants import checked, events, violations
from tests.faults.execution.scenario_run import HELD, Scenario, ScenarioAction, ScenarioRun
from tests.faults.execution.scenario_runner import ScenarioRunner, scenario_runner
from tests.faults.execution.scenarios import (
    DEARER,
    DEARER_AND_KEPT,
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
from tests.faults.execution.scripted_broker import OrderScript
from tests.support.faults import CrashAfter, CrashBefore, Fault
from tests.support.trading import refused
from trimtab.kernel.money import plain
from trimtab.portfolios.execution.broker import OrderNotSent, OutcomeUnknown
from trimtab.portfolios.execution.worker import _ExecutionRun
from trimtab.portfolios.rebalancing.journal import FIRST_TOP_UP
from trimtab.portfolios.rebalancing.orders import Order

BEFORE = {symbol: Decimal(quantity) for symbol, quantity in HELD.items()}
CASH = Decimal(100)
NEVER = OrderScript(time_out="before", times=99)
TOO_LATE = Scenario(STALE, actions=(ScenarioAction(under_way, seven_hours_pass),))


@pytest.fixture(scope="module")
def runner() -> Iterator[ScenarioRunner]:
    """One runner for all tests."""
    with scenario_runner() as fresh:
        yield fresh


def explained(run: ScenarioRun) -> str:
    """Return the sentence that explains the end of the first rebalance."""
    reason = run.rebalances()[0].reason
    assert reason is not None
    return reason.message


def orders_of(run: ScenarioRun) -> tuple[Order, ...]:
    """Return the orders of the first rebalance."""
    execution = run.rebalances()[0].execution
    assert execution is not None
    return execution.orders


def plan_of(run: ScenarioRun) -> list[tuple[str, ...]]:
    """Return the planned orders without their quantities, because a buy is cut to the proceeds of the sells."""
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    return [
        (order.client_order_id, order.symbol, order.side, str(order.price), str(order.limit_price))
        for order in rebalance.execution.orders
        if not order.reverses and order.wave < FIRST_TOP_UP
    ]


def test_after_a_partial_failure_holdings_and_cash_are_as_before(runner: ScenarioRunner) -> None:
    run = runner.settled(SCENARIOS["the buy refused"])
    assert (run.statuses(), run.quantities(), run.portfolio().cash) == (("ROLLED_BACK",), BEFORE, CASH)
    assert len(run.fills()) == 4, "two were sold and bought back"


def test_after_a_reversal_at_other_prices_the_cash_differs_by_the_price_difference(runner: ScenarioRunner) -> None:
    run = runner.settled(MOVED)
    assert (run.statuses(), run.quantities()) == (("ROLLED_BACK",), BEFORE)
    cost = Decimal("3.6") * 1 + Decimal("3.15") * 2
    assert run.portfolio().cash == CASH - cost
    assert checked(run) == []


def test_cash_that_does_not_pay_for_all_of_a_reversal_buys_back_a_part_where_the_policy_keeps_parts(
    runner: ScenarioRunner,
) -> None:
    run = runner.settled(DEARER_AND_KEPT)
    assert checked(run) == []
    # 3.6 AAPL and 3.15 MSFT were sold for 675.00; to buy them back costs 780.30, and 22.75 is the cash buffer
    share = (Decimal(775) - Decimal("22.75")) / Decimal("780.30")
    held = run.quantities()
    assert held["AAPL"] == pytest.approx(BEFORE["AAPL"] - Decimal("3.6") * (1 - share), abs=Decimal("0.001"))
    assert held["MSFT"] == pytest.approx(BEFORE["MSFT"] - Decimal("3.15") * (1 - share), abs=Decimal("0.001"))
    missing = ", ".join(f"{plain(BEFORE[name] - held[name])} {name}" for name in ("AAPL", "MSFT"))
    assert explained(run).endswith(f"Not bought back, because the cash did not pay for it: {missing}.")
    assert not run.portfolio().lock


@pytest.mark.parametrize("crash", [CrashBefore, CrashAfter])
def test_a_crash_while_a_part_is_bought_back_loses_nothing_and_doubles_nothing(
    runner: ScenarioRunner, crash: type[Fault]
) -> None:
    for call in range(0, 60, 4):
        fault = crash(call)
        run = runner.settled(DEARER_AND_KEPT, fault)
        assert runner.faults.met == [fault]
        # a price that moves after the reversals were sized, and before they are sent, can overdraw the cash
        assert checked(run, ("ROLLED_BACK",), STALE) == [], call


@pytest.mark.parametrize(
    "scenario",
    [SCENARIOS["never reversed"], SCENARIOS["never an answer"], DEARER, TOO_DEAR],
    ids=["refused", "unknown", "a little dearer", "far dearer"],
)
def test_a_failed_reversal_makes_the_portfolio_stale_with_one_alert_and_refuses_trades(
    runner: ScenarioRunner, scenario: Scenario
) -> None:
    run = runner.settled(scenario)
    assert [type for type, _ in events() if "stale" in type] == ["portfolio.stale"]
    refused(run.system.http("POST", f"{run.home}/trades", SALE), 409, "stale")
    more = {"ref_id": "more", "type": "deposit", "amount": "1"}
    refused(run.system.http("POST", f"{run.home}/cash", more), 409, "stale")
    asked = run.system.http("POST", f"{run.home}/rebalances", {}, headers={"Idempotency-Key": "again"})
    refused(asked, 409, "stale")
    assert violations(run) == []


def test_a_stale_portfolio_trades_again_once_an_operator_has_resolved_it(runner: ScenarioRunner) -> None:
    run = runner.settled(SCENARIOS["never reversed"])
    body = {"reason": "AAPL was bought by hand", "holdings": {"AAPL": "40"}, "cash": "100"}
    answer = run.system.http("POST", f"{run.home}/resolve", body, authorizer=OPERATOR)
    assert answer.status == 200, answer.text
    assert (run.statuses(), run.quantities(), run.portfolio().cash) == (("RESOLVED",), BEFORE, CASH)
    assert run.system.http("POST", f"{run.home}/trades", SALE).status == 201


def test_a_broker_that_raises_until_the_deadline_makes_the_portfolio_stale(runner: ScenarioRunner) -> None:
    def fails() -> None:
        raise ValueError

    run = runner.start(TOO_LATE)
    run.broker.before_answer = fails
    run.settle()
    assert violations(run) == []
    assert "The deadline passed" in explained(run)


def test_reports_on_other_orders_are_kept_where_one_look_up_fails(runner: ScenarioRunner) -> None:
    run = runner.settled(Scenario(STALE, {("AAPL", 1): OrderScript(time_out="before", times=99, error=ValueError)}))
    assert checked(run) == []
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    assert [(order.symbol, order.status, order.attempts, order.reason) for order in rebalance.execution.current] == [
        ("AAPL", "SENT", 8, "ValueError"),
        ("MSFT", "FILLED", 1, None),
    ]


@pytest.mark.parametrize(
    "script",
    [OrderScript(), OrderScript(time_out="after"), OrderScript(time_out="before", times=20, error=OrderNotSent)],
)
def test_a_broker_that_is_unreachable_for_a_while_delays_a_rebalance_and_does_not_end_it(
    runner: ScenarioRunner, script: OrderScript
) -> None:
    run = runner.start(Scenario(scripts={("AAPL", 1): script}))
    began = run.clock.now

    def fails() -> None:
        if 1 < (run.clock.now - began).total_seconds() < 900:
            raise OutcomeUnknown("no connection")

    run.broker.before_answer = fails if script.error is OutcomeUnknown else lambda: None
    run.clock.wait(0 if script.time_out else 2)
    run.settle()
    assert checked(run) == []
    assert run.rebalances()[0].updated_at - began > timedelta(minutes=10)
    assert {order.attempts for order in orders_of(run)} <= {1, 2}


def test_before_a_rebalance_is_given_up_its_open_orders_are_cancelled_and_posted(runner: ScenarioRunner) -> None:
    run = runner.settled(Scenario(STALE, {("AAPL", 1): NEVER, ("MSFT", 1): HALF_AND_OPEN}))
    assert checked(run) == []
    assert [(order.symbol, order.status, order.is_posted) for order in orders_of(run)] == [
        ("AAPL", "SENT", False),
        ("MSFT", "ENDED", True),
        ("NVDA", "PLANNED", False),
    ]
    assert run.quantities()["MSFT"] < BEFORE["MSFT"]
    assert explained(run) == "The broker does not confirm or deny the orders for AAPL."


def test_orders_still_open_when_a_rebalance_is_given_up_are_named_and_not_posted(runner: ScenarioRunner) -> None:
    run = runner.start(Scenario(STALE, {("AAPL", 1): NEVER, ("MSFT", 1): HALF_AND_OPEN}))
    with mock.patch.object(run.broker, "cancel"):
        run.settle()
    (unknown, still_open, _) = orders_of(run)
    assert (run.statuses(), unknown.attempts, still_open.status, still_open.is_posted) == (STALE, 10, "OPEN", False)
    filled = f"MSFT ({plain(still_open.filled)} of {plain(still_open.quantity)} filled)"
    assert explained(run).endswith(f"for AAPL; still open at the broker, and not posted: {filled}.")
    assert run.quantities() == BEFORE


def test_a_worker_that_never_progresses_beyond_its_lease_is_reported(runner: ScenarioRunner) -> None:
    run = runner.start(SCENARIOS["message lost"])
    with mock.patch.object(_ExecutionRun, "advance", side_effect=RuntimeError):
        for _ in range(20):
            run.step()
            run.waiting = [message for message in run.waiting if not message.received]  # the others are dead-lettered
    assert [type for type, _ in events() if "stuck" in type] == ["rebalance.stuck"]


def test_a_client_that_sells_while_the_portfolio_is_locked_gets_retry_after(runner: ScenarioRunner) -> None:
    def sells(run: ScenarioRun) -> bool:
        answer = run.system.http("POST", f"{run.home}/trades", SALE)
        refused(answer, 409, "locked")
        return 0 < int(answer.headers["Retry-After"]) <= 60

    run = runner.settled(Scenario(scripts={("AAPL", 1): SLOW}, actions=(ScenarioAction(under_way, sells),)))
    assert checked(run) == []
    assert run.system.http("POST", f"{run.home}/trades", SALE).status == 201


@pytest.mark.parametrize("call", range(2, 12))
def test_after_the_lease_has_expired_a_rebalance_is_resumed_and_never_replanned(
    runner: ScenarioRunner, call: int
) -> None:
    moved = ScenarioAction(lambda run: bool(run.runner.faults.met), prices(AAPL="101", MSFT="99", NVDA="60.5"))
    run = runner.start(Scenario(actions=(moved,)))
    planned = plan_of(run)
    runner.faults.set(CrashAfter(call))
    run.settle()
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    assert (rebalance.execution.fence, rebalance.execution.resumes) == (2, 1)
    assert {order.client_order_id for order in run.broker.submissions} == {
        order.client_order_id for order in orders_of(run)
    }
    assert plan_of(run) == planned
    assert checked(run) == []


def test_two_messages_for_one_rebalance_do_not_postpone_each_other(runner: ScenarioRunner) -> None:
    scenario, sends_the_second = SCENARIOS["reversed at the second try"], CrashAfter(23)
    run = runner.settled(scenario, sends_the_second, visibility=20)
    assert runner.faults.calls[23].operation == "SendMessage"
    assert run.clock.now - run.rebalances()[0].created_at < timedelta(minutes=5)
    assert checked(run) == []
