"""Price-driven balancing: quotes rebalance the portfolios that left their bands, and no others."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.execution_on_execution_requested import handler as execution_function
from tests.support.balancing import OPERATOR, Balancing, balanced
from tests.support.faults import Crash
from tests.support.many_portfolios import many_portfolios
from tests.support.moto_state import fast_transactions, lose_messages, waiting
from tests.support.system import System, authorized
from tests.support.trading import FEED, Account, refused
from trimtab.portfolios.execution.worker import _ExecutionRun
from trimtab.portfolios.portfolio.policy import Policy


@pytest.fixture
def mine(system: System) -> Iterator[Balancing]:
    """A balanced portfolio."""
    with fast_transactions():
        yield balanced(system)


def rows() -> dict[str, Any]:
    """Return the watches by symbol."""
    items = boto3.client("dynamodb").scan(TableName="watches")["Items"]
    return {item["pk"]["S"].split("#")[1]: item for item in items}


def scenario(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Set the scenario of the paper broker."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    execution_function.execution_worker.cache_clear()


def test_a_price_that_leaves_the_band_is_traded_back_and_posted(mine: Balancing) -> None:
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    assert (rebalance["status"], rebalance["trigger"], rebalance["reason"]["details"]["decided"]) == (
        "COMPLETED",
        "price",
        "outside_band",
    )
    orders = rebalance["execution"]["orders"]
    assert [(each["symbol"], each["side"], each["status"], each["wave"]) for each in orders] == [
        ("AAPL", "SELL", "FILLED", 1),
        ("MSFT", "BUY", "FILLED", 2),
        ("MSFT", "BUY", "FILLED", 11),
    ]
    sold, *bought = (Decimal(each["filled_amount"]) for each in orders)
    assert mine.quantities()["AAPL"] == Decimal("42.857142858")
    assert mine.quantities()["MSFT"] == 50 + sum(Decimal(each["filled_quantity"]) for each in orders[1:])
    assert mine.cash() == sold - sum(bought)
    assert 30 <= mine.cash() <= 31, "the buffer, and less than the minimum trade"
    fills = [trade for trade in mine.account.trades()["items"] if trade["rebalance_id"] == rebalance["rebalance_id"]]
    assert {trade["ref_id"] for trade in fills} == {each["client_order_id"] for each in orders}
    assert (mine.now()["locked_by"], mine.last_check()["reason"]["code"]) == (None, "within_band")


@pytest.mark.parametrize("deposit", [100, 10_000, 1_000_000])
def test_a_second_run_of_a_person_finds_nothing_left_to_invest(system: System, deposit: int) -> None:
    mine = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50})))
    mine.deposit(deposit)
    mine.quote(AAPL=100, MSFT=100)
    first, second = mine.run("r1"), mine.run("r2")
    assert (first["status"], second["status"]) == ("COMPLETED", "NO_ACTION")
    buffer = deposit * Decimal("0.0025")
    assert buffer <= mine.cash() < buffer + 2, "the minimum trade of each of two assets"


def test_a_quote_inside_the_price_bounds_requests_no_check(mine: Balancing) -> None:
    mine.quote(AAPL=101, MSFT=99)
    assert waiting(mine.system.checks_url) == []


def test_any_number_of_crossing_symbols_requests_one_check(mine: Balancing) -> None:
    mine.quote(AAPL=300, MSFT=20)
    assert len(waiting(mine.system.checks_url)) == 1


def test_watches_have_bounds_of_fixed_width_on_both_sides_of_the_price(mine: Balancing) -> None:
    row = rows()["AAPL"]
    lower, upper = (row[f"{name}_bound"]["S"].partition("#")[0] for name in ("lower", "upper"))
    assert Decimal(lower) < 100 < Decimal(upper)
    assert {len(lower), len(upper)} == {22}


def test_a_new_target_is_rebalanced_at_once_even_in_a_cooldown(system: System) -> None:
    mine = balanced(system, policy={"cooldown_seconds": 86_400})
    mine.move(AAPL=140)
    target = {"allocation": {"AAPL": 20, "MSFT": 80}}
    system.http("PUT", f"{mine.account.home}/allocation", target)
    mine.settle()
    assert [(rebalance["trigger"], rebalance["status"]) for rebalance in mine.rebalances()] == [
        ("target", "COMPLETED"),
        ("price", "COMPLETED"),
    ]


def test_a_cooldown_delays_a_rebalance_until_its_end(system: System) -> None:
    mine = balanced(system, policy={"cooldown_seconds": 86_400})
    mine.move(AAPL=140)
    mine.move(AAPL=200)
    assert (len(mine.rebalances()), mine.last_check()["reason"]["code"]) == (1, "cooldown")
    (portfolio,) = (item for item in system.items() if item["sk"]["S"] == "PORTFOLIO")
    assert portfolio["calendar_due_sk"]["S"] == portfolio["retry_at"]["S"]


def test_a_deposit_or_a_trade_alone_rebalances_nothing_until_a_quote_comes(mine: Balancing) -> None:
    mine.deposit(5_000, "more")
    mine.settle()
    assert (mine.rebalances(), mine.last_check()["reason"]["code"]) == ([], "awaiting_quote")
    mine.move(AAPL=100)
    assert [(rebalance["status"], rebalance["trigger"]) for rebalance in mine.rebalances()] == [("COMPLETED", "price")]


def test_a_quote_after_a_trade_decides_where_the_evaluation_of_the_trade_comes_late(mine: Balancing) -> None:
    mine.deposit(200, "more")
    mine.quote(AAPL=140)  # 57.85 % and 41.32 %, before anything has evaluated the deposit
    mine.settle()
    assert [(rebalance["status"], rebalance["trigger"]) for rebalance in mine.rebalances()] == [("COMPLETED", "price")]


def test_a_portfolio_that_is_created_traded_and_quoted_at_once_is_rebalanced(system: System) -> None:
    new = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50})))
    new.deposit(10_000)
    new.buy("AAPL", 80, 100)  # 80 % AAPL, no MSFT, 20 % cash
    new.quote(AAPL=100, MSFT=100)
    new.settle()
    assert [(rebalance["status"], rebalance["trigger"]) for rebalance in new.rebalances()] == [("COMPLETED", "price")]
    assert new.quantities()["AAPL"] == 50


@pytest.mark.parametrize("change", [{"automation": "manual"}, None])
def test_manual_and_closed_portfolios_have_no_watches(mine: Balancing, change: Any) -> None:
    mine.system.http("PATCH" if change else "DELETE", mine.account.home, change)
    mine.settle()
    assert rows() == {}
    mine.move(AAPL=300)
    assert mine.rebalances() == []


def test_a_symbol_that_leaves_the_target_loses_its_watch(mine: Balancing) -> None:
    mine.system.http("PUT", f"{mine.account.home}/allocation", {"allocation": {"AAPL": 50, "MSFT": 30, "NEW": 20}})
    mine.settle()
    assert (set(rows()), mine.last_check()["reason"]["code"]) == ({"AAPL", "MSFT", "NEW"}, "within_band")
    assert (mine.last_check()["reason"]["details"]["limits"], mine.rebalances()) == ({"NEW": "no_quote"}, [])
    mine.system.http("PUT", f"{mine.account.home}/allocation", {"allocation": {"AAPL": 50, "MSFT": 50}})
    mine.settle()
    assert set(rows()) == {"AAPL", "MSFT"}


def test_a_symbol_without_a_quote_waits_for_any_and_then_is_bought(mine: Balancing) -> None:
    mine.system.http("PUT", f"{mine.account.home}/allocation", {"allocation": {"AAPL": 50, "MSFT": 30, "NEW": 20}})
    mine.settle()
    mine.move(NEW=7)
    assert mine.rebalances()[0]["status"] == "COMPLETED"
    assert mine.quantities()["NEW"] > 0


@pytest.mark.parametrize(
    ("mode", "sides"), [("invest_cash", {"BUY"}), ("sell_only", {"SELL"}), ("full", {"BUY", "SELL"})]
)
def test_a_person_runs_a_rebalance_in_a_chosen_mode(mine: Balancing, mode: str, sides: set[str]) -> None:
    mine.deposit(300, "more")
    mine.move(AAPL=108)
    rebalance = mine.run("r1", mode=mode)
    assert (rebalance["status"], rebalance["trigger"], rebalance["mode"]) == ("COMPLETED", "manual", mode)
    assert {order["side"] for order in rebalance["execution"]["orders"]} == sides
    assert mine.run("r1", mode=mode) == rebalance, "a repeated request is the same rebalance"
    again = {"mode": "full" if mode != "full" else "sell_only", "request_id": "r1"}
    refused(mine.system.http("POST", f"{mine.account.home}/rebalances", again), 409, "request_id_reused")


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
    mine.deposit(10_000)
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
    counted: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        if line.startswith('{"_aws"'):
            written = json.loads(line)
            for metric in written["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                counted[metric["Name"]] += sum(written[metric["Name"]])
    wanted = {"ExecutionsResumed": 1, "Compensations": 1, "CompensationFailures": 3, "StalePortfolios": 1}
    assert {name: counted[name] for name in wanted} == wanted


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


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_two_hundred_random_price_changes_leave_the_portfolio_in_its_band_or_say_why(mine: Balancing) -> None:
    steps, price = random.Random(7), {"AAPL": 100.0, "MSFT": 100.0}  # noqa: S311 - a walk, no secret
    for _ in range(200):
        symbol = steps.choice(sorted(price))
        price[symbol] *= steps.uniform(0.93, 1.08)
        mine.move(**{symbol: round(price[symbol], 4)})
        assert mine.last_check()["reason"]["code"] in {"within_band", "nothing_to_trade"}
    assert {rebalance["status"] for rebalance in mine.rebalances()} == {"COMPLETED"}
    held, cash = mine.quantities(), mine.cash()
    bought = {row["symbol"]: Decimal(row["market_value"]) for row in mine.account.holdings()["items"]}
    total = sum(bought.values()) + cash
    assert all(abs(value / total * 100 - 50) <= 5 for value in bought.values())
    assert cash >= 0
    assert all(quantity > 0 for quantity in held.values())
