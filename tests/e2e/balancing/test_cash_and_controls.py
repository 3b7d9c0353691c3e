"""Deposits, withdrawals, controls and splits on the deployed system, over HTTP only."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from infra.local.client import Client
from tests.e2e.balancing.steps import (
    PENDING,
    PLATFORM,
    create_portfolio,
    ended_rebalance,
    hold_target,
    last_reason,
    new_symbols,
    send_quotes,
    wait_until,
)
from tests.e2e.conftest import System
from tests.e2e.variables import changed_variables


def test_a_deposit_is_invested_and_a_withdrawal_sells_for_its_cash(system: System) -> None:
    client, platform = system.client(tenant="cash"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = new_symbols(2)
    path = hold_target(client, platform, {one: 50, two: 50})
    # Set now, because the first deposit pays for recorded trades.
    assert client.call("PATCH", path, {"on_deposit": "invest"}).status == 200

    assert client.post(f"{path}/cash", {"ref_id": "more", "type": "deposit", "amount": "1000"}).status == 201
    invested = wait_until(lambda: ended_rebalance(client, path), "the deposit is invested")
    assert (invested["status"], invested["trigger"]) == ("COMPLETED", "deposit"), invested
    wait_until(lambda: last_reason(client, path) == "within_band", "the watches are written")
    assert Decimal(client.get(f"{path}/holdings").json["cash"]) < 30, "only the cash buffer is left"

    found = client.get(f"{path}/triggers").json
    assert [trigger["symbol"] for trigger in found["triggers"]] == sorted([one, two])
    assert all(Decimal(each["at_or_below"]) < 100 < Decimal(each["at_or_above"]) for each in found["triggers"])

    refused = client.post(f"{path}/withdrawals", {"amount": "20000"})
    assert (refused.status, refused.json["type"].rpartition(":")[2]) == (422, "insufficient_funds"), refused.text
    asked = client.post(f"{path}/withdrawals", {"amount": "500", "request_id": "rent"})
    assert asked.status == 202, asked.text
    paid = wait_until(lambda: _ended(client, asked.json["links"]["self"]), "the withdrawal has ended")
    assert (paid["status"], paid["withdrawal"]["is_paid"]) == ("COMPLETED", True), paid
    assert {order["side"] for order in paid["execution"]["orders"]} == {"SELL"}
    entries = client.get(f"{path}/cash").json["items"]
    assert [
        (entry["type"], entry["amount"]) for entry in entries if entry["ref_id"] == paid["withdrawal"]["ref_id"]
    ] == [("withdrawal", "500.00")]


def test_a_plan_beyond_a_control_is_refused_with_the_control_named(system: System) -> None:
    client, platform = system.client(tenant="controlled"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = new_symbols(2)
    path = hold_target(client, platform, {one: 50, two: 50}, max_order_notional="500")

    send_quotes(platform, {one: "130"})
    wait_until(lambda: last_reason(client, path) == "control_refused", "the plan is refused")
    details = client.get(f"{path}/checks/last").json["reason"]["details"]
    (listed,) = client.get("/portfolios?attention=true").json["items"]
    asked = client.post(f"{path}/rebalances", {"request_id": "now"})
    rejected = wait_until(lambda: _ended(client, asked.json["links"]["self"]), "the request is refused")

    assert (details["control"], Decimal(str(details["limit"]))) == ("max_order_notional", Decimal(500))
    assert [entry["code"] for entry in listed["attention"]] == ["control_refused"]
    assert (rejected["status"], rejected["reason"]["code"]) == ("REJECTED", "control_refused")
    assert rejected["execution"] is None


def test_the_commissions_of_a_broker_are_planned_and_never_overdraw_the_cash(system: System) -> None:
    """100 with a commission of 1.00 an order: two orders ended STALE at -0.76 while commissions were unknown."""
    client, platform = system.client(tenant="commissions"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = new_symbols(2)
    path = create_portfolio(client, {one: 50, two: 50}, automation="manual")
    assert client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "100"}).status == 201
    send_quotes(platform, {one: "100", two: "100"})
    wait_until(lambda: all(platform.get(f"/quotes/{each}").status == 200 for each in (one, two)), "quotes are stored")

    with changed_variables(system, "PAPER_SCENARIO", PAPER_SCENARIO='[{"fee": "1.00"}]'):
        body = {"mode": "invest_cash", "dry_run": True}
        planned = client.post(f"{path}/rebalances", body)
        assert client.post(f"{path}/rebalances", {"mode": "invest_cash", "request_id": "now"}).status == 202
        rebalance = wait_until(lambda: ended_rebalance(client, path), "the rebalance has ended")

    assert planned.json["fees"] == "2.00", planned.text
    orders = rebalance["execution"]["orders"]
    assert (rebalance["status"], [each["fees"] for each in orders]) == ("COMPLETED", ["1.00"] * 2), rebalance
    spent = sum((Decimal(each["filled_amount"]) for each in orders), Decimal("2.00"))
    assert Decimal("0.25") <= Decimal(client.get(path).json["cash"]) == 100 - spent < 2


def test_between_a_split_and_the_next_quote_every_reader_shows_the_same_value(system: System) -> None:
    client, platform = system.client(tenant="split"), system.client(tenant="platform", scopes=PLATFORM)
    (symbol,) = new_symbols(1)
    path = create_portfolio(client, {symbol: 100}, automation="manual")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before = (midnight - timedelta(hours=1)).isoformat()
    client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "1000", "executed_at": before})
    quote = {"symbol": symbol, "price": "100", "as_of": before}
    assert platform.post("/quotes", {"quotes": [quote]}).status == 202
    wait_until(lambda: platform.get(f"/quotes/{symbol}").status == 200, "the quote is stored")
    trade = {"ref_id": "t", "side": "BUY", "security_type": "stock", "symbol": symbol, "quantity": 10, "price": 100}
    assert client.post(f"{path}/trades", {**trade, "executed_at": before}).status == 201

    split = platform.call("PUT", f"/assets/{symbol}/splits/{midnight.date()}", {"ratio": 4})
    assert split.status == 200, split.text

    (holding,) = client.get(f"{path}/holdings").json["items"]
    assert (Decimal(holding["quantity"]), holding["market_value"]) == (Decimal(40), "1000.00")
    assert client.get(path).json["valuation"]["value"] == "1000.00"
    assert client.get(f"{path}/cumulative-returns").json["unrealised"] == "0.00"
    drifts = client.get(f"{path}/drift").json["assets"]
    assert [drift["value"] for drift in drifts if drift["asset"] == symbol] == ["1000.00"]


def _ended(client: Client, path: str) -> Any:
    """Return the rebalance at the path if it has ended."""
    rebalance = client.get(path).json
    return rebalance if rebalance["status"] not in PENDING else None
