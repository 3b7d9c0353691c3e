"""Executions that fail, wait, or need an operator: reversals, resolutions, halts, cancellations and lost messages."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.execution_on_execution_requested import handler as execution_function
from tests.support.balancing import OPERATOR, Balancing, balanced
from tests.support.faults import Crash
from tests.support.logged_metrics import logged_metrics
from tests.support.many_portfolios import many_portfolios
from tests.support.moto_state import fast_transactions, lose_messages
from tests.support.system import System, authorized
from tests.support.trading import FEED, Account, refused
from trimtab.portfolios.execution.worker import _ExecutionRun
from trimtab.portfolios.portfolio.policy import Policy


def scenario(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Set the scenario of the paper broker."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    execution_function.execution_worker.cache_clear()


def test_a_refused_order_reverses_the_fills(mine: Balancing, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario(monkeypatch, {"match": {"symbol": "MSFT", "nth": 1}, "refuse": "not today"})
    before, cash = mine.quantities(), mine.cash()
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    assert (rebalance["status"], rebalance["reason"]["code"]) == ("ROLLED_BACK", "order_refused")
    assert (mine.quantities(), mine.cash()) == (before, cash)
    assert mine.now()["locked_by"] is None


def nothing_can_be_reversed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse one order, and then the reversals of the other."""
    scenario(
        monkeypatch,
        {"match": {"symbol": "MSFT"}, "refuse": "not today"},
        {"match": {"symbol": "AAPL", "side": "BUY"}, "refuse": "halted"},
    )
    monkeypatch.setenv("REVERSAL_SECONDS", "0")


def test_a_reversal_that_fails_three_times_makes_the_portfolio_stale_until_it_is_resolved(
    mine: Balancing, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_can_be_reversed(monkeypatch)
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    assert (rebalance["status"], mine.now()["status"], rebalance["execution"]["reversal_waves"]) == (
        "STALE",
        "STALE",
        3,
    )
    trade = {"ref_id": "x", "side": "SELL", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "amount": 1}
    refused(mine.account.post_trade(trade), 409, "stale")
    body = {"reason": "The broker says so.", "holdings": {"AAPL": "42", "MSFT": "50"}, "cash": "1100.00"}
    refused(mine.system.http("POST", f"{mine.account.home}/resolve", body), 403, "insufficient_scope")
    resolved = mine.system.http("POST", f"{mine.account.home}/resolve", body, authorizer=OPERATOR)
    assert (resolved.status, resolved.json["status"]) == (200, "ACTIVE"), resolved.text
    assert (mine.quantities(), mine.cash()) == ({"AAPL": Decimal(42), "MSFT": Decimal(50)}, Decimal(1100))
    audit = mine.rebalance(rebalance["rebalance_id"])
    assert (audit["status"], audit["resolution"]["reason"]) == ("RESOLVED", "The broker says so.")
    assert mine.account.post_trade(trade).status == 201


def test_a_resolution_after_a_split_is_compared_with_the_holding_after_the_split(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = ({"match": {"symbol": "MSFT"}, "refuse": "not today"}, {"match": {"side": "BUY"}, "refuse": "halted"})
    scenario(monkeypatch, *refusals)
    monkeypatch.setenv("REVERSAL_SECONDS", "0")
    mine = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50})))
    mine.account.cash("deposit", "deposit", 10_000, at=-1826)  # in January 2019, as the buys
    for symbol, quantity, price in (("AAPL", 50, 100), ("MSFT", 25, 200)):
        trade = {"ref_id": symbol, "side": "BUY", "security_type": "stock", "symbol": symbol, "quantity": quantity}
        old = mine.account.post_trade({**trade, "price": price, "executed_at": "2019-01-02T15:00:00Z"})
        assert old.status == 201, old.text
    split = system.http("PUT", "/assets/MSFT/splits/2020-08-31", {"ratio": 4}, authorizer=FEED)
    assert split.status == 200, split.text
    mine.move(AAPL=100, MSFT=50)
    with fast_transactions():
        mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    assert (rebalance["status"], mine.quantities()["MSFT"]) == ("STALE", Decimal(100))
    body = {"reason": "Twenty more were bought by hand.", "holdings": {"MSFT": "120"}}
    resolved = system.http("POST", f"{mine.account.home}/resolve", body, authorizer=OPERATOR)
    assert resolved.status == 200, resolved.text
    (adjustment, _) = system.http("GET", f"{mine.account.home}/trades", query={"symbol": "MSFT"}).json["items"]
    told = (adjustment["side"], Decimal(adjustment["quantity"]), Decimal(adjustment["amount"]))
    assert told == ("BUY", Decimal(20), Decimal(1000)), "at the average cost of now"
    assert mine.quantities()["MSFT"] == 120
    assert mine.rebalance(rebalance["rebalance_id"])["resolution"]["holdings"] == {"MSFT": ["100", "120"]}


