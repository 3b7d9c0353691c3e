"""Holdings, returns and the summary of the earlier API, with quotes and without."""

from typing import Any

import pytest

from tests.support.system import System, authorized
from tests.support.trading import Account, account, day, quote, refused


@pytest.fixture
def mine(system: System) -> Account:
    """Two symbols held, one sold out."""
    it = account(system)
    it.record("a", "BUY", 10, 1000, 1)
    it.record("b", "SELL", 4, 500, 2)  # 400 of cost: 6 for 600, realised 100
    it.record("c", "BUY", "0.5", 50, 3, symbol="BTC", security_type="crypto")
    it.record("d", "BUY", 1, 10, 1, symbol="GONE")
    it.record("e", "SELL", 1, 7, 2, symbol="GONE")  # realised -3
    return it


def returns(mine: Account) -> Any:
    """The answer of the cumulative returns: money, and what has no price."""
    answer = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    assert (answer.pop("basis"), answer.pop("as_of")) == ("newest_quotes", None)
    assert answer.pop("method")
    assert answer.pop("observations") == 2 - len(answer["unpriced"])
    return answer


def test_a_holding_has_a_value_once_there_is_a_quote(mine: Account) -> None:
    it = mine.holding()
    assert (it["quote"], it["quote_as_of"], it["market_value"]) == (None, None, None)
    quote(mine.system, "123.4567", at=300)
    it = mine.holding()
    assert (it["quote"], it["quote_as_of"][:10]) == ("123.456700000", day(300)[:10])
    assert it["market_value"] == "740.74"  # 6 * 123.4567 = 740.7402
    assert it["quantity"] == "6.000000000"
    assert (mine.holding("BTC")["market_value"], mine.holding("BTC")["security_type"]) == (None, "crypto")
    assert [it["symbol"] for it in mine.holdings()["items"]] == ["AAPL", "BTC", "GONE"]


def test_returns_are_realised_and_unrealised_and_name_what_has_no_price(mine: Account) -> None:
    nothing = {"realised": "97.00", "unrealised": "0.00", "total": "97.00", "return_value": "97.00"}
    assert returns(mine) == {**nothing, "unpriced": ["AAPL", "BTC"]}
    quote(mine.system, "90")  # 540 - 600 = -60
    assert returns(mine) == {
        **{"realised": "97.00", "unrealised": "-60.00", "total": "37.00", "return_value": "37.00"},
        "unpriced": ["BTC"],
    }
    quote(mine.system, "120.01", symbol="BTC")  # 60.005 is 60.01; 60.01 - 50 = 10.01
    assert (returns(mine)["total"], returns(mine)["unpriced"]) == ("47.01", [])


def test_a_portfolio_without_trades_has_no_holdings_and_no_returns(system: System) -> None:
    mine = account(system)
    assert mine.holdings() == {"items": [], "cash": None, "next_cursor": None}
    assert mine.system.http("GET", f"{mine.home}/cumulative-returns").json["total"] == "0.00"


def test_the_summary_of_the_earlier_api_lists_what_is_held(mine: Account) -> None:
    query = {"user_id": "1", "portfolio_id": mine.portfolio["portfolio_id"]}
    summary = mine.system.http("GET", "/portfolio-summary", query=query).json
    assert [it.pop("updated_at")[:10] for it in summary["results"]] == [day(2)[:10], day(3)[:10]]
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


@pytest.mark.parametrize("what", ["trades", "holdings", "cumulative-returns"])
def test_reading_asks_for_the_scope_and_admits_the_user_of_the_portfolio(mine: Account, what: str) -> None:
    path = f"{mine.home}/{what}"
    assert mine.system.http("GET", path, authorizer=authorized(scope="trades:write")).status == 403
    assert mine.system.http("GET", path, authorizer=authorized(user_id="1", scope="trades:read")).status == 200
