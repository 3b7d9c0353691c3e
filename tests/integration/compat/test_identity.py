"""Tokens, scopes, tenants and methods at the routes for clients of earlier systems."""

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from functions.compat_api import handler as compat_function
from infra.constructs.routes import routes_of
from tests.support.system import ALL_SCOPES, System, authorized
from trimtab.betting.domain.orders import derive_order_id
from trimtab.portfolios.portfolio.model import portfolio_id_of

TARGET = {"stocks": 60, "bonds": 40}
PORTFOLIO_ID = portfolio_id_of("demo", "1", "default")
TRADE = {
    **{"ref_id": "t1", "user_id": "1", "portfolio": PORTFOLIO_ID, "trade_type": 1, "security_type": "stock"},
    **{"ticker": "AAPL", "volume": 1, "amount": 10},
}
BET = {"user_id": 1, "market_id": "m", "selection_id": "s", "side": "BACK", "stake": 10, "odds": 2}
SETTLE = ("POST", "/api/v1/orders/{order_id}/settle")
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/compat/portfolio"): {"body": {"UserID": 1, "allocation": TARGET}, "scope": "portfolios:write"},
    ("GET", "/compat/portfolio"): {"query": {"userId": "1"}, "scope": "portfolios:read"},
    ("POST", "/compat/rebalance"): {"body": {"userId": "1", "new_allocation": TARGET}, "scope": "portfolios:write"},
    ("GET", "/compat/rebalance/list"): {"query": {"userId": "1"}, "scope": "portfolios:read"},
    ("POST", "/api/v1/portfolio"): {"body": {"user_id": 1, "name": "Second"}, "scope": "portfolios:write"},
    ("GET", "/api/v1/portfolio"): {"scope": "portfolios:read"},
    ("GET", "/api/v1/portfolio/{portfolio_id}"): {"scope": "portfolios:read"},
    ("PATCH", "/api/v1/portfolio/{portfolio_id}"): {"body": {"name": "Third"}, "scope": "portfolios:write"},
    ("PUT", "/api/v1/portfolio/{portfolio_id}"): {"body": {"name": "Third"}, "scope": "portfolios:write"},
    ("POST", "/api/v1/portfolio/{portfolio_id}/recalculate-summary"): {"scope": "portfolios:read"},
    ("GET", "/api/v1/portfolio/{portfolio_id}/cumulative-returns"): {"scope": "trades:read"},
    ("GET", "/api/v1/portfolio-summary"): {"query": {"portfolio_id": PORTFOLIO_ID}, "scope": "trades:read"},
    ("POST", "/api/v1/trade"): {"body": {**TRADE, "ref_id": "t2"}, "scope": "trades:write"},
    ("GET", "/api/v1/trade"): {"scope": "trades:read"},
    ("GET", "/api/v1/trade/{ref_id}"): {"scope": "trades:read"},
    ("PATCH", "/api/v1/trade/{ref_id}"): {"body": {"volume": 2}, "scope": "trades:write"},
    ("PUT", "/api/v1/trade/{ref_id}"): {"body": TRADE, "scope": "trades:write"},
    ("POST", "/api/v1/orders"): {"body": BET, "scope": "betting:write"},
    SETTLE: {"body": {"won": True}, "scope": "betting:write"},
    ("GET", "/api/v1/orders/open/{user_id}"): {"scope": "betting:read"},
    ("GET", "/api/v1/positions/{user_id}"): {"scope": "betting:read"},
    ("GET", "/api/v1/metrics/{user_id}"): {"scope": "betting:read"},
}
"""A request that succeeds for each route, and the scope that the route needs."""

IDS = {
    **{"portfolio_id": PORTFOLIO_ID, "ref_id": "t1", "user_id": "1"},
    "order_id": derive_order_id("demo", "1", "bet"),
}
LISTS = {("GET", "/api/v1/portfolio"), ("GET", "/api/v1/trade")}
CREATING = {("POST", "/compat/portfolio"), ("POST", "/api/v1/portfolio"), ("POST", "/api/v1/orders")}
OF_A_USER = {("GET", path) for _, path in REQUESTS if "{user_id}" in path}


def send(system: System, method: str, path: str, **authorizer: str) -> Any:
    """Return the answer to the request of a route, as the given caller."""
    request = {name: value for name, value in REQUESTS[method, path].items() if name != "scope"}
    body, caller = request.pop("body", None), authorized(**authorizer)
    return system.http(method, path.format(**IDS), body, authorizer=caller, **request)


@pytest.fixture
def filled(system: System) -> System:
    """Store a resource for every route."""
    system.portfolio(allocation=TARGET)
    assert system.http("POST", "/api/v1/trade", TRADE).status == 201
    assert system.http("POST", "/api/v1/orders", BET, headers={"Idempotency-Key": "bet"}).status == 201
    return system


