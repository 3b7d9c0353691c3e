"""Executions at a broker that trades in sessions only: they wait for the open, and nothing is rolled back meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.execution.invariants import violations
from tests.faults.execution.scenario_run import HELD, Scenario, ScenarioRun
from tests.faults.execution.scenario_runner import ScenarioRunner, scenario_runner
from tests.faults.execution.scripted_broker import OrderScript, OrderScripts
from tests.support.trading import FEED
from trimtab.portfolios.rebalancing.journal import BUYS, FIRST_TOP_UP, Execution

CLOSE, OPEN = datetime(2026, 3, 2, 21, tzinfo=UTC), datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
SLOW = OrderScript(looks=2)


@pytest.fixture(scope="module")
def runner() -> Iterator[ScenarioRunner]:
    """One runner for all tests."""
    with scenario_runner() as fresh:
        yield fresh


def before_close(runner: ScenarioRunner, scripts: OrderScripts, *ends: str) -> ScenarioRun:
    """Return a run that begins two seconds before the close of the exchange of all assets."""
    run = runner.start(Scenario(ends or ("COMPLETED",), scripts, from_quote=True, by_session=True))
    for symbol in HELD:
        asset = {"name": symbol, "exchange": "XNYS"}
        assert run.system.http("PUT", f"/assets/{symbol}", asset, authorizer=FEED).status == 200
    run.clock.now = CLOSE - timedelta(seconds=2)
    return run


def step_until_closed(run: ScenarioRun) -> Execution:
    """Advance the run until its execution waits for the open, and return the journal."""
    for _ in range(80):
        run.step()
        executions = [rebalance.execution for rebalance in run.rebalances()]
        if executions and executions[0] and executions[0].waits_for == "market_closed":
            return executions[0]
    raise AssertionError(run.statuses())


def settle_after_open(run: ScenarioRun) -> list[str]:
    """Let the exchange open, run to the end, and return the violations of the invariants."""
    run.clock.now = OPEN
    return violations(run.settle())


def test_buys_wait_for_the_open_when_the_exchange_closes_after_the_sells(runner: ScenarioRunner) -> None:
    run = before_close(runner, {("AAPL", 1): SLOW})
    waiting = step_until_closed(run)
    assert (run.statuses(), waiting.wave, waiting.wake_at) == (("EXECUTING",), 1, OPEN)
    assert waiting.deadline == OPEN + timedelta(hours=1)
    assert [order.symbol for order in run.broker.submissions] == ["AAPL", "MSFT"]
    view = run.system.http("GET", f"{run.home}/rebalances/{run.rebalances()[0].rebalance_id}").json["execution"]
    assert (view["waits_for"], view["next_poll_at"]) == ("market_closed", "2026-03-03T14:30:00.000000Z")
    assert settle_after_open(run) == []


def test_reversals_wait_for_the_open(runner: ScenarioRunner) -> None:
    run = before_close(runner, {("NVDA", 1): OrderScript(looks=99)}, "ROLLED_BACK")
    waiting = step_until_closed(run)
    assert (run.statuses(), waiting.wave, waiting.wake_at) == (("COMPENSATING",), BUYS, OPEN)
    assert settle_after_open(run) == []


def test_a_rebalance_that_sent_nothing_before_the_close_is_cancelled(runner: ScenarioRunner) -> None:
    run = before_close(runner, {})
    while not run.rebalances():
        run.step()
    run.clock.now = CLOSE
    while run.rebalances()[0].is_open:
        run.step()
    (rebalance,) = run.rebalances()
    assert (rebalance.status, rebalance.reason and rebalance.reason.code) == ("CANCELLED", "market_closed")
    assert (run.broker.submissions, run.portfolio().lock) == ([], None)


def test_an_order_that_never_arrived_is_sent_again_at_the_open_and_not_before(runner: ScenarioRunner) -> None:
    run = before_close(runner, {("AAPL", 1): OrderScript(time_out="before")})
    while not run.broker.submissions:
        run.step()
    run.clock.now = CLOSE
    waiting = step_until_closed(run)
    assert waiting.wake_at == OPEN
    assert [order.symbol for order in run.broker.submissions] == ["AAPL", "MSFT"]
    assert settle_after_open(run) == []
    assert [order.symbol for order in run.broker.submissions][:3] == ["AAPL", "MSFT", "AAPL"]


def test_the_plan_is_complete_without_a_top_up_that_would_have_to_wait(runner: ScenarioRunner) -> None:
    run = before_close(runner, {("NVDA", 1): SLOW})
    run.settle()
    assert violations(run) == []
    (rebalance,) = run.rebalances()
    assert rebalance.execution is not None
    top_ups = [order.status.value for order in rebalance.execution.orders if order.wave >= FIRST_TOP_UP]
    assert (rebalance.updated_at < OPEN, top_ups) == (True, ["SKIPPED"])


def test_a_cancellation_takes_effect_while_the_exchange_is_closed(runner: ScenarioRunner) -> None:
    run = before_close(runner, {("AAPL", 1): SLOW}, "ROLLED_BACK")
    step_until_closed(run)
    cancel = f"{run.home}/rebalances/{run.rebalances()[0].rebalance_id}/cancel"
    assert run.system.http("POST", cancel).status == 200
    waiting = step_until_closed(run)
    assert run.statuses() == ("COMPENSATING",) or waiting.is_cancelled
    assert settle_after_open(run) == []
