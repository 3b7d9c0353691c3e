"""Statements of three brokers with every kind of row, imported by preset over HTTP into the deployed system."""

import uuid
from typing import Any

import pytest

from infra.local import demo
from infra.local.client import Client
from tests.e2e.conftest import System
from tests.support.statements import PRICES, STATEMENTS, Statement, found_holdings, found_income, spin_off


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.preset)
def test_a_statement_imported_twice_is_recorded_once_with_cash_holdings_income_and_profit(
    system: System, statement: Statement
) -> None:
    symbols = {symbol: f"{symbol}{uuid.uuid4().hex[:8]}" for symbol in PRICES}
    client, platform = system.client(tenant="statements"), system.client(tenant="platform", scopes=["market:write"])
    split = platform.call("PUT", f"/assets/{symbols['AAPL']}/splits/2026-02-20", {"ratio": 4, "per": 1})
    assert split.status == 200, split.text
    created = client.post("/portfolios", {"user_id": "1", "name": statement.preset})
    path = f"/portfolios/{created.json['portfolio_id']}"

    first = [_import(client, path, kind, statement, symbols) for kind in ("cash", "trades")]
    assert tuple(each["recorded"] for each in first) == statement.recorded
    assert client.post(f"{path}/trades", spin_off(statement, symbols)).status == 201
    again = [_import(client, path, kind, statement, symbols) for kind in ("cash", "trades")]
    assert [(each["recorded"], each["already_recorded"]) for each in again] == [(0, n) for n in statement.recorded]

    holdings = client.get(f"{path}/holdings").json
    assert holdings["cash"] == statement.cash
    assert found_holdings(holdings, symbols) == statement.holdings
    assert found_income(client.get(f"{path}/income").json, symbols) == statement.income
    quotes = [
        {"symbol": symbols[symbol], "price": price, "as_of": "2026-04-01T15:00:00Z"} for symbol, price in PRICES.items()
    ]
    assert platform.post("/quotes", {"quotes": quotes}).status == 202
    profit = demo.poll(
        lambda: client.get(f"{path}/cumulative-returns").json,
        lambda view: not view["unpriced"],
        "the quotes were not stored",
        120,
    )
    assert (profit["realised"], profit["unrealised"], profit["total"]) == statement.profit


def _import(client: Client, path: str, kind: str, statement: Statement, symbols: dict[str, str]) -> Any:
    text = statement.text(symbols).encode()
    headers = {"Content-Type": "text/csv"}
    answer = client.call("POST", f"{path}/{kind}/import?preset={statement.preset}", raw=text, headers=headers)
    assert answer.status == 200, answer.text
    return answer.json
