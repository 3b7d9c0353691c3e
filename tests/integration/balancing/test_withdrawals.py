"""Withdrawals that raise their cash: sells first, one payout, and nothing is sold for what cannot be paid."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from functions.execution_on_execution_requested import handler as execution_function
from tests.support.balancing import OPERATOR
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import waiting
from tests.support.system import Answer, System
from tests.support.trading import refused
from trimtab.portfolios.portfolio.policy import Policy


@pytest.fixture
def market(system: System) -> Iterator[ManyPortfolios]:
    """A market of two symbols at 100 with a watched portfolio of 5,000 in each and 50 in cash."""
    with many_portfolios(system, {"A": Decimal(100), "B": Decimal(100)}) as market:
        market.join({"A": 50, "B": 50}, Policy(), Decimal(10_000), Decimal(50))
        market.settle()
        yield market


def refuse(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Set the scenario of the paper broker."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    execution_function.execution_worker.cache_clear()


def home(market: ManyPortfolios) -> str:
    """Return the path of the portfolio."""
    return f"/portfolios/{market.portfolios[0].portfolio_id}"


def withdraw(market: ManyPortfolios, amount: str, request_id: str = "w-1") -> Answer:
    """Request a withdrawal."""
    headers = {"Idempotency-Key": request_id}
    return market.system.http("POST", f"{home(market)}/withdrawals", {"amount": amount}, headers=headers)


def outcome(market: ManyPortfolios, asked: Answer) -> Any:
    """Settle, and return the view of the rebalance of a withdrawal."""
    assert asked.status == 202, asked.text
    market.settle()
    return market.system.http("GET", asked.json["links"]["self"]).json


def entries(market: ManyPortfolios) -> list[Any]:
    """Return the cash entries of the portfolio."""
    found: list[Any] = market.system.http("GET", f"{home(market)}/cash").json["items"]
    return found


def test_a_withdrawal_sells_the_overweight_asset_and_is_paid_once(market: ManyPortfolios) -> None:
    market.wave({"A": Decimal(105), "B": Decimal(100)})
    asked = withdraw(market, "200.00")
    done = outcome(market, asked)
    assert (done["status"], done["trigger"], done["reason"]["code"]) == ("COMPLETED", "withdrawal", "executed")
    assert [(order["symbol"], order["side"]) for order in done["execution"]["orders"]] == [("A", "SELL")]
    ref_id = f"withdrawal:{done['rebalance_id']}"
    assert done["withdrawal"] == {"amount": "200.00", "is_paid": True, "ref_id": ref_id}
    (entry,) = entries(market)
    assert (entry["ref_id"], entry["type"], entry["amount"]) == (ref_id, "withdrawal", "200.00")
    sold = Decimal(done["execution"]["orders"][0]["filled_amount"])
    left = market.portfolio().cash
    assert left is not None
    assert left == 50 + sold - 200
    assert Decimal(0) <= left < Decimal("2.00"), "only what the limit price may cost stays"
    assert outcome(market, withdraw(market, "200.00")) == done, "a repeated request is the same withdrawal"
    assert len(entries(market)) == 1
    refused(withdraw(market, "201.00"), 409, "request_id_reused")


def test_cash_that_covers_the_amount_is_paid_without_an_order(market: ManyPortfolios) -> None:
    done = outcome(market, withdraw(market, "50.00"))
    assert (done["status"], done["execution"], done["withdrawal"]["is_paid"]) == ("COMPLETED", None, True)
    assert (market.portfolio().cash, market.portfolio().lock) == (Decimal(0), None)
    assert [entry["amount"] for entry in entries(market)] == ["50.00"]


def test_what_the_portfolio_cannot_pay_is_refused_before_anything_is_sold(market: ManyPortfolios) -> None:
    problem = refused(withdraw(market, "20000"), 422, "insufficient_funds")
    assert "At most 9950" in problem["detail"]
    assert (waiting(market.system.checks_url), market.newest()) == ([], None)
    refused(withdraw(market, "0"), 400, "invalid_request")


def test_a_price_that_falls_after_the_request_rejects_the_withdrawal(market: ManyPortfolios) -> None:
    asked = withdraw(market, "9900")
    market.quote({"A": Decimal(50), "B": Decimal(50)})
    done = outcome(market, asked)
    assert (done["status"], done["reason"]["code"]) == ("REJECTED", "insufficient_funds")
    assert (done["withdrawal"]["is_paid"], entries(market)) == (False, [])


def test_a_refused_sell_pays_nothing_and_reverses_what_was_sold(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "SELL"}, "refuse": "not today"})
    before = market.portfolio()
    done = outcome(market, withdraw(market, "4000"))
    assert (done["status"], done["withdrawal"]["is_paid"]) == ("ROLLED_BACK", False)
    after = market.portfolio()
    assert {symbol: each.quantity for symbol, each in after.holdings.items()} == {
        symbol: each.quantity for symbol, each in before.holdings.items()
    }
    assert (after.cash, after.lock, entries(market)) == (before.cash, None, [])


def test_while_a_withdrawal_sells_no_other_withdrawal_is_accepted(market: ManyPortfolios) -> None:
    assert withdraw(market, "200.00").status == 202
    market.system.process_checks()
    refused(withdraw(market, "300.00", "w-2"), 409, "locked")
    market.settle()
    assert [entry["amount"] for entry in entries(market)] == ["200.00"]


def test_a_halt_refuses_the_sells_but_not_a_payout_from_cash(market: ManyPortfolios) -> None:
    assert market.system.http("PUT", "/halt", {"reason": "The feed looks wrong."}, authorizer=OPERATOR).status == 200
    done = outcome(market, withdraw(market, "200.00"))
    assert (done["status"], done["reason"]["code"]) == ("NO_ACTION", "halted")
    assert outcome(market, withdraw(market, "20.00", "w-2"))["withdrawal"]["is_paid"]
