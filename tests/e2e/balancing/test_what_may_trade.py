"""What may start and shape a trade, on the deployed system: held prices, quarantine, halted assets and dry runs."""

from decimal import Decimal
from typing import Any

from infra.local.client import Client
from tests.e2e.balancing.steps import (
    PLATFORM,
    create_portfolio,
    ended_rebalance,
    hold_target,
    last_reason,
    new_symbols,
    now,
    send_quotes,
    wait_until,
)
from tests.e2e.conftest import System


def test_a_held_price_is_neither_valued_nor_traded_until_a_person_releases_the_price(system: System) -> None:
    client, platform = system.client(tenant="plausible"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = new_symbols(2)
    path = hold_target(client, platform, {one: 50, two: 50})

    answer = _post_quote(platform, one, "10000")
    held = wait_until(lambda: platform.get(f"/quotes/{one}").json["held"], "the price is held")

    assert [(each["symbol"], each["reason"]) for each in answer["held"]] == [(one, "price_jump")]
    assert (held["price"], held["expected"]) == ("10000", "100")
    assert platform.get(f"/quotes/{one}").json["price"] == "100"
    assert _value(client, path) == Decimal(10000)
    _post_quote(platform, one, "10001")  # a repetition of the same source confirms nothing
    wait_until(lambda: platform.get(f"/quotes/{one}").json["held"]["price"] == "10001", "the newer price is held")
    assert ended_rebalance(client, path) is None

    released = platform.post(f"/quotes/{one}/release", {"price": "10001"})
    assert released.status == 200, released.text
    rebalance = wait_until(lambda: ended_rebalance(client, path), "the released price is traded")
    assert (rebalance["status"], rebalance["trigger"]) == ("COMPLETED", "price"), rebalance


def test_a_withdrawn_quote_leaves_the_previous_price(system: System) -> None:
    client, platform = system.client(tenant="withdrawn"), system.client(tenant="platform", scopes=PLATFORM)
    (one,) = new_symbols(1)
    path = hold_target(client, platform, {one: 100})
    _post_quote(platform, one, "120")
    wrong = wait_until(lambda: _quote_at(platform, one, "120"), "the wrong price is stored")
    assert _value(client, path) == Decimal(12000)

    withdrawn = platform.call("DELETE", f"/quotes/{one}?as_of={wrong['as_of']}&reason=fat%20finger")

    assert (withdrawn.status, withdrawn.json["price"]) == (200, "100"), withdrawn.text
    assert _value(client, path) == Decimal(10000)


def test_a_permanent_refusal_quarantines_the_symbol_and_stops_further_trades(system: System) -> None:
    client, platform = system.client(tenant="refused"), system.client(tenant="platform", scopes=PLATFORM)
    operator = system.client(tenant="refused", scopes=["operator"])
    one, two = new_symbols(2)
    path = hold_target(client, platform, {one: 50, two: 30, "UNTRADABLE": 20})

    send_quotes(platform, {one: "130"})
    rolled_back = wait_until(lambda: _rolled_back(client, path), "the rebalance is rolled back")
    for price in ("136", "137", "138", "139", "140"):
        send_quotes(platform, {one: price})
    wait_until(lambda: last_reason(client, path) == "backing_off", "the next checks back off")

    assert len(client.get(f"{path}/rebalances").json["items"]) == 1
    portfolio = client.get(path).json
    assert portfolio["quarantine"]["UNTRADABLE"]["restriction"] == "no_buy"
    assert portfolio["backing_off"]["rebalance_id"] == rolled_back["rebalance_id"]
    (listed,) = client.get("/portfolios?attention=true").json["items"]
    assert "quarantined" in [entry["code"] for entry in listed["attention"]]
    lifted = operator.call("DELETE", f"{path}/quarantine/UNTRADABLE?reason=listed%20again")
    assert lifted.status == 204, lifted.text
    assert client.get(path).json["quarantine"] == {}


def test_a_halted_asset_keeps_its_value_and_the_rest_is_balanced(system: System) -> None:
    client, platform = system.client(tenant="frozen"), system.client(tenant="platform", scopes=PLATFORM)
    one, two, halted = new_symbols(3)
    path = hold_target(client, platform, {one: 40, two: 30, halted: 30})
    asset = {"name": "Halted", "exchange": "CRYPTO", "halted": True}
    assert platform.call("PUT", f"/assets/{halted}", asset).status == 200

    send_quotes(platform, {one: "135"})
    rebalance = wait_until(lambda: ended_rebalance(client, path), "the rest is balanced")

    assert {order["symbol"] for order in rebalance["execution"]["orders"]} == {one, two}
    assert rebalance["status"] == "COMPLETED"


def test_a_dry_run_stores_nothing_and_equals_the_run_that_follows(system: System) -> None:
    client, platform = system.client(tenant="dry"), system.client(tenant="platform", scopes=PLATFORM)
    one, two = new_symbols(2)
    path = create_portfolio(client, {one: 50, two: 50}, automation="manual")
    client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "10000"})
    send_quotes(platform, {one: "100", two: "50"})
    wait_until(lambda: _quote_at(platform, two, "50"), "the quotes are stored")

    dry = client.post(f"{path}/rebalances", {"dry_run": True})
    assert dry.status == 200, dry.text
    assert client.get(f"{path}/rebalances").json["items"] == []
    client.post(f"{path}/rebalances", {"request_id": "run"})
    run = wait_until(lambda: ended_rebalance(client, path), "the rebalance has ended")

    planned = [(order["symbol"], order["side"]) for order in dry.json["orders"]]
    assert planned == [(order["symbol"], order["side"]) for order in run["execution"]["orders"]][: len(planned)]
    assert [order["quantity"] for order in dry.json["orders"]] == [
        order["quantity"] for order in run["execution"]["orders"]
    ][: len(planned)]


def _post_quote(platform: Client, symbol: str, price: str) -> Any:
    answer = platform.post("/quotes", {"quotes": [{"symbol": symbol, "price": price, "as_of": now()}]})
    assert answer.status == 202, answer.text
    return answer.json


def _quote_at(platform: Client, symbol: str, price: str) -> Any:
    answer = platform.get(f"/quotes/{symbol}")
    return answer.json if answer.status == 200 and answer.json["price"] == price else None


def _value(client: Client, path: str) -> Decimal:
    holdings = client.get(f"{path}/holdings").json
    values = (Decimal(holding["market_value"]) for holding in holdings["items"])
    return sum(values, Decimal(holdings["cash"]))


def _rolled_back(client: Client, path: str) -> Any:
    rebalance = ended_rebalance(client, path)
    return rebalance if rebalance and rebalance["status"] == "ROLLED_BACK" else None
