"""Quantities of more than 9 decimals, for assets whose `quantity_places` say so."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.balancing import Balancing
from tests.support.system import System
from tests.support.trading import FEED, Account, account, counts, day, quote, refused, split

FINE = "0.123456789012345678"
ETHER = {"name": "Ether", "asset_class": "crypto", "exchange": "CRYPTO"}


def enter(system: System, places: int = 18) -> Any:
    """Enter ETH with a number of decimals."""
    return system.http("PUT", "/assets/ETH", ETHER | {"quantity_places": places}, authorizer=FEED)


def trade(mine: Account, ref_id: str, side: str, quantity: Any, at: float, price: int = 2000) -> Any:
    """Record a trade of ETH."""
    return mine.record(ref_id, side, quantity, None, at, symbol="ETH", security_type="crypto", price=price)


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio without entries, beside ETH with 18 decimals."""
    assert enter(system).json["quantity_places"] == 18
    return account(system, allocation={"ETH": 50, "AAPL": 50})


def test_a_quantity_of_18_decimals_is_kept_shown_valued_and_sold_exactly(mine: Account) -> None:
    recorded = trade(mine, "a", "BUY", FINE, 1)
    assert (recorded.status, recorded.json["quantity"], recorded.json["amount"]) == (201, FINE, "246.913578025")
    smallest = mine.record("b", "BUY", "0.000000000000000001", "0.01", 2, symbol="ETH", security_type="crypto")
    assert smallest.status == 201
    quote(mine.system, 3000, symbol="ETH", at=3)
    holding = mine.holding("ETH")
    assert (holding["quantity"], holding["market_value"]) == ("0.123456789012345679", "370.37")
    assert mine.system.http("GET", mine.home).json["valuation"]["value"] == "370.37"
    split(mine.system, 4, 3, symbol="ETH")
    assert mine.holding("ETH")["quantity"] == "0.370370367037037037"
    assert trade(mine, "c", "SELL", "0.370370367037037037", 5, 1000).status == 201
    assert mine.holding("ETH")["quantity"] == "0.000000000"


@pytest.mark.parametrize(
    "quantity", [FINE + "1", "1234567890." + "1" * 18, 1e-19, "1e-12", "-" + FINE, "0." + "0" * 18]
)
def test_other_quantities_are_refused(mine: Account, quantity: Any) -> None:
    assert trade(mine, "a", "BUY", quantity, 1).status == 400


@pytest.mark.parametrize("quantity", [0.1234567891, 1e-12, 33.333333333333336])
def test_a_quantity_as_a_json_number_is_read_exactly(mine: Account, quantity: float) -> None:
    recorded = trade(mine, "a", "BUY", quantity, 1)
    assert (recorded.status, Decimal(recorded.json["quantity"])) == (201, Decimal(repr(quantity)))


def test_the_asset_decides_about_the_decimals(mine: Account) -> None:
    fine = mine.record("a", "BUY", FINE, 100, 1)
    refused(fine, 400, "too_many_decimals")
    assert "AAPL" in fine.json["detail"]
    assert trade(mine, "b", "BUY", "1.500000000000", 1).json["quantity"] == "1.500000000", "trailing zeros do not count"
    mine.record("c", "BUY", 5, 100, 1)
    refused(mine.correct("c", quantity=FINE), 400, "too_many_decimals")
    assert mine.correct("b", quantity=FINE).json["quantity"] == FINE
    enter(mine.system, 12)
    refused(trade(mine, "d", "BUY", FINE, 2), 400, "too_many_decimals")
    assert trade(mine, "d", "BUY", "0.123456789012", 2).status == 201
    assert enter(mine.system, 19).status == enter(mine.system, 8).status == 400


def test_files_are_imported_and_exported_with_all_decimals(mine: Account) -> None:
    header = "ref_id,side,security_type,symbol,quantity,amount,executed_at"
    assert mine.upload(f"{header}\na,BUY,crypto,ETH,{FINE},246.91,{day(1)}\n").json["recorded"] == 1
    text = mine.system.http("GET", f"{mine.home}/trades.csv").text
    assert FINE in text
    assert counts(mine.import_file(text)) == (0, 1)
    refused(mine.upload(f"{header}\nb,BUY,stock,AAPL,{FINE},246.91,{day(1)}\n"), 400, "too_many_decimals")


def test_a_holding_of_more_than_9_decimals_is_not_traded_and_the_check_says_so(mine: Account) -> None:
    trade(mine, "a", "BUY", "3.123456789012345678", 1)
    market = Balancing(mine.system, mine)
    market.deposit(5_000)
    for price in (100, 101, 102):
        market.move(AAPL=price, ETH=2000)
    assert str(market.quantities()["ETH"]) == "3.123456789012345678"
    assert market.quantities()["AAPL"] > 0
    assert market.last_check()["reason"]["details"]["limits"]["ETH"] == "fine_quantity"
