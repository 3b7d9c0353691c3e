"""Price-driven balancing: quotes rebalance the portfolios that left their bands, and no others."""

import random
from decimal import Decimal
from typing import Any

import boto3
import pytest

from tests.support.balancing import Balancing, balanced
from tests.support.moto_state import waiting
from tests.support.system import System
from tests.support.trading import Account, refused


def rows() -> dict[str, Any]:
    """Return the watches by symbol."""
    items = boto3.client("dynamodb").scan(TableName="watches")["Items"]
    return {item["pk"]["S"].split("#")[1]: item for item in items}


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
