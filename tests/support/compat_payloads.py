"""Checks of the payloads for the function that serves the routes of earlier systems."""

from collections.abc import Callable
from unittest import mock

from functions.compat_api import rebalancer
from tests.support.payloads import http, now
from tests.support.system import System

TARGET = {"stocks": 60, "bonds": 30, "gold": 10}


def _adds_a_portfolio(_: System) -> None:
    assert http("compat_api/add_portfolio.json", 201) == {"user_id": "1", "allocation": TARGET}


def _reads_the_portfolio(system: System) -> None:
    system.portfolio()
    assert http("compat_api/read_portfolio.json", 200) == {"user_id": "1", "allocation": TARGET}


def _reports_weights(system: System) -> None:
    system.portfolio()
    with mock.patch.multiple(rebalancer, utc_now=now):
        assert http("compat_api/report_weights.json", 200) == "Success Rebalance User Portfolio"
    assert system.drain_queue() == 1


def _lists_the_transactions(system: System) -> None:
    _reports_weights(system)
    listed = http("compat_api/list_transactions.json", 200)
    assert [(each["action"], each["asset"]) for each in listed] == [("SELL", "stocks"), ("BUY", "bonds")]


def _creates_a_portfolio(_: System) -> None:
    assert http("compat_api/create_portfolio.json", 201)["name"] == "name-of-the-portfolio"


def _records_a_trade(system: System) -> None:
    _creates_a_portfolio(system)
    assert http("compat_api/create_trade.json", 201)["amount"] == "100.00"


def _corrects_the_trade(system: System) -> None:
    _records_a_trade(system)
    assert http("compat_api/change_trade.json", 200)["amount"] == "1000.00"


def _lists_the_trade(system: System) -> None:
    _records_a_trade(system)
    assert http("compat_api/list_trades.json", 200)["count"] == 1


def _lists_the_holding(system: System) -> None:
    _records_a_trade(system)
    (row,) = http("compat_api/list_holdings.json", 200)["results"]
    assert (row["ticker"], row["average_amount"], row["volume"]) == ("GODREJIND", "100.00", 10)


def _reads_the_returns(system: System) -> None:
    _records_a_trade(system)
    assert http("compat_api/read_returns.json", 200) == {"return_value": 0, "unpriced": ["GODREJIND"]}


def _places_a_bet(_: System) -> None:
    placed = http("compat_api/place_bet.json", 201)
    assert (placed["Position"]["exposure"], placed["Insight"]) == (100, None)


def _settles_the_bet(system: System) -> None:
    _places_a_bet(system)
    settled = http("compat_api/settle_bet.json", 200)
    assert (settled["Order"]["payout"], settled["Position"]["pnl"], settled["Metrics"]["roi"]) == (250, 150, 150)


def _lists_the_open_bet(system: System) -> None:
    _places_a_bet(system)
    assert [bet["status"] for bet in http("compat_api/list_open_bets.json", 200)] == ["OPEN"]


def _lists_the_position(system: System) -> None:
    _places_a_bet(system)
    assert [each["side"] for each in http("compat_api/list_positions.json", 200)] == ["BACK"]


def _reads_the_metrics(system: System) -> None:
    _places_a_bet(system)
    assert http("compat_api/read_metrics.json", 200)["orders_placed"] == 1


def _reads_the_metrics_of(path: str) -> Callable[[System], None]:
    """Return a check that the payload reads the metrics of the user `auth0|1`, encoded in the path or not."""

    def check(system: System) -> None:
        bet = {"user_id": "auth0|1", "market_id": "m", "selection_id": "s", "side": "BACK", "stake": 7, "odds": 2}
        assert system.http("POST", "/api/v1/orders", bet).status == 201
        assert http(f"compat_api/{path}.json", 200)["total_stake"] == 7

    return check


EXPECTED: dict[str, Callable[[System], None]] = {
    "compat_api/add_portfolio.json": _adds_a_portfolio,
    "compat_api/read_portfolio.json": _reads_the_portfolio,
    "compat_api/report_weights.json": _reports_weights,
    "compat_api/list_transactions.json": _lists_the_transactions,
    "compat_api/create_portfolio.json": _creates_a_portfolio,
    "compat_api/create_trade.json": _records_a_trade,
    "compat_api/change_trade.json": _corrects_the_trade,
    "compat_api/list_trades.json": _lists_the_trade,
    "compat_api/list_holdings.json": _lists_the_holding,
    "compat_api/read_returns.json": _reads_the_returns,
    "compat_api/place_bet.json": _places_a_bet,
    "compat_api/settle_bet.json": _settles_the_bet,
    "compat_api/list_open_bets.json": _lists_the_open_bet,
    "compat_api/list_positions.json": _lists_the_position,
    "compat_api/read_metrics.json": _reads_the_metrics,
    "compat_api/read_metrics_encoded.json": _reads_the_metrics_of("read_metrics_encoded"),
    "compat_api/read_metrics_http_api_2.json": _reads_the_metrics_of("read_metrics_http_api_2"),
}
