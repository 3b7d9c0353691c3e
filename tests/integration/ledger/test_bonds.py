"""Bonds quoted in percent of their nominal value: entries, holdings and values meet in money."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.analytics import ValuedPortfolio, trading_days
from tests.support.balancing import Balancing
from tests.support.system import MARKET_TABLE, System, authorized
from tests.support.trading import FEED, Account, account, day, quote, refused
from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.bars import Bar
from trimtab.market.adapters.bars import BarStore
from trimtab.runtime.dynamodb.client import dynamodb_client

BOND = {"name": "Treasury 2035", "asset_class": "bond", "exchange": "OTHER", "quote_unit": "percent"}


def enter(system: System, **members: Any) -> Any:
    """Enter the bond T-35."""
    return system.http("PUT", "/assets/T-35", BOND | members, authorizer=FEED)


def buy(mine: Account, ref_id: str, **members: Any) -> Any:
    """Buy 10,000 of nominal value of the bond on day 1."""
    body = {"symbol": "T-35", "security_type": "bond", **members}
    return mine.record(ref_id, "BUY", 10_000, body.pop("amount", None), 1, **body)


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio without entries, beside a bond that is quoted in percent."""
    assert enter(system).status == 200
    return account(system, allocation={"T-35": 50, "AAPL": 50})


def test_the_amount_of_a_trade_follows_from_a_price_in_percent(mine: Account) -> None:
    recorded = buy(mine, "a", price="98.5")
    assert (recorded.status, recorded.json["amount"], recorded.json["price"]) == (201, "9850.00", "0.985000000")
    assert buy(mine, "a", price="98.50").json["amount"] == "9850.00", "a repeated request"
    assert buy(mine, "b", price="98.5", amount="9850.00").status == 201
    assert buy(mine, "c", price="98.5", amount="9000.00").status == 400
    header = "ref_id,side,security_type,symbol,quantity,price,executed_at"
    assert mine.upload(f"{header}\nd,BUY,bond,T-35,2000,99,{day(2)}\n").json["recorded"] == 1
    assert mine.sums("T-35") == ("22000", "21680.00", "0.00")
    assert buy(mine, "e", symbol="OTHER", price="2").json["amount"] == "20000.00", "quoted in money"
    assert buy(mine, "f", price="98.5", security_type="etf").json["amount"] == "9850.00", "the asset tells the unit"


def test_every_reader_values_a_bond_in_money(mine: Account) -> None:
    buy(mine, "a", price="98.5")
    assert quote(mine.system, 99, symbol="T-35", at=3).json["held"] == []
    quote(mine.system, "99.5", symbol="T-35", at=3.1)
    holding = mine.holding("T-35")
    assert (holding["price"], holding["market_value"], holding["average_cost"]) == (
        "0.995000000",
        "9950.00",
        "0.985000000",
    )
    assert mine.system.http("GET", mine.home).json["valuation"]["value"] == "9950.00"
    assert mine.system.http("GET", f"{mine.home}/cumulative-returns").json["unrealised"] == "100.00"
    assert mine.system.http("GET", f"{mine.home}/drift").json["value"] == "9950.00"
    read = mine.system.http("GET", "/quotes/T-35", authorizer=authorized(scope="market:read")).json
    assert (read["price"], read["quote_unit"]) == ("99.5", "percent")
    held = quote(mine.system, "0.995", symbol="T-35", at=4).json["held"]
    assert [each["reason"] for each in held] == ["price_jump"], "a price in money"


def test_daily_values_and_the_last_close_are_in_money(system: System) -> None:
    enter(system)
    today = datetime.now(UTC).date()
    days = trading_days(today - timedelta(days=12), today - timedelta(days=1))
    price, none = Decimal(98), (None, None, None)
    first = Bar("T-35", days[0], price, price, price, price, Decimal(9), *none, "file", 1, quote_unit=QuoteUnit.PERCENT)
    BarStore(dynamodb_client(), MARKET_TABLE).put_bars([replace(first, day=on) for on in days])
    mine = ValuedPortfolio(system, system.portfolio("1", {"T-35": 100}))
    executed = datetime(days[0].year, days[0].month, days[0].day, 18, tzinfo=UTC).isoformat()
    body = {"ref_id": "a", "side": "BUY", "security_type": "bond", "symbol": "T-35", "quantity": "10000"}
    path = f"{mine.path}/trades"
    assert system.http("POST", path, {**body, "price": "98.5", "executed_at": executed}).status == 201
    mine.request_valuation()
    mine.run_workers()
    assert {each["value"] for each in mine.get("history", window="all").json["days"]} == {"9800.00"}
    assert system.http("GET", mine.path).json["valuation"]["value"] == "9800.00"


def test_a_bond_quoted_in_percent_is_not_traded_and_the_check_says_so(mine: Account) -> None:
    buy(mine, "a", price="98.5")
    market = Balancing(mine.system, mine)
    market.deposit(5_000)
    for price in (100, 101, 102):
        market.move(**{"AAPL": price, "T-35": 98})
    assert market.quantities()["T-35"] == 10_000
    assert market.quantities()["AAPL"] > 0
    assert market.last_check()["reason"]["details"]["limits"]["T-35"] == "quoted_in_percent"
    only = Balancing(mine.system, account(mine.system, "2", allocation={"T-35": 100}))
    buy(only.account, "a", price="98.5")
    only.move(**{"T-35": 99})
    assert only.last_check()["reason"]["code"] == "quoted_in_percent"


def test_the_unit_is_for_bonds_and_fixed_once_prices_are_stored(mine: Account) -> None:
    assert enter(mine.system, asset_class="stock").status == 400
    assert enter(mine.system, quote_unit="money").status == 200, "no price is stored yet"
    assert enter(mine.system).json["quote_unit"] == "percent"
    quote(mine.system, 99, symbol="T-35", at=3)
    refused(enter(mine.system, quote_unit="money"), 409, "quote_unit_fixed")
    assert enter(mine.system, halted=True).status == 200
