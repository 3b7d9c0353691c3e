"""Holdings, profit and the summary of the earlier API, with and without quotes."""

from typing import Any

import pytest

from tests.support.system import System, authorized
from tests.support.trading import Account, account, day, quote, refused, split


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio that holds AAPL and BTC and has sold all of GONE."""
    mine = account(system)
    mine.record("a", "BUY", 10, 1000, 1)
    mine.record("b", "SELL", 4, 500, 2)  # 400 of cost: 6 for 600, realised 100
    mine.record("c", "BUY", "0.5", 50, 3, symbol="BTC", security_type="crypto")
    mine.record("d", "BUY", 1, 10, 1, symbol="GONE")
    mine.record("e", "SELL", 1, 7, 2, symbol="GONE")  # realised -3
    return mine


def returns(mine: Account) -> Any:
    """Return the amounts and the unpriced symbols of the profit, after the other members are asserted."""
    answer = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    assert (answer.pop("basis"), answer.pop("as_of")) == ("newer_of_quote_and_last_close", None)
    assert answer.pop("method")
    assert answer.pop("observations") == 2 - len(answer["unpriced"])
    return answer


def test_a_holding_has_a_market_value_once_there_is_a_quote(mine: Account) -> None:
    holding = mine.holding()
    assert (holding["price"], holding["price_as_of"], holding["market_value"]) == (None, None, None)
    quote(mine.system, "123.4567", at=300)
    holding = mine.holding()
    assert (holding["price"], holding["price_as_of"][:10]) == ("123.456700000", day(300)[:10])
    assert holding["market_value"] == "740.74"  # 6 * 123.4567 = 740.7402
    assert holding["quantity"] == "6.000000000"
    assert (mine.holding("BTC")["market_value"], mine.holding("BTC")["security_type"]) == (None, "crypto")
    assert [item["symbol"] for item in mine.holdings()["items"]] == ["AAPL", "BTC", "GONE"]


def test_profit_is_realised_and_unrealised_and_lists_unpriced_symbols(mine: Account) -> None:
    no_income = {"income": "0.00", "cash_fees": "0.00"}
    nothing = {**no_income, "realised": "97.00", "unrealised": "0.00", "total": "97.00", "return_value": "97.00"}
    assert returns(mine) == {**nothing, "unpriced": ["AAPL", "BTC"]}
    quote(mine.system, "90")  # 540 - 600 = -60
    assert returns(mine) == {
        **no_income,
        **{"realised": "97.00", "unrealised": "-60.00", "total": "37.00", "return_value": "37.00"},
        "unpriced": ["BTC"],
    }
    quote(mine.system, "120.01", symbol="BTC")  # 60.005 is 60.01; 60.01 - 50 = 10.01
    assert (returns(mine)["total"], returns(mine)["unpriced"]) == ("47.01", [])


def test_income_and_cash_fees_are_part_of_the_profit(system: System) -> None:
    mine = account(system)
    kinds = (
        ("deposit", 1000),
        ("dividend", "487.14"),
        ("dividend", "0.015"),
        ("fee", "4.00"),
        ("tax", "2.00"),
        ("withdrawal", 100),
    )
    for number, (kind, amount) in enumerate(kinds):
        body = {"ref_id": f"c{number}", "type": kind, "amount": amount, "executed_at": day(10 * number)}
        assert mine.system.http("POST", f"{mine.home}/cash", body).status == 201
    earned = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    amounts = ("income", "cash_fees", "realised", "unrealised", "total", "return_value")
    assert [earned[name] for name in amounts] == ["487.16", "6.00", "0.00", "0.00", "481.16", "481.16"]
    before_the_fee = mine.system.http("GET", f"{mine.home}/cumulative-returns", query={"as_of": day(25)[:10]}).json
    assert [before_the_fee[name] for name in amounts] == ["487.16", "0.00", "0.00", "0.00", "487.16", "487.16"]
    as_of_the_first = mine.system.http("GET", f"{mine.home}/cumulative-returns", query={"as_of": day(10)[:10]}).json
    assert as_of_the_first["total"] == "487.14"


def test_a_portfolio_without_trades_has_no_holdings_and_no_profit(system: System) -> None:
    mine = account(system)
    assert mine.holdings() == {"items": [], "cash": None, "next_cursor": None}
    assert mine.system.http("GET", f"{mine.home}/cumulative-returns").json["total"] == "0.00"


def test_the_summary_of_the_earlier_api_lists_the_present_holdings(mine: Account) -> None:
    query = {"user_id": "1", "portfolio_id": mine.portfolio["portfolio_id"]}
    summary = mine.system.http("GET", "/portfolio-summary", query=query).json
    assert [row.pop("updated_at")[:10] for row in summary["results"]] == [day(2)[:10], day(3)[:10]]
    assert summary == {
        **{"count": 2, "next": None, "previous": None},
        "results": [
            {"ticker": "AAPL", "average_amount": "100.00", "volume": "6.000000000"},
            {"ticker": "BTC", "average_amount": "100.00", "volume": "0.500000000"},
        ],
    }
    refused(mine.system.http("GET", "/portfolio-summary", query={**query, "user_id": "2"}), 404, "not_found")
    for missing in query:
        rest = {name: value for name, value in query.items() if name != missing}
        assert mine.system.http("GET", "/portfolio-summary", query=rest).status == 400


@pytest.mark.parametrize("resource", ["trades", "holdings", "cumulative-returns"])
def test_reading_requires_the_read_scope_and_admits_the_owner_of_the_portfolio(mine: Account, resource: str) -> None:
    path = f"{mine.home}/{resource}"
    assert mine.system.http("GET", path, authorizer=authorized(scope="trades:write")).status == 403
    assert mine.system.http("GET", path, authorizer=authorized(user_id="1", scope="trades:read")).status == 200


def test_after_a_split_and_before_the_next_quote_every_reader_divides_the_price(mine: Account) -> None:
    quote(mine.system, "120", at=300)
    quote(mine.system, "200", symbol="BTC", at=300)
    split(mine.system, 301, 4)
    holding, path = mine.holding(), mine.home
    assert (holding["quantity"], holding["price"], holding["market_value"]) == (
        "24.000000000",
        "30.000000000",
        "720.00",
    )
    assert holding["price_as_of"][:10] == day(300)[:10], "the age of the price is that of the quote"
    assert (holding["price_source"], holding["close_day"]) == ("unnamed", None)
    assert mine.system.http("GET", path).json["valuation"]["value"] == "820.00"  # 720 and half a BTC
    assert returns(mine)["unrealised"] == "170.00"  # 820 - 650
    assert mine.system.http("GET", f"{path}/drift").json["value"] == "820.00"
    assert mine.system.http("GET", f"{path}/sectors").json["value"] == "820.00"
