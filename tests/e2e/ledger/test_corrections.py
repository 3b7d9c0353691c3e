"""Corrections that change figures of the past, over HTTP: splits, bonds in percent, income, cash tracking and fills."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.client import ApiResponse, Client
from tests.e2e.balancing.steps import PLATFORM, ended_rebalance, hold_target, new_symbols, send_quotes, wait_until
from tests.e2e.conftest import System

NOW = datetime.now(UTC)
EFFECTIVE_ON = f"{NOW - timedelta(days=5):%Y-%m-%d}"


def test_an_amended_and_a_withdrawn_split_change_the_holding_and_the_cost_basis_stays(system: System) -> None:
    client, platform, (symbol,) = system.client(tenant="splits"), system.client(scopes=PLATFORM), new_symbols(1)
    path = _portfolio(client)
    _trade(client, path, symbol, 10, "1000.00", days_ago=9)
    split = f"/assets/{symbol}/splits/{EFFECTIVE_ON}"

    assert platform.call("PUT", split, {"ratio": 5}).status == 200
    assert _holding(client, path) == ("50.000000000", "1000.00", "0.000000000")
    assert platform.call("PATCH", split, {"ratio": 4, "reason": "wrong ratio"}).status == 200
    assert _holding(client, path) == ("40.000000000", "1000.00", "0.000000000")
    assert platform.call("DELETE", f"{split}?reason=another%20symbol").status == 200
    assert _holding(client, path) == ("10.000000000", "1000.00", "0.000000000")


def test_a_split_that_contradicts_recorded_sells_gives_one_value_in_every_reader(system: System) -> None:
    """Ten become one, of which four were sold: nothing is left, and three sold units are missing."""
    client, platform, (symbol,) = system.client(tenant="late-splits"), system.client(scopes=PLATFORM), new_symbols(1)
    path = _portfolio(client)
    _trade(client, path, symbol, 10, "1000.00", days_ago=9)
    _trade(client, path, symbol, 4, "440.00", days_ago=3, side="SELL")
    send_quotes(platform, {symbol: "100"})
    wait_until(lambda: _values(client, path) == ("600.00", "600.00"), "the quote is stored")

    assert platform.call("PUT", f"/assets/{symbol}/splits/{EFFECTIVE_ON}", {"ratio": 1, "per": 10}).status == 200

    assert _holding(client, path)[::2] == ("0.000000000", "3.000000000")
    assert _values(client, path) == ("0.00", "0.00")
    assert client.get(f"{path}/cumulative-returns").json["unrealised"] == "0.00"


def test_a_bond_is_bought_in_percent_of_its_nominal(system: System) -> None:
    client, platform, (symbol,) = system.client(tenant="bonds"), system.client(scopes=PLATFORM), new_symbols(1)
    bond = {"name": "Treasury 2035", "asset_class": "bond", "exchange": "OTHER", "quote_unit": "percent"}
    assert platform.call("PUT", f"/assets/{symbol}", bond).status == 200
    path = _portfolio(client, cash="10000.00")

    bought = _trade(client, path, symbol, 10_000, None, days_ago=0, price="98.5", security_type="bond")

    assert (bought.json["amount"], client.get(path).json["cash"]) == ("9850.00", "150.00")
    send_quotes(platform, {symbol: "99"})
    wait_until(lambda: _values(client, path)[0] == "9900.00", "the quote is stored")


def test_income_and_costs_count_in_the_returns_and_are_listed_by_symbol(system: System) -> None:
    client, (symbol,) = system.client(tenant="income"), new_symbols(1)
    path = _portfolio(client, cash="0")
    for ref_id, kind, amount, of in (
        ("in", "deposit", "1000.00", None),
        ("gross", "dividend", "566.13", symbol),
        ("withheld", "tax", "84.92", symbol),
        ("bank", "interest", "1.25", None),
        ("custody", "fee", "1.25", None),
    ):
        entry = {"ref_id": ref_id, "type": kind, "amount": amount, **({"symbol": of} if of else {})}
        assert client.post(f"{path}/cash", entry).status == 201

    rows = client.get(f"{path}/income").json
    assert [(row["symbol"], row["net"]) for row in rows["items"]] == [(None, "0.00"), (symbol, "481.21")]
    corrected = client.call("PATCH", f"{path}/cash/gross", {"amount": "566.08"})
    assert (corrected.json["revision"], corrected.json["history"][0]["amount"]) == (2, "566.13")
    profit = client.get(f"{path}/cumulative-returns").json
    assert (profit["income"], profit["cash_fees"], profit["total"]) == ("567.33", "86.17", "481.16")


def test_cash_below_zero_is_allowed_on_margin_and_refused_when_tracking_is_on(system: System) -> None:
    client, (symbol,) = system.client(tenant="margin"), new_symbols(1)
    path = _portfolio(client, cash="100.00")
    assert client.call("PUT", f"{path}/cash-tracking", {"cash_tracking": "margin"}).status == 200
    _trade(client, path, symbol, 10, "1000.00", days_ago=0)
    assert client.get(path).json["cash"] == "-900.00"

    refused = client.call("PUT", f"{path}/cash-tracking", {"cash_tracking": "on"})

    assert (refused.status, refused.json["type"].rpartition(":")[2]) == (422, "insufficient_cash")
    assert "by 900 at the lowest" in refused.json["detail"]
    client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "900.00", "executed_at": _time(2)})
    assert client.call("PUT", f"{path}/cash-tracking", {"cash_tracking": "on"}).status == 200


def test_an_operator_corrects_a_fill_and_the_cash_follows(system: System) -> None:
    client, platform = system.client(tenant="fills"), system.client(scopes=PLATFORM)
    first, second = new_symbols(2)
    path = hold_target(client, platform, {first: 50, second: 50}, band={"type": "absolute", "value": 1})
    send_quotes(platform, {first: "105"})
    rebalance = wait_until(lambda: ended_rebalance(client, path), "the rebalance ends")
    assert rebalance["status"] == "COMPLETED", rebalance["reason"]
    fill = client.get(f"{path}/trades?symbol={first}").json["items"][0]
    cash = float(client.get(path).json["cash"])
    body = {"amount": str(float(fill["amount"]) - 1), "reason": "the broker's statement says so"}

    assert (
        system.client(tenant="fills", scopes=["trades:write"])
        .call("PATCH", f"{path}/fills/{fill['ref_id']}", body)
        .status
        == 403
    )
    corrected = client.call("PATCH", f"{path}/fills/{fill['ref_id']}", body)

    assert (corrected.status, corrected.json["revision"]) == (200, 2), corrected.text
    assert float(client.get(path).json["cash"]) == round(cash - 1, 2)


def _portfolio(client: Client, **members: Any) -> str:
    """Create a portfolio with a unique name and return the path."""
    answer = client.post("/portfolios", {"user_id": "1", "name": uuid.uuid4().hex, **members})
    assert answer.status == 201, answer.text
    return f"/portfolios/{answer.json['portfolio_id']}"


def _trade(
    client: Client, path: str, symbol: str, quantity: int, amount: str | None, *, days_ago: int, **members: Any
) -> ApiResponse:
    """Record a trade, by default a buy."""
    trade = {"ref_id": uuid.uuid4().hex, "symbol": symbol, "quantity": quantity, "side": "BUY"}
    priced = {"amount": amount} if amount else {}
    body = {
        **trade,
        **priced,
        "security_type": "stock",
        **members,
        **({"executed_at": _time(days_ago)} if days_ago else {}),
    }
    answer = client.post(f"{path}/trades", body)
    assert answer.status == 201, answer.text
    return answer


def _time(days_ago: int) -> str:
    return f"{NOW - timedelta(days=days_ago):%Y-%m-%dT%H:%M:%SZ}"


def _holding(client: Client, path: str) -> tuple[str, str, str]:
    """Return quantity, cost basis and missing sold units of the only holding."""
    (holding,) = client.get(f"{path}/holdings").json["items"]
    return holding["quantity"], holding["cost_basis"], holding["oversold"]


def _values(client: Client, path: str) -> tuple[str, str]:
    """Return the value of the only holding, and the value of the portfolio."""
    (holding,) = client.get(f"{path}/holdings").json["items"]
    portfolio = client.get(path).json
    valued = portfolio["valuation"]["value"] if "valuation" in portfolio else "0.00"
    return holding["market_value"] or "0.00", valued
