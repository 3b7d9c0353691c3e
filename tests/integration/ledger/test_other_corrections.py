"""Corrections of side, symbol and fees of a trade, and corrections of fills by an operator."""

import pytest

from tests.support.balancing import OPERATOR, Balancing, balanced
from tests.support.moto_state import stored_items
from tests.support.system import System
from tests.support.trading import Account, account, day, refused


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio with 1,000 of cash and two trades of AAPL."""
    mine = account(system, cash="1000")
    mine.record("a", "BUY", 10, 100, 1, fees="1")
    mine.record("b", "BUY", 5, 60, 2)
    return mine


def test_corrected_fees_change_cost_and_cash_and_the_revision_keeps_the_earlier_fees(mine: Account) -> None:
    view = mine.correct("a", fees="2.5").json
    assert (view["fees"], [each["fees"] for each in view["history"]]) == ("2.50", ["1.00"])
    assert (mine.sums(), mine.holdings()["cash"]) == (("15", "162.50", "0.00"), "837.50")
    view = mine.correct("a", quantity=9).json
    assert [(each["fees"], each["quantity"][:2]) for each in view["history"]] == [("1.00", "10"), ("2.50", "10")]


def test_a_corrected_side_recomputes_the_holding(mine: Account) -> None:
    refused(mine.correct("a", side="SELL"), 422, "insufficient_quantity")
    view = mine.correct("b", side="SELL").json
    assert (view["side"], [each["side"] for each in view["history"]]) == ("SELL", ["BUY"])
    assert (mine.sums(), mine.holdings()["cash"]) == (("5", "50.50", "9.50"), "959.00")


def test_a_corrected_symbol_recomputes_both_holdings(mine: Account) -> None:
    mine.record("c", "BUY", 2, 30, 3, symbol="MSFT")
    view = mine.correct("b", symbol="MSFT").json
    assert (view["symbol"], [each["symbol"] for each in view["history"]]) == ("MSFT", ["AAPL"])
    assert (mine.sums(), mine.sums("MSFT")) == (("10", "101.00", "0.00"), ("7", "90.00", "0.00"))
    listed = {symbol: [each["ref_id"] for each in mine.trades(symbol=symbol)["items"]] for symbol in ("AAPL", "MSFT")}
    assert listed == {"AAPL": ["a"], "MSFT": ["c", "b"]}
    mine.record("d", "SELL", 7, 100, 4, symbol="MSFT")
    before = stored_items()
    refused(mine.correct("b", symbol="AAPL"), 422, "insufficient_quantity")
    assert stored_items() == before
    assert mine.post_trade(
        {"ref_id": "b", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 5, "amount": 60,
         "executed_at": day(2)}
    ).json["symbol"] == "AAPL", "a repeat gets the first revision"  # fmt: skip


@pytest.fixture
def traded(system: System) -> Balancing:
    """A portfolio after a rebalance."""
    market = balanced(system)
    market.move(AAPL=140)
    assert market.rebalances()[0]["status"] == "COMPLETED"
    return market


def test_an_operator_corrects_a_fill_with_a_reason(traded: Balancing) -> None:
    mine = traded.account
    fill = next(each for each in mine.trades()["items"] if each["rebalance_id"] and each["side"] == "SELL")
    path, cash = f"{mine.home}/fills/{fill['ref_id']}", traded.cash()
    body = {"fees": "3.00", "reason": "The broker's statement says 3.00."}
    refused(mine.system.http("PATCH", path, body), 403, "insufficient_scope")
    refused(mine.system.http("PATCH", path, {"fees": "3.00"}, authorizer=OPERATOR), 400, "invalid_request")
    refused(mine.correct(fill["ref_id"], fees="3.00"), 404, "not_found")
    before = fill["fees"]
    view = mine.system.http("PATCH", path, body, authorizer=OPERATOR).json
    assert (view["fees"], view["revision"], view["rebalance_id"]) == ("3.00", 2, fill["rebalance_id"])
    assert [(each["fees"], each["reason"]) for each in view["history"]] == [(before, body["reason"])]
    assert traded.cash() == cash - 3 + type(cash)(before)
    assert mine.system.http("GET", f"{mine.home}/trades/{fill['ref_id']}").json == view
    refused(mine.system.http("PATCH", f"{mine.home}/fills/none", body, authorizer=OPERATOR), 404, "not_found")
