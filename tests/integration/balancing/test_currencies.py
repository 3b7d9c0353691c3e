"""Rebalances and withdrawals in currencies without decimals and with three: yen and Kuwaiti dinars."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.assets import accept_every_price
from tests.support.balancing import OPERATOR, Balancing
from tests.support.system import System, forget_cached
from tests.support.trading import Account, refused
from trimtab.kernel.currencies import minor_units, smallest_amount
from trimtab.kernel.money import count_decimals


def charge(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Let the paper broker charge its commission by these rules."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    forget_cached()


def invested(system: System, currency: str, **policy: Any) -> Balancing:
    """Return a watched portfolio of two assets that a deposit of a million smallest units, and a rest, has bought."""
    accept_every_price("AAPL", "MSFT", currency=currency)
    members = {"currency": currency, "policy": {"max_slippage": "0.0001", **policy}}
    mine = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50}, **members)))
    mine.deposit(str(1_000_003 * smallest_amount(currency)))
    mine.quote(AAPL="101.7", MSFT="33.3")
    assert mine.run("first")["status"] == "COMPLETED"
    return mine


def amounts_of(mine: Balancing) -> list[Decimal]:
    """Return the filled amounts and fees of all orders."""
    orders = [order for rebalance in mine.rebalances() for order in rebalance["execution"]["orders"]]
    return [Decimal(order[name]) for order in orders for name in ("filled_amount", "fees")]


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_orders_fees_fills_and_cash_have_the_decimals_of_the_currency(
    system: System, currency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge(monkeypatch, {"fee_percent": "0.17"})
    mine = invested(system, currency)
    mine.move(AAPL="160.3", MSFT="33.3")
    assert [rebalance["status"] for rebalance in mine.rebalances()] == ["COMPLETED", "COMPLETED"]
    amounts = amounts_of(mine)
    assert max(map(count_decimals, amounts)) == minor_units(currency)
    deposited = 1_000_003 * smallest_amount(currency)
    signs = {"BUY": -1, "SELL": 1}
    fills = mine.account.trades()["items"]
    left = deposited + sum(signs[each["side"]] * Decimal(each["amount"]) - Decimal(each["fees"]) for each in fills)
    assert 0 < mine.cash() == left < deposited / 100
    assert mine.now()["cash"] == f"{left:.{minor_units(currency)}f}"
    broker = system.http("GET", f"{mine.account.home}/broker", authorizer=OPERATOR).json
    assert (broker["currency"], Decimal(broker["cash"])) == (currency, left - deposited)


def test_fills_that_take_the_whole_cash_do_not_overdraw_yen(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    charge(monkeypatch, {"fee": "1", "fee_percent": "0.17"})
    mine = invested(system, "JPY", cash_buffer=0, minimum_trade=0)
    for price in ("150.1", "80.3", "201.9"):
        mine.move(AAPL=price)
        assert mine.cash() >= 0
        assert count_decimals(mine.cash()) == 0
    assert {rebalance["status"] for rebalance in mine.rebalances()} == {"COMPLETED"}


def test_a_withdrawal_of_yen_is_paid_in_whole_yen(system: System) -> None:
    mine = invested(system, "JPY")
    url = f"{mine.account.home}/withdrawals"
    problem = refused(system.http("POST", url, {"amount": "250000.5"}), 422, "too_many_decimals")
    assert problem["errors"][0]["field"] == "amount"
    before = mine.cash()
    answer = system.http("POST", url, {"amount": "250000"})
    assert answer.status == 202, answer.text
    mine.settle()
    done = mine.rebalance(answer.json["rebalance_id"])
    assert (done["status"], done["withdrawal"]["is_paid"]) == ("COMPLETED", True)
    sold = sum((Decimal(order["filled_amount"]) for order in done["execution"]["orders"]), Decimal(0))
    assert count_decimals(sold) == 0
    assert 0 <= mine.cash() == before + sold - 250_000
