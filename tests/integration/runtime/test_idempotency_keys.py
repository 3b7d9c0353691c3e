"""Idempotency keys: each creating POST takes a key, quoted or not, with the same behaviour."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.compat_api import handler as compat_function
from functions.compat_api.handler import MODULES
from functions.platform_api import handler as platform_function
from tests.support.system import ALL_SCOPES, APPS, TABLE, Answer, System, authorized
from trimtab.portfolios.portfolio.model import portfolio_id_of

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/runtime/idempotency_key.v1.json").read_text())
"""The stored key `k` of the request that records `TRADE`."""
ID = portfolio_id_of("demo", "1", "default")
HOME = "/portfolios/{portfolio_id}"
TARGET = {"stocks": 60, "bonds": 40}
TRADE = {"ref_id": "t1", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "amount": 10}
DEPOSIT = {"ref_id": "c1", "type": "deposit", "amount": 50}
BET = {"user_id": "1", "market_id": "m", "selection_id": "s", "side": "BACK", "stake": 10, "odds": 2}
ESTIMATE = {"market_id": "m", "selection_id": "s", "expected_value": 0, "momentum": 0, "implied_probability": 0.5}
QUOTE = {"symbol": "AAPL", "price": 1, "as_of": "2024-01-01T00:00:00Z"}
REPORT = {"user_id": "1", "new_allocation": {"stocks": 50, "bonds": 50}}
EARLIER = {"ref_id": "e1", "user_id": "1", "portfolio": ID, "trade_type": 1, "security_type": "stock", "ticker": "AAPL"}
HOOK = "http://127.0.0.1:9/"
ALL_IN = {"stocks": 100}
CASES: dict[str, tuple[Any, Any]] = {
    "/portfolio": ({"user_id": "1", "allocation": TARGET}, {"user_id": "1", "name": "b", "allocation": TARGET}),
    "/portfolios": ({"user_id": "2", "allocation": TARGET}, {"user_id": "3", "allocation": TARGET}),
    f"{HOME}/trades": (TRADE, {**TRADE, "ref_id": "t2"}),
    f"{HOME}/cash": (DEPOSIT, {**DEPOSIT, "ref_id": "c2"}),
    f"{HOME}/trades/import": (
        "ref_id,side,security_type,symbol,quantity,amount\nt3,BUY,stock,AAPL,1,10\n",
        "ref_id,side,security_type,symbol,quantity,amount\nt4,BUY,stock,AAPL,1,10\n",
    ),
    f"{HOME}/cash/import": ("ref_id,type,amount\nc3,deposit,10\n", "ref_id,type,amount\nc4,deposit,10\n"),
    f"{HOME}/links": ({"resource": "drift"}, {"resource": "sectors"}),
    f"{HOME}/reports": ({"month": "2026-09"}, {"month": "2026-08"}),
    f"{HOME}/rebalances": ({}, {"mode": "sell_only"}),
    f"{HOME}/withdrawals": ({"amount": 1}, {"amount": 2}),
    "/rebalance": (REPORT, {**REPORT, "new_allocation": TARGET}),
    "/quotes": ({"quotes": [QUOTE]}, {"quotes": [{**QUOTE, "price": 2}]}),
    "/orders": (BET, {**BET, "stake": 11}),
    "/insights": (ESTIMATE, {**ESTIMATE, "momentum": 1}),
    "/webhooks": ({"url": HOOK, "types": ["*"]}, {"url": f"{HOOK}other", "types": ["*"]}),
    "/compat/portfolio": ({"UserID": 5, "allocation": TARGET}, {"UserID": 6, "allocation": TARGET}),
    "/compat/rebalance": (
        {"userId": "1", "new_allocation": TARGET},
        {"userId": "1", "new_allocation": ALL_IN},
    ),
    "/api/v1/portfolio": ({"user_id": 7, "name": "Second"}, {"user_id": 7, "name": "Third"}),
    "/api/v1/trade": ({**EARLIER, "volume": 1, "amount": 10}, {**EARLIER, "ref_id": "e2", "volume": 1, "amount": 10}),
    "/api/v1/orders": ({**BET, "user_id": 8}, {**BET, "user_id": 8, "stake": 11}),
}
"""A body of each route that creates, and another body."""

ACTIONS = {
    f"{HOME}/rebalances/preview",
    f"{HOME}/rebalances/{{rebalance_id}}/cancel",
    f"{HOME}/resolve",
    "/webhooks/{webhook_id}/rotate",
    "/webhooks/{webhook_id}/test",
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    "/quotes/{symbol}/release",
    "/orders/{order_id}/cancel",
    "/orders/{order_id}/settle",
    "/markets/{market_id}/settle",
    "/markets/{market_id}/{action}",
    "/markets/{market_id}/resettle",
    "/orders/{order_id}/resettle",
    "/api/v1/portfolio/{portfolio_id}/recalculate-summary",
    "/api/v1/orders/{order_id}/settle",
}
"""The routes that create nothing: they compute, or change what exists."""

KEYS = ["k", '"k"', "x" * 255, "order #1"]


def posts() -> Iterator[tuple[str, set[str]]]:
    """Yield every POST of the API with the names of its header parameters."""
    earlier = [import_module(f"{compat_function.__name__.rpartition('.')[0]}.{name}").app for name in MODULES]
    for app in (*(function.app for function in APPS), platform_function.app, *earlier):
        for route in app._routes():
            if route.method == "POST":
                yield str(route.openapi_path), {field.alias.lower() for field in route.dependant.header_params}


def test_every_post_that_creates_takes_a_key() -> None:
    found = dict(posts())
    assert found.keys() == CASES.keys() | ACTIONS, "a new POST belongs to one of the two tables"
    assert {path for path, headers in found.items() if "idempotency-key" in headers} == CASES.keys()


def send(system: System, path: str, body: Any, key: str | None) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    if isinstance(body, str):
        headers["Content-Type"] = "text/csv"
    caller = authorized(scope=f"{ALL_SCOPES} market:write")
    return system.http("POST", path.format(portfolio_id=ID), body, headers=headers, authorizer=caller)


def prepare(system: System) -> None:
    system.portfolio(allocation=TARGET)
    assert send(system, f"{HOME}/cash", {**DEPOSIT, "ref_id": "first", "amount": 1000}, None).status == 201


@pytest.mark.parametrize("path", CASES)
def test_a_repeated_request_is_answered_again_and_another_body_gets_409(system: System, path: str) -> None:
    prepare(system)
    body, other = CASES[path]
    first, again, quoted = (send(system, path, body, key) for key in ("k", "k", '"k"'))
    assert first.status in {200, 201, 202}, first.text
    assert (first.status, first.status) == (again.status, quoted.status), again.text
    assert identity(first) == identity(again) == identity(quoted)
    refused = send(system, path, other, "k")
    assert refused.status == 409, refused.text
    if not path.startswith(("/api/", "/compat/")):
        assert refused.json["type"].rpartition(":")[2] in {"request_id_reused", "key_reused"}
    assert send(system, path, other, "another").status < 500, "another key makes no difference"


def identity(answer: Answer) -> Any:
    """Return the ids in an answer: the rest is the present state, a link counts its time anew."""
    body = answer.json
    names = {"portfolio_id", "rebalance_id", "ref_id", "import_id", "webhook_id", "secret", "id", "order", "Order"}
    return {name: body[name] for name in names & body.keys()} if isinstance(body, dict) else body


@pytest.mark.parametrize("key", KEYS)
def test_a_key_has_1_to_255_printable_characters_quoted_or_not(system: System, key: str) -> None:
    prepare(system)
    assert send(system, f"{HOME}/trades", TRADE, key).status == 201
    assert send(system, f"{HOME}/trades", {**TRADE, "ref_id": "t2"}, key).status == 409
    for malformed in ("", "x" * 256, "a\tb"):
        assert send(system, f"{HOME}/trades", TRADE, malformed).status == 400


def test_blanks_and_the_order_of_members_do_not_make_another_body(system: System) -> None:
    prepare(system)
    assert send(system, f"{HOME}/trades", TRADE, "k").status == 201
    assert send(system, f"{HOME}/trades", dict(reversed(TRADE.items())), "k").status == 201
    path = f"/portfolios/{ID}/cash/import"
    file, headers = CASES[f"{HOME}/cash/import"][0], {"Idempotency-Key": "k", "Content-Type": "text/csv"}
    assert system.http("POST", path, file, headers=headers).status == 200
    comma = system.http("POST", path, file, headers=headers, query={"decimal": "comma"})
    assert comma.status == 409, "the query is part of the request"


def test_a_key_is_bound_to_its_user_and_path(system: System) -> None:
    prepare(system)
    assert send(system, f"{HOME}/trades", TRADE, "k").status == 201
    assert send(system, f"{HOME}/cash", DEPOSIT, "k").status == 201
    path, trade, key = f"/portfolios/{ID}/trades", {**TRADE, "ref_id": "t2"}, {"Idempotency-Key": "k"}
    assert system.http("POST", path, trade, headers=key, authorizer=authorized(user_id="1")).status == 201
    new, stranger = {"user_id": "9", "allocation": TARGET}, authorized("acme")
    assert system.http("POST", "/portfolio", new, headers=key, authorizer=stranger).status == 201


def test_an_invalid_body_binds_no_key_and_a_request_without_a_key_stores_none(system: System) -> None:
    prepare(system)
    assert send(system, f"{HOME}/trades", {**TRADE, "quantity": -1}, "k").status == 400
    assert send(system, f"{HOME}/trades", TRADE, "k").status == 201
    before = len([item for item in system.items() if item["sk"]["S"] == "KEY"])
    assert send(system, f"{HOME}/trades", {**TRADE, "ref_id": "t2"}, None).status == 201
    keys = [item for item in system.items() if item["sk"]["S"] == "KEY"]
    assert (before, len(keys)) == (1, 1)
    assert [plain_item(key) for key in keys] == [GOLDEN]


def plain_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as JSON."""
    return {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}


def test_a_key_of_an_earlier_release_is_honoured(system: System) -> None:
    prepare(system)
    item = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in GOLDEN.items()}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=item)
    assert send(system, f"{HOME}/trades", {**TRADE, "ref_id": "t2"}, "k").status == 409
    assert send(system, f"{HOME}/trades", TRADE, "k").status == 201