def test_more_fills_than_fit_into_a_transaction_are_posted_in_several(system: System) -> None:
    with many_portfolios(system, {f"S{number:03}": Decimal(100) for number in range(112)}) as market:
        portfolio = market.join(dict.fromkeys(market.prices, 1), Policy(), Decimal(1_000_000), Decimal(5_000))
        system.http("PUT", f"/portfolios/{portfolio.portfolio_id}/allocation", {"allocation": {"S000": 50, "S001": 50}})
        market.settle()
        done, after = market.newest(), market.portfolio()
    assert done is not None
    assert done.execution is not None
    orders = done.execution.orders
    assert (done.status, len(orders), sum(each.is_posted for each in orders)) == ("COMPLETED", 116, 116)
    assert sum(item["sk"]["S"].startswith("TRADE#") for item in system.items()) == 116
    moved = sum((each.amount if each.side == "SELL" else -each.amount for each in orders), Decimal(5_000))
    assert (after.cash, after.lock) == (moved, None)


def test_commissions_are_planned_and_never_overdraw(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 with a commission of 1.00 an order: two orders ended STALE at -0.76 while commissions were unknown."""
    scenario(monkeypatch, {"fee": "1.00"})
    check_function.price_checker.cache_clear()
    mine = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50})))
    mine.deposit(100)
    mine.quote(AAPL=100, MSFT=100)
    rebalance = mine.run("r1", mode="invest_cash")
    orders = rebalance["execution"]["orders"]
    assert (rebalance["status"], [each["fees"] for each in orders]) == ("COMPLETED", ["1.00"] * 2)
    spent = sum((Decimal(each["filled_amount"]) for each in orders), Decimal("2.00"))
    assert Decimal("0.25") <= mine.cash() == 100 - spent < 2
    assert [entry["status"] for entry in rebalance["history"]] == ["REQUESTED", "PLANNED", "EXECUTING", "COMPLETED"]
    assert all(each["sent_at"] <= each["filled_at"] for each in orders)
    check_function.price_checker.cache_clear()


def test_fills_whose_fees_exceed_the_cash_are_posted_and_resolved_by_an_operator(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario(monkeypatch, *({"match": {"symbol": symbol}, "fee": "0.70"} for symbol in ("AAPL", "MSFT")))
    mine = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50})))
    mine.deposit(100)
    mine.quote(AAPL=100, MSFT=100)
    rebalance = mine.run("r1", mode="invest_cash")
    orders = rebalance["execution"]["orders"]
    assert [(each["status"], each["is_posted"]) for each in orders] == [("FILLED", True)] * 2
    left = 100 - sum((Decimal(each["filled_amount"]) for each in orders), Decimal("1.40"))
    assert left < 0
    assert (rebalance["status"], mine.now()["status"], mine.cash()) == ("STALE", "STALE", left)
    assert mine.quantities() == {each["symbol"]: Decimal(each["filled_quantity"]) for each in orders}
    assert str(left) in rebalance["reason"]["message"]
    resolve = f"{mine.account.home}/resolve"
    found = {"reason": "seen there", "holdings": {"AAPL": "0.5"}}
    unsaid = mine.system.http("POST", resolve, found, authorizer=OPERATOR)
    refused(unsaid, 422, "insufficient_cash")
    assert mine.system.http("POST", resolve, {**found, "cash": "0"}, authorizer=OPERATOR).status == 200
    assert (mine.now()["status"], mine.cash(), mine.quantities()["AAPL"]) == ("ACTIVE", Decimal(0), Decimal("0.5"))


def test_metrics_of_operators_are_counted(
    mine: Balancing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_can_be_reversed(monkeypatch)
    mine.quote(AAPL=140)
    mine.system.process_checks()
    names = ("demo", mine.now()["portfolio_id"], mine.rebalances()[0]["rebalance_id"])
    with monkeypatch.context() as patch:
        patch.setattr(_ExecutionRun, "advance", mock.Mock(side_effect=Crash))
        patch.setenv("LEASE_SECONDS", "-1")
        with pytest.raises(Crash):
            execution_function.execution_worker().run(*names)
    execution_function.execution_worker.cache_clear()
    mine.settle()
    counted = logged_metrics(capsys.readouterr().out)
    wanted = {"ExecutionsResumed": 1, "Compensations": 1, "CompensationFailures": 3, "StalePortfolios": 1}
    assert {name: sum(counted[name]) for name in wanted} == wanted


def test_orders_are_halted_and_sent_again_afterwards(mine: Balancing) -> None:
    body = {"scope": "tenant", "reason": "The feed looks wrong."}
    assert mine.system.http("PUT", "/halt", body).status == 403
    assert mine.system.http("PUT", "/halt", body, authorizer=OPERATOR).status == 200
    all_tenants = {**body, "scope": "all_tenants"}
    assert mine.system.http("PUT", "/halt", all_tenants, authorizer=OPERATOR).status == 403, "that is for the platform"
    mine.move(AAPL=140)
    assert (mine.rebalances(), mine.last_check()["reason"]["code"]) == ([], "halted")
    assert mine.system.http("DELETE", "/halt", authorizer=OPERATOR).status == 204
    mine.move(AAPL=150)
    assert [rebalance["status"] for rebalance in mine.rebalances()] == ["COMPLETED"]


def test_a_planned_rebalance_locks_out_sells_and_is_cancelled_before_anything_is_sent(mine: Balancing) -> None:
    mine.quote(AAPL=140)
    mine.system.process_checks()
    (rebalance,) = mine.rebalances()
    assert rebalance["status"] == "PLANNED"
    refused(mine.account.record("s", "SELL", 1, 100), 409, "locked")
    mine.deposit(10, "while-locked")
    path = f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}/cancel"
    assert [mine.system.http("POST", path).json["status"] for _ in range(2)] == ["CANCELLED", "CANCELLED"]
    mine.settle()
    assert (mine.quantities(), mine.now()["locked_by"]) == ({"AAPL": Decimal(50), "MSFT": Decimal(50)}, None)


def test_a_cancel_before_anything_was_filled_starts_no_cooldown(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = balanced(system, policy={"on_cancel": "keep", "cooldown_seconds": 86_400})
    scenario(monkeypatch, {"match": {"nth": 1}, "latency_seconds": 3_600})
    mine.quote(AAPL=140)
    mine.system.process_checks()
    mine.system.process_executions()
    (rebalance,) = mine.rebalances()
    assert system.http("POST", f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}/cancel").status == 200
    mine.settle()
    (rebalance,) = mine.rebalances()
    orders = [(each["status"], Decimal(each["filled_quantity"])) for each in rebalance["execution"]["orders"]]
    assert (rebalance["status"], orders) == ("COMPLETED_ADJUSTED", [("ENDED", Decimal(0)), ("SKIPPED", Decimal(0))])
    scenario(monkeypatch)
    mine.move(AAPL=170)
    assert [each["status"] for each in mine.rebalances()] == ["COMPLETED", "COMPLETED_ADJUSTED"]


def test_a_planned_rebalance_whose_message_is_lost_is_sent_again(
    mine: Balancing, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.quote(AAPL=140)
    mine.system.process_checks()
    lose_messages()
    mine.settle()
    assert ([rebalance["status"] for rebalance in mine.rebalances()], mine.system.run_sweeper()["resent"]) == (
        ["PLANNED"],
        0,
    )
    monkeypatch.setattr(sweep_function, "utc_now", lambda: datetime.now(UTC) + timedelta(minutes=5))
    sweep_function.sweeper.cache_clear()
    assert mine.system.run_sweeper() == {"resent": 1, "stuck": 0, "cancelled": 0, "due": 0}
    mine.settle()
    assert ([rebalance["status"] for rebalance in mine.rebalances()], mine.now()["locked_by"]) == (["COMPLETED"], None)


def test_another_tenant_can_change_nothing(mine: Balancing) -> None:
    mine.move(AAPL=140)
    home, id = mine.account.home, mine.rebalances()[0]["rebalance_id"]
    scopes = "operator portfolios:read portfolios:write"
    stranger = {"authorizer": authorized(tenant_id="acme", scope=scopes)}
    for method, path, body in (
        ("POST", "/rebalances", {}),
        ("POST", f"/rebalances/{id}/cancel", None),
        ("POST", "/resolve", {"reason": "mine now"}),
        ("GET", "/checks/last", None),
        ("GET", "/broker", None),
    ):
        assert mine.system.http(method, home + path, body, **stranger).status == 404, path
