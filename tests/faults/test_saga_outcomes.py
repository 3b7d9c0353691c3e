"""What a portfolio's owner sees of a saga that goes wrong: nothing half done, and a word where a person has to act."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.faults.saga import HELD, Deed, SagaRun, Scenario
from tests.faults.saga_checks import checked, events, violations
from tests.faults.saga_laboratory import SagaLaboratory, saga_laboratory
from tests.faults.saga_scenarios import MOVED, OPERATOR, SALE, SCENARIOS, SLOW, TOO_DEAR, prices, under_way
from tests.support.faults import CrashAfter
from tests.support.trading import refused

BEFORE = {symbol: Decimal(quantity) for symbol, quantity in HELD.items()}
CASH = Decimal(100)


@pytest.fixture(scope="module")
def saga() -> Iterator[SagaLaboratory]:
    """A laboratory for all of them."""
    with saga_laboratory() as fresh:
        yield fresh


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
    refused(run.world.http("POST", f"{run.home}/trades", SALE), 409, "stale")
    more = {"ref_id": "more", "type": "deposit", "amount": "1"}
    refused(run.world.http("POST", f"{run.home}/cash", more), 409, "stale")
    asked = run.world.http("POST", f"{run.home}/rebalances", {}, headers={"Idempotency-Key": "again"})
    refused(asked, 409, "stale")
    assert violations(run) == []


def test_a_stale_portfolio_trades_again_once_an_operator_has_said_what_it_holds(saga: SagaLaboratory) -> None:
    run = saga.settled(SCENARIOS["never reversed"])
    body = {"reason": "AAPL was bought by hand", "holdings": {"AAPL": "40"}, "cash": "100"}
    answer = run.world.http("POST", f"{run.home}/resolve", body, authorizer=OPERATOR)
    assert answer.status == 200, answer.text
    assert (run.statuses(), run.quantities(), run.portfolio().cash) == (("RESOLVED",), BEFORE, CASH)
    assert run.world.http("POST", f"{run.home}/trades", SALE).status == 201


def test_a_client_that_sells_while_the_portfolio_is_locked_is_told_when_to_come_again(saga: SagaLaboratory) -> None:
    def sells(run: SagaRun) -> bool:
        answer = run.world.http("POST", f"{run.home}/trades", SALE)
        refused(answer, 409, "locked")
        return 0 < int(answer.headers["Retry-After"]) <= 60

    run = saga.settled(Scenario(fates={("AAPL", 1): SLOW}, deeds=(Deed(under_way, sells),)))
    assert checked(run) == []
    assert run.world.http("POST", f"{run.home}/trades", SALE).status == 201


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
