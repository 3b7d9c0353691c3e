"""A price move on the deployed system, over HTTP only: the paper broker fills the orders that restore the target."""

import json
import uuid
from decimal import Decimal
from typing import Any

from tests.e2e.balancing.steps import (
    PLATFORM,
    create_portfolio,
    ended_rebalance,
    hold_target,
    new_symbols,
    now,
    send_quotes,
    wait_until,
)
from tests.e2e.conftest import System


def test_a_price_move_is_traded_back_into_the_band(system: System) -> None:
    client, platform = system.client(tenant="balanced"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = new_symbols(2)
    path = hold_target(client, platform, {one: 50, two: 50})

    send_quotes(platform, {one: "140"})
    rebalance = wait_until(lambda: ended_rebalance(client, path), "the rebalance has ended")

    assert (rebalance["status"], rebalance["trigger"]) == ("COMPLETED", "price"), rebalance
    orders = rebalance["execution"]["orders"]
    assert [order["side"] for order in orders[:2]] == ["SELL", "BUY"]
    assert {order["status"] for order in orders} == {"FILLED"}
    holdings = client.get(f"{path}/holdings").json
    values = [Decimal(holding["market_value"]) for holding in holdings["items"]]
    total = sum(values) + Decimal(holdings["cash"])
    assert all(abs(value / total * 100 - 50) < 5 for value in values)
    fills = [trade for trade in client.get(f"{path}/trades").json["items"] if trade["rebalance_id"]]
    assert {trade["rebalance_id"] for trade in fills} == {rebalance["rebalance_id"]}
    assert len(fills) == len(orders)
    late = client.post(f"{path}/rebalances/{rebalance['rebalance_id']}/cancel", {})
    assert (late.status, late.json["type"].rpartition(":")[2]) == (409, "too_late")


def test_a_quote_injected_on_the_queue_is_used_by_a_requested_rebalance(system: System) -> None:
    client, (symbol,) = system.client(tenant="injected"), new_symbols(1)
    path = create_portfolio(client, {symbol: 100})
    client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "1000"})
    quote = {"symbol": symbol, "price": "10", "as_of": now()}
    message = {"schema_version": 1, "type": "quote.received", "quotes": [quote]}
    queue = system.stack.queues["quotes"]
    system.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))

    def run() -> Any:
        asked = client.post(f"{path}/rebalances", {"mode": "invest_cash", "request_id": uuid.uuid4().hex})
        assert asked.status == 202, asked.text
        rebalance = wait_until(lambda: ended_rebalance(client, path), "the run has ended")
        return rebalance if rebalance["status"] == "COMPLETED" else None

    wait_until(run, "the quote is stored and the cash invested")
    (holding,) = client.get(f"{path}/holdings").json["items"]
    assert Decimal("98") <= Decimal(holding["quantity"]) <= Decimal("99.75"), "all but the buffer and the slippage"


def test_a_portfolio_in_yen_is_invested_in_whole_yen(system: System) -> None:
    client, platform = system.client(tenant="yen"), system.client(tenant="platform", scopes=PLATFORM)
    (symbol,) = new_symbols(1)
    asset = {"name": "Yen", "exchange": "CRYPTO", "currency": "JPY"}
    assert platform.call("PUT", f"/assets/{symbol}", asset).status in {200, 201}
    path = create_portfolio(client, {symbol: 100}, currency="JPY", automation="manual")
    assert client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "1000000"}).status == 201
    send_quotes(platform, {symbol: "333.3"})
    wait_until(lambda: platform.get(f"/quotes/{symbol}").status == 200, "the quote is stored")
    assert client.post(f"{path}/rebalances", {"mode": "invest_cash", "request_id": "now"}).status == 202
    rebalance = wait_until(lambda: ended_rebalance(client, path), "the rebalance has ended")

    spent = sum(int(order["filled_amount"]) + int(order["fees"]) for order in rebalance["execution"]["orders"])
    holdings = client.get(f"{path}/holdings").json
    (holding,) = holdings["items"]
    assert (rebalance["status"], int(holdings["cash"])) == ("COMPLETED", 1_000_000 - spent)
    assert (int(holding["cost_basis"]), holdings["cash"]) == (spent, client.get(path).json["cash"])
    refused = client.post(f"{path}/withdrawals", {"amount": "1.5"})
    assert (refused.status, refused.json["type"].rpartition(":")[2]) == (422, "too_many_decimals"), refused.text


def test_orders_are_halted_by_an_operator(system: System) -> None:
    operator = system.client(tenant="halted", scopes=["operator"])
    assert system.client(tenant="halted", scopes=PLATFORM).call("PUT", "/halt", {"reason": "not mine"}).status == 403
    halted = operator.call("PUT", "/halt", {"reason": "The feed looks wrong."})
    assert (halted.status, halted.json["halts"][0]["scope"]) == (200, "tenant")
    assert operator.call("DELETE", "/halt").status == 204
    assert operator.get("/halt").json == {"halts": []}
