"""Dry runs and price triggers over HTTP: equal to the run that follows, and nothing is stored."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.balancing import Balancing
from tests.support.moto_state import stored_items, waiting
from tests.support.system import System, authorized
from tests.support.trading import Account, refused


def dry_run(mine: Balancing, **body: Any) -> Any:
    """Return the answer of a dry run."""
    answer = mine.system.http("POST", f"{mine.account.home}/rebalances", {"dry_run": True, **body})
    assert answer.status == 200, answer.text
    return answer.json


def orders_of(orders: list[Any]) -> list[tuple[str, str, str, str, str]]:
    """Return what the orders of a dry run and of a run have in common."""
    names = ("symbol", "side", "quantity", "price", "limit_price")
    return sorted(tuple(order[name] for name in names) for order in orders)


@pytest.mark.parametrize("mode", ["full", "invest_cash", "sell_only"])
def test_a_run_after_a_dry_run_plans_the_same_orders(mine: Balancing, mode: str) -> None:
    mine.deposit(100, "more")
    mine.quote(AAPL=108)
    mine.settle()
    planned = dry_run(mine, mode=mode)
    body, headers = {"mode": mode}, {"Idempotency-Key": "now"}
    asked = mine.system.http("POST", f"{mine.account.home}/rebalances", body, headers=headers).json
    mine.system.process_checks()
    run = mine.rebalance(asked["rebalance_id"])
    assert run["status"] == "PLANNED"
    assert orders_of(planned["orders"]) == orders_of(run["execution"]["orders"])
    assert planned["skipped"] == run["execution"]["skipped"]
    assert planned["mode"] == mode
    assert planned["reason"]["code"] == "requested"
    mine.settle()
    profits = {item["symbol"]: item["realised_profit"] for item in mine.account.holdings()["items"]}
    assert all(profits[symbol] == profit for symbol, profit in planned["realised_profit"].items())


def test_a_dry_run_tells_weights_and_drift_and_stores_nothing(mine: Balancing) -> None:
    mine.quote(AAPL=108)
    mine.settle()
    before = stored_items()
    found = dry_run(mine)
    assert (stored_items(), waiting(mine.system.checks_url)) == (before, [])
    assert set(found["weights"]) == {"AAPL", "MSFT", "$cash"}
    assert found["weights"]["AAPL"]["target"] == "50.0000"
    assert Decimal(found["drift_after"]) < Decimal(found["drift_before"])
    assert found["within_band_after"] is True
    assert 0 < Decimal(found["valid_while"]) <= Decimal("0.01")
    assert mine.rebalances() == []


def test_a_dry_run_of_a_portfolio_that_cannot_run_is_refused_like_the_run(mine: Balancing) -> None:
    path = f"{mine.account.home}/rebalances"
    body = {"dry_run": True}
    refused(mine.system.http("POST", path, body, authorizer=authorized(user_id="2")), 404, "not_found")
    assert mine.system.http("POST", path, {"dry_run": "yes"}).status == 400
    assert mine.system.http("DELETE", mine.account.home).status == 204
    refused(mine.system.http("POST", path, body), 409, "closed")


def test_a_dry_run_without_quotes_says_so(system: System) -> None:
    empty = Balancing(system, Account(system, system.portfolio("7", {"NEW": 100})))
    found = dry_run(empty)
    assert (found["reason"]["code"], found["orders"], found["valid_while"]) == ("no_quote", [], None)


def test_a_dry_run_with_a_holding_without_a_quote_says_so(mine: Balancing) -> None:
    mine.deposit(500, "more")
    mine.buy("LOST", 50, 10)
    assert dry_run(mine)["reason"]["code"] == "no_quote"


def triggers(mine: Balancing) -> Any:
    """Return the price triggers."""
    answer = mine.system.http("GET", f"{mine.account.home}/triggers")
    assert answer.status == 200, answer.text
    return answer.json


def test_triggers_are_the_prices_at_which_the_portfolio_acts(mine: Balancing) -> None:
    found = triggers(mine)
    assert (found["watched"], found["reason"]["code"]) == (True, "within_band")
    (apple, microsoft) = found["triggers"]
    assert (apple["symbol"], apple["price"], microsoft["symbol"]) == ("AAPL", "100", "MSFT")
    assert Decimal(apple["at_or_below"]) < 100 < Decimal(apple["at_or_above"])
    mine.quote(AAPL=Decimal(apple["at_or_above"]) - Decimal("0.01"))
    mine.settle()
    assert mine.rebalances() == []


def test_a_symbol_without_a_quote_acts_at_any_and_a_manual_portfolio_at_none(mine: Balancing) -> None:
    mine.system.http("PUT", f"{mine.account.home}/allocation", {"allocation": {"AAPL": 50, "MSFT": 30, "NEW": 20}})
    mine.settle()
    new = triggers(mine)["triggers"][-1]
    assert new == {"symbol": "NEW", "price": None, "at_or_below": None, "at_or_above": None, "limit": "no_quote"}
    mine.system.http("PATCH", mine.account.home, {"automation": "manual"})
    assert triggers(mine) | {"portfolio_id": ""} == {
        "portfolio_id": "",
        "watched": False,
        "next_check_at": None,
        "triggers": [],
        "reason": triggers(mine)["reason"],
    }
    assert triggers(mine)["reason"]["code"] == "not_watched"
