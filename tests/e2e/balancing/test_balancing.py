"""A price move on the deployed system, over HTTP only: the paper broker fills the orders that restore the target."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from infra.local.client import Client
from tests.e2e.conftest import System

PLATFORM = ["market:write"]


def test_a_price_move_is_traded_back_into_the_band(system: System) -> None:
    client, platform = system.client(tenant="balanced"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = (f"E2E-{uuid.uuid4().hex[:8]}" for _ in range(2))
    path = _portfolio(client, {one: 50, two: 50})
    assert client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "10000"}).status == 201
    _quote(platform, {one: "100", two: "100"})
    for symbol in (one, two):
        trade = {"ref_id": symbol, "side": "BUY", "security_type": "stock", "symbol": symbol, "quantity": 50}
        assert client.post(f"{path}/trades", {**trade, "price": 100}).status == 201
    _until(lambda: _rule(client, path) == "within_band", "the watches are written")

    _quote(platform, {one: "140"})
    rebalance = _until(lambda: _ended(client, path), "the rebalance has ended")

    assert (rebalance["status"], rebalance["trigger"]) == ("COMPLETED", "price"), rebalance
    assert [(order["side"], order["status"]) for order in rebalance["execution"]["orders"]] == [
        ("SELL", "FILLED"),
        ("BUY", "FILLED"),
    ]
    holdings = client.get(f"{path}/holdings").json
    values = [Decimal(holding["market_value"]) for holding in holdings["items"]]
    total = sum(values) + Decimal(holdings["cash"])
    assert all(abs(value / total * 100 - 50) < 5 for value in values)
    fills = [trade for trade in client.get(f"{path}/trades").json["items"] if trade["rebalance_id"]]
    assert {trade["rebalance_id"] for trade in fills} == {rebalance["rebalance_id"]}
    assert len(fills) == 2
    late = client.post(f"{path}/rebalances/{rebalance['rebalance_id']}/cancel", {})
    assert (late.status, late.json["type"].rpartition(":")[2]) == (409, "too_late")


def test_a_quote_injected_on_the_queue_is_used_by_a_requested_rebalance(system: System) -> None:
    client, symbol = system.client(tenant="injected"), f"E2E-{uuid.uuid4().hex[:8]}"
    path = _portfolio(client, {symbol: 100})
    client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "1000"})
    quote = {"symbol": symbol, "price": "10", "as_of": _now()}
    message = {"schema_version": 1, "type": "quote.received", "quotes": [quote]}
    queue = system.stack.queues["quotes"]
    system.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))

    def run() -> Any:
        asked = client.post(f"{path}/rebalances", {"mode": "invest_cash", "request_id": uuid.uuid4().hex})
        assert asked.status == 202, asked.text
        rebalance = _until(lambda: _ended(client, path), "the run has ended")
        return rebalance if rebalance["status"] == "COMPLETED" else None

    _until(run, "the quote is stored and the cash invested")
    (holding,) = client.get(f"{path}/holdings").json["items"]
    assert Decimal("98") <= Decimal(holding["quantity"]) <= Decimal("99.75"), "all but the buffer and the slippage"


def test_orders_are_halted_by_an_operator(system: System) -> None:
    operator = system.client(tenant="halted", scopes=["operator"])
    assert system.client(tenant="halted", scopes=PLATFORM).call("PUT", "/halt", {"reason": "not mine"}).status == 403
    halted = operator.call("PUT", "/halt", {"reason": "The feed looks wrong."})
    assert (halted.status, halted.json["halts"][0]["scope"]) == (200, "tenant")
    assert operator.call("DELETE", "/halt").status == 204
    assert operator.get("/halt").json == {"halts": []}


def _portfolio(client: Client, allocation: dict[str, int]) -> str:
    answer = client.post("/portfolio", {"user_id": "1", "name": uuid.uuid4().hex, "allocation": allocation})
    assert answer.status == 201, answer.text
    return f"/portfolios/{answer.json['portfolio_id']}"


def _quote(platform: Client, prices: dict[str, str]) -> None:
    quotes = [{"symbol": symbol, "price": price, "as_of": _now()} for symbol, price in prices.items()]
    answer = platform.post("/quotes", {"quotes": quotes})
    assert (answer.status, answer.json["accepted"]) == (202, len(prices)), answer.text


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _rule(client: Client, path: str) -> str | None:
    answer = client.get(f"{path}/checks/last")
    return str(answer.json["reason"]["code"]) if answer.status == 200 else None


def _ended(client: Client, path: str) -> Any:
    """Return the newest rebalance if it has ended."""
    items = client.get(f"{path}/rebalances").json["items"]
    return items[0] if items and items[0]["status"] not in {"REQUESTED", "PLANNED", "EXECUTING"} else None


def _until(found: Callable[[], Any], what: str) -> Any:
    """Poll for up to a minute; return what is found."""
    for _ in range(150):
        if result := found():
            return result
        time.sleep(0.4)
    raise AssertionError(f"not within a minute: {what}")