def test_every_route_has_a_request() -> None:
    apps = [import_module(f"functions.compat_api.{name}").app for name in compat_function.MODULES]
    assert {(route.method, route.openapi_path) for app in apps for route in app._routes()} == set(REQUESTS)
    methods = {(route.method, route.path) for route in routes_of("compat_api")}
    trees = {(method, "/".join(path.split("/")[: 3 if "/v1/" in path else 2])) for method, path in REQUESTS}
    assert {(method, f"{tree}/{{proxy+}}") for method, tree in trees} <= methods


def test_only_the_modules_of_the_requested_api_are_imported() -> None:
    code = (
        "import sys; from functions.compat_api import handler; handler.api_of('/api/v1/orders'); "
        "print(*(name for name in sys.modules if name.startswith('trimtab.')))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "trimtab.betting.wiring" in loaded
    assert not [name for name in loaded if name.startswith(("trimtab.portfolios", "trimtab.market"))]


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/trade/a/b", "/compat/orders"])
def test_a_path_that_no_api_has_is_not_found(system: System, path: str) -> None:
    assert system.http("GET", path).status == 404


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_route_needs_its_scope_and_no_other(filled: System, method: str, path: str) -> None:
    scope = REQUESTS[method, path]["scope"]
    without = " ".join(set(ALL_SCOPES.split()) - {scope})
    refused = send(filled, method, path, scope=without)
    assert (refused.status, scope in refused.text) == (403, True)
    assert refused.headers["Content-Type"] == "application/json"
    assert send(filled, method, path, scope=scope).status < 300


@pytest.mark.parametrize(("method", "path"), sorted(set(REQUESTS) - CREATING - OF_A_USER))
def test_another_tenant_finds_nothing(filled: System, method: str, path: str) -> None:
    answer = send(filled, method, path, tenant_id="acme")
    assert answer.status == (200 if (method, path) in LISTS else 404)
    assert (method, path) not in LISTS or answer.json["results"] == []


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_the_token_of_a_user_acts_for_this_user_only(filled: System, method: str, path: str) -> None:
    before = filled.items()
    answer = send(filled, method, path, user_id="2")
    assert answer.status in ({200} if (method, path) in LISTS else {403, 404})
    assert (method, path) not in LISTS or answer.json["results"] == []
    assert filled.items() == before
    own = send(filled, method, path, user_id="1")
    assert own.status < 300 or (own.status, (method, path)) == (403, SETTLE), "only the platform settles"


@pytest.mark.parametrize(("method", "path"), sorted(OF_A_USER))
def test_bets_of_another_tenant_are_not_shown(filled: System, method: str, path: str) -> None:
    ours, theirs = (send(filled, method, path, tenant_id=tenant).json for tenant in ("demo", "acme"))
    assert ours != theirs
    assert theirs == [] or theirs["orders_placed"] == 0


def test_a_missing_token_is_refused_in_the_form_of_the_earlier_system(system: System) -> None:
    answer = system.http("GET", "/compat/portfolio", query={"userId": "1"}, authorizer=None)
    assert (answer.status, list(answer.json)) == (401, ["error"])
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_other_methods_are_answered_as_everywhere(filled: System) -> None:
    refused = filled.http("DELETE", "/compat/portfolio")
    assert (refused.status, list(refused.json)) == (405, ["error"])
    assert refused.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    head = filled.http("HEAD", "/compat/portfolio", query={"userId": "2"})
    assert (head.status, head.text) == (404, "")
    assert filled.http("OPTIONS", "/compat/portfolio", authorizer=None).status == 204
    assert filled.http("GET", "/compat/portfolio/", query={"userId": "1"}).status == 200
    assert "Unknown query parameter" in filled.http("GET", "/compat/portfolio", query={"user": "1"}).json["error"]


def test_a_key_makes_a_report_one_report(filled: System) -> None:
    body, headers = {"userId": 1, "new_allocation": {"stocks": 70, "bonds": 30}}, {"Idempotency-Key": "monday"}
    for _ in range(2):
        assert filled.http("POST", "/compat/rebalance", body, headers=headers).status == 200
    filled.drain_queue()
    listed = filled.http("GET", "/compat/rebalance/list", query={"userId": "1"}).json
    assert [(each["asset"], each["action"]) for each in listed] == [("stocks", "SELL"), ("bonds", "BUY")]
    other = filled.http("POST", "/compat/rebalance", {**body, "new_allocation": TARGET}, headers=headers)
    assert (other.status, list(other.json)) == (409, ["error"])
