"""Trades, holdings, cash, quotes and splits of the deployed system, over HTTP."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.config import ROOT
from infra.local import demo
from infra.local.client import ApiResponse, Client
from tests.e2e import listening
from tests.e2e.conftest import System

SAMPLE = (ROOT / "events" / "direct" / "trades.csv").read_bytes()
NOW = datetime.now(UTC)


def test_trades_and_a_correction_give_the_expected_holding_and_cash(system: System) -> None:
    """Ten bought for 1501 with fees and ten for 1700, five sold for 899; the second buy is corrected to 1600."""
    client, symbol = system.client(tenant="trades"), _symbol()
    path = _portfolio(client, cash="1000.00")
    old = {"ref_id": "in-1", "type": "deposit", "amount": "5000.00", "executed_at": _time(NOW - timedelta(days=100))}
    deposit = client.post(f"{path}/cash", old)
    assert (deposit.status, client.get(path).json["cash"]) == (201, "6000.00")

    for trade in (
        _trade("first", symbol, 10, days_ago=90, amount="1500.00", fees="1.00"),
        _trade("middle", symbol, 10, days_ago=60, price="170"),
        _trade("sale", symbol, 5, days_ago=30, side="SELL", amount="900.00", fees="1.00"),
    ):
        assert client.post(f"{path}/trades", trade).status == 201
    assert _only_holding(client, path) == ("15.000000000", "2400.75", "98.75", "3698.00")

    too_many = client.post(f"{path}/trades", _trade("short", symbol, 16, side="SELL", amount="1"))
    assert (too_many.status, _problem(too_many)) == (422, "insufficient_quantity")

    corrected = client.call("PATCH", f"{path}/trades/middle", {"amount": "1600.00"})
    assert (corrected.status, corrected.json["revision"]) == (200, 2)
    assert [each["amount"] for each in corrected.json["history"]] == ["1700.00"]
    assert _only_holding(client, path) == ("15.000000000", "2325.75", "123.75", "3798.00")

    listed = client.get(f"{path}/trades?symbol={symbol}&limit=2").json["items"]
    assert [each["ref_id"] for each in listed] == ["sale", "middle"]


def test_a_repeated_trade_gets_the_first_answer_and_another_under_its_ref_id_is_refused(system: System) -> None:
    client = system.client(tenant="repeats")
    path = _portfolio(client)
    trade = _trade("once", _symbol(), 3, amount="30.00")

    first, again = (client.post(f"{path}/trades", trade) for _ in range(2))
    other = client.post(f"{path}/trades", {**trade, "amount": "31.00"})

    assert (first.status, first.json) == (again.status, again.json)
    assert (other.status, _problem(other)) == (409, "ref_id_reused")
    assert len(client.get(f"{path}/trades").json["items"]) == 1
    assert client.get(f"{path}/holdings").json["items"][0]["quantity"] == "3.000000000"


def test_quotes_price_a_holding_and_a_split_keeps_the_cost_basis(system: System) -> None:
    client, symbol = system.client(tenant="prices"), _symbol()
    path = _portfolio(client)
    client.post(f"{path}/trades", _trade("held", symbol, 15, days_ago=3, amount="2325.75"))
    assert client.get(f"{path}/cumulative-returns").json["unpriced"] == [symbol]
    quotes = {"quotes": [{"symbol": symbol, "price": "200.00", "as_of": _time(NOW)}]}

    assert system.client(scopes=["market:read"]).post("/quotes", quotes).status == 403
    platform = system.client(tenant="platform", scopes=["market:write"])
    assert [platform.post("/quotes", quotes).json for _ in range(2)] == [
        {"accepted": 1, "held": [], "outdated": []}
    ] * 2

    (holding,) = demo.poll(
        lambda: client.get(f"{path}/holdings").json["items"],
        lambda items: items[0]["price"] is not None,
        "the quote was not stored",
        120,
    )
    assert (holding["price"], holding["market_value"]) == ("200.000000000", "3000.00")
    returns = client.get(f"{path}/cumulative-returns").json
    assert (returns["realised"], returns["unrealised"], returns["total"]) == ("0.00", "674.25", "674.25")
    assert (returns["return_value"], returns["unpriced"]) == ("674.25", [])

    split = platform.call("PUT", f"/assets/{symbol}/splits/{NOW - timedelta(days=1):%Y-%m-%d}", {"ratio": 3})
    assert split.status == 200, split.text
    (holding,) = client.get(f"{path}/holdings").json["items"]
    assert (holding["quantity"], holding["cost_basis"]) == ("45.000000000", "2325.75")
    assert holding["average_cost"] == "51.683333333"

    portfolio_id = path.rpartition("/")[2]
    summary = client.get(f"/portfolio-summary?user_id=1&portfolio_id={portfolio_id}").json
    assert summary["count"] == 1
    assert (summary["results"][0]["ticker"], summary["results"][0]["volume"]) == (symbol, "45.000000000")


def test_a_file_is_imported_once_and_a_file_with_an_invalid_row_not_at_all(system: System) -> None:
    client = system.client(tenant="imports")
    path = _portfolio(client)

    bad = _import(client, path, SAMPLE + b"import-9,BUY,stock,AAPL,-1,5.00,,,success,\n")
    assert bad.status == 400
    assert [each["field"] for each in bad.json["errors"]] == ["line 6: quantity"]
    assert client.get(f"{path}/trades").json["items"] == []

    imports = [_import(client, path, SAMPLE).json for _ in range(2)]
    assert [(each["recorded"], each["already_recorded"]) for each in imports] == [(4, 0), (0, 4)]
    assert [each["import_id"] for each in client.get(f"{path}/imports").json["items"]] == [imports[0]["import_id"]]
    holdings = client.get(f"{path}/holdings").json["items"]
    assert [(each["symbol"], each["quantity"], each["cost_basis"]) for each in holdings] == [
        ("AAPL", "6.000000000", "900.60"),
        ("VWCE.DE", "25.500000000", "2580.60"),
    ]


def test_another_tenant_cannot_find_the_portfolio(system: System) -> None:
    path = _portfolio(system.client(tenant="owner"))
    stranger = system.client(tenant="stranger")
    trade = _trade("theft", _symbol(), 1, amount="1.00")

    answers = [
        stranger.post(f"{path}/trades", trade),
        stranger.call("PATCH", f"{path}/trades/theft", {"quantity": 2}),
        stranger.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": 1}),
        _import(stranger, path, SAMPLE),
        *(stranger.get(f"{path}/{resource}") for resource in ("trades", "holdings", "cumulative-returns")),
    ]

    assert {answer.status for answer in answers} == {404}


def test_a_recorded_trade_is_published_on_the_bus(system: System) -> None:
    client = system.client(tenant="told")
    path = _portfolio(client)
    data = {"portfolio_id": [path.rpartition("/")[2]]}
    with listening.bus(system, {"detail-type": ["trade.recorded"], "detail": {"data": data}}) as queue:
        trade = _trade("told-1", _symbol(), 2, amount="20.00")
        assert client.post(f"{path}/trades", trade).status == 201

        event = json.loads(listening.received(system, queue))["detail"]

    assert (event["type"], event["tenantid"], event["data"]["ref_id"]) == ("trade.recorded", "told", "told-1")
    assert (event["data"]["quantity"], event["data"]["revision"]) == ("2", 1)


def _portfolio(client: Client, **members: Any) -> str:
    """Create a portfolio with a unique name and return the path."""
    answer = client.post("/portfolios", {"user_id": "1", "name": uuid.uuid4().hex, **members})
    assert answer.status == 201, answer.text
    return f"/portfolios/{answer.json['portfolio_id']}"


def _symbol() -> str:
    """Return a unique symbol: quotes and splits are shared by all tests."""
    return f"E2E-{uuid.uuid4().hex[:8]}"


def _trade(ref_id: str, symbol: str, quantity: int, *, days_ago: int = 1, **members: Any) -> dict[str, Any]:
    given = {"ref_id": ref_id, "symbol": symbol, "quantity": quantity, "side": "BUY", "security_type": "stock"}
    return {**given, "executed_at": _time(NOW - timedelta(days=days_ago)), **members}


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _only_holding(client: Client, path: str) -> tuple[str, str, str, str]:
    """Return quantity, cost basis and realised profit of the only holding, and the cash of the portfolio."""
    holdings = client.get(f"{path}/holdings").json
    (holding,) = holdings["items"]
    return holding["quantity"], holding["cost_basis"], holding["realised_profit"], holdings["cash"]


def _import(client: Client, path: str, text: bytes) -> ApiResponse:
    return client.call("POST", f"{path}/trades/import", raw=text, headers={"Content-Type": "text/csv"})


def _problem(answer: ApiResponse) -> str:
    return str(answer.json["type"]).rpartition(":")[2]
