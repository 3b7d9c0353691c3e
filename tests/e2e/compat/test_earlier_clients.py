"""Clients of earlier systems on the deployed system: the documented calls, through gateway, function and workers."""

from itertools import count
from typing import Any

from tests.e2e.balancing.steps import wait_until
from tests.e2e.conftest import System

TREE = "/api/v1"


def test_a_client_of_the_earlier_rebalancer_gets_the_transactions_of_its_drifted_portfolio(system: System) -> None:
    client = system.client(tenant="earlier-rebalancer")
    target = {"stocks": 60, "bonds": 30, "gold": 10}
    created = client.post("/compat/portfolio", {"UserID": 1, "Allocation": target})
    assert (created.status, created.json) == (201, {"user_id": "1", "allocation": target})
    report = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
    assert client.post("/compat/rebalance", report).json == "Success Rebalance User Portfolio"
    listed = wait_until(lambda: client.get("/compat/rebalance/list?userId=1").json, "the worker has decided")
    assert [(each["action"], each["asset"], each["rebalance_percent"]) for each in listed] == [
        ("SELL", "stocks", 10),
        ("BUY", "bonds", 10),
    ]


def test_a_client_of_the_earlier_tracker_pages_through_its_trades_and_reads_its_returns(system: System) -> None:
    client = system.client(tenant="earlier-tracker")
    created = client.post(f"{TREE}/portfolio/", {"user_id": "u1", "name": "José's shares"})
    assert created.status == 201, created.text
    portfolio = created.json["id"]
    trade = {"user_id": "u1", "portfolio": portfolio, "trade_type": 1, "security_type": "stock", "status": "success"}
    for ref_id, ticker, volume, amount in (("a|1", "AMZN", 100, 1000), ("b", "GODREJIND", 7, "438.57")):
        body = {**trade, "ref_id": ref_id, "ticker": ticker, "volume": volume, "amount": amount}
        assert client.post(f"{TREE}/trade/", body).status == 201

    pages = [client.get(f"{TREE}/trade/?page={page}&page_size=1").json for page in (1, 2)]
    assert [page["count"] for page in pages] == [2, 2]
    assert {page["results"][0]["ref_id"] for page in pages} == {"a|1", "b"}
    assert (pages[0]["next"].endswith("page=2&page_size=1"), pages[1]["next"]) == (True, None)

    summary = client.get(f"{TREE}/portfolio-summary/?user_id=u1&portfolio_id={portfolio}").json["results"]
    assert [(each["ticker"], each["volume"], each["average_amount"]) for each in summary] == [
        ("AMZN", 100, "1000.00"),
        ("GODREJIND", 7, "438.57"),
    ]
    changed = client.call("PATCH", f"{TREE}/trade/a%7C1/", {"status": "failed"})
    assert (changed.status, changed.json["status"]) == (200, "failed")
    left = client.get(f"{TREE}/portfolio-summary/?user_id=u1&portfolio_id={portfolio}").json["results"]
    assert [each["ticker"] for each in left] == ["GODREJIND"]


def test_a_client_of_the_earlier_betting_service_settles_by_the_result_of_the_bet(system: System) -> None:
    client, number = system.client(tenant="earlier-bets"), count(1)

    def place(side: str) -> Any:
        bet = {"user_id": "u1", "market_id": f"m{next(number)}", "selection_id": "home", "side": side}
        placed = client.post(f"{TREE}/orders", {**bet, "stake": 100.0, "odds": 2.5})
        assert (placed.status, placed.json["Order"]["stake"], placed.json["Position"]["side"]) == (201, 100, side)
        return placed.json["Order"]["id"]

    back, lay = place("BACK"), place("LAY")
    assert {order["id"] for order in client.get(f"{TREE}/orders/open/u1").json} == {back, lay}
    for order_id in (back, lay):
        settled = client.post(f"{TREE}/orders/{order_id}/settle", {"won": True, "payout": 250.0})
        assert settled.status == 200, settled.text
    assert client.get(f"{TREE}/orders/open/u1").json == []


def test_routes_below_a_tree_of_paths_answer_every_method(system: System) -> None:
    client = system.client(tenant="earlier-methods")
    assert client.call("HEAD", f"{TREE}/trade/").status == 200
    assert client.call("OPTIONS", f"{TREE}/orders").status == 204
    assert client.call("DELETE", f"{TREE}/orders").status == 405
    assert client.get(f"{TREE}/nowhere").status == 404
    assert system.anonymous().get(f"{TREE}/trade/").status == 401
