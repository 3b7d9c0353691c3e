"""Tokens, scopes, tenants and methods at the routes for clients of earlier systems."""

from typing import Any

import pytest

from infra.constructs.routes import routes_of
from tests.support.system import ALL_SCOPES, System, authorized

TARGET = {"stocks": 60, "bonds": 40}
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/compat/portfolio"): {"body": {"UserID": 1, "allocation": TARGET}, "scope": "portfolios:write"},
    ("GET", "/compat/portfolio"): {"query": {"userId": "1"}, "scope": "portfolios:read"},
    ("POST", "/compat/rebalance"): {"body": {"userId": "1", "new_allocation": TARGET}, "scope": "portfolios:write"},
    ("GET", "/compat/rebalance/list"): {"query": {"userId": "1"}, "scope": "portfolios:read"},
}
"""A request that succeeds for each route, and the scope that the route needs."""

FUNCTIONS = ("compat_rebalancer_api",)


def send(system: System, method: str, path: str, **authorizer: str) -> Any:
    """Return the answer to the request of a route, as the given caller."""
    request = {name: value for name, value in REQUESTS[method, path].items() if name != "scope"}
    return system.http(method, path, request.pop("body", None), authorizer=authorized(**authorizer), **request)


@pytest.fixture
def filled(system: System) -> System:
    """Store a resource for every route."""
    system.portfolio(allocation=TARGET)
    return system


def test_every_route_has_a_request() -> None:
    assert {(route.method, route.path) for name in FUNCTIONS for route in routes_of(name)} == set(REQUESTS)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_route_needs_its_scope_and_no_other(filled: System, method: str, path: str) -> None:
    scope = REQUESTS[method, path]["scope"]
    without = " ".join(set(ALL_SCOPES.split()) - {scope})
    refused = send(filled, method, path, scope=without)
    assert (refused.status, scope in refused.text) == (403, True)
    assert refused.headers["Content-Type"] == "application/json"
    assert send(filled, method, path, scope=scope).status < 300


@pytest.mark.parametrize(("method", "path"), [route for route in REQUESTS if route[1] != "/compat/portfolio"])
def test_another_tenant_finds_nothing(filled: System, method: str, path: str) -> None:
    assert send(filled, method, path, tenant_id="acme").status == 404


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_the_token_of_a_user_acts_for_this_user_only(filled: System, method: str, path: str) -> None:
    before = filled.items()
    assert send(filled, method, path, user_id="2").status in {403, 404}
    assert filled.items() == before
    assert send(filled, method, path, user_id="1").status < 300


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
