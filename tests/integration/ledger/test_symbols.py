"""Symbols as venues write them: the same symbol comes back from every route, and reaches the watches of its holders."""

from urllib.parse import quote as percent_encoded

import pytest

from tests.support.balancing import Balancing
from tests.support.moto_state import stored_items
from tests.support.system import System
from tests.support.trading import FEED, account, quote, refused

SYMBOLS = ("BTC/USD", "BRK.B", "^GSPC", "EURUSD=X", "VWCE.DE", "RDS-A")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symbol_makes_the_round_trip_through_the_paths_of_assets(system: System, symbol: str) -> None:
    path = f"/assets/{percent_encoded(symbol, safe='')}"
    entered = system.http("PUT", path, {"name": "Any", "exchange": "XNAS"}, authorizer=FEED)
    assert (entered.status, entered.json["symbol"]) == (200, symbol), entered.text
    assert system.http("GET", path, authorizer=FEED).json["symbol"] == symbol
    assert system.http("GET", f"{path}/bars", authorizer=FEED).json["items"] == []
    split = system.http("PUT", f"{path}/splits/2024-03-01", {"ratio": 4}, authorizer=FEED)
    assert split.status == 200, split.text


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symbol_makes_the_round_trip_through_trades_quotes_holdings_and_targets(system: System, symbol: str) -> None:
    mine = account(system, allocation={symbol: 100})
    recorded = mine.record("a", "BUY", 2, 100, 1, symbol=symbol)
    assert (recorded.status, recorded.json["symbol"]) == (201, symbol), recorded.text
    mine.record("b", "BUY", 1, 1, 2, symbol=symbol.partition("/")[0] + "X")
    assert [trade["ref_id"] for trade in mine.trades(symbol=symbol)["items"]] == ["a"]
    assert quote(system, "60", symbol).status == 202
    assert mine.holding(symbol)["market_value"] == "120.00"
    assert mine.correct("a", quantity=3).json["symbol"] == symbol
    assert mine.holding(symbol)["market_value"] == "180.00"


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_quote_of_a_symbol_rebalances_the_portfolios_that_watch_the_symbol(system: System, symbol: str) -> None:
    mine = Balancing(system, account(system, allocation={symbol: 50, "MSFT": 50}))
    mine.deposit(10_000)
    mine.quote(**{symbol: 100, "MSFT": 100})
    mine.buy("MSFT", 50, 100)
    mine.account.record("a", "BUY", 50, 5000, symbol=symbol)
    mine.settle()
    assert {item["pk"]["S"].rpartition("#")[0] for item in stored_items("watches")} == {f"SYM#{symbol}", "SYM#MSFT"}
    mine.move(**{symbol: 140})
    assert [rebalance["status"] for rebalance in mine.rebalances()] == ["COMPLETED"]


@pytest.mark.parametrize(
    "symbol", ["A#B", "A B", "../A", "A//B", "A/B/C", "A\n", "A\x7f", "^", "=A", "A%2FB", "A" * 33]
)
def test_other_symbols_are_refused_in_bodies(system: System, symbol: str) -> None:
    refused(account(system).record("a", "BUY", 1, 1, 1, symbol=symbol), 400, "invalid_request")


@pytest.mark.parametrize(
    "path", ["/assets/A%23B", "/assets/A%0A", "/assets/%2E%2E%2FA", "/assets/%FF", "/assets/A%2525"]
)
def test_other_symbols_are_refused_in_paths(system: System, path: str) -> None:
    assert system.http("GET", path, authorizer=FEED).status == 400


def test_an_identifier_in_a_path_may_be_percent_encoded(system: System) -> None:
    mine = account(system)
    mine.record("auth0|a:1@x", "BUY", 1, 2, 1)
    for ref_id in ("auth0|a:1@x", "auth0%7Ca%3A1%40x"):
        read = system.http("GET", f"{mine.home}/trades/{ref_id}")
        assert (read.status, read.json["ref_id"]) == (200, "auth0|a:1@x")
