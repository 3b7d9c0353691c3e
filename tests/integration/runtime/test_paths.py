"""Path parameters of both gateways, and base paths: every route of every function gets its parameters decoded once."""

from typing import Any
from unittest import mock
from urllib.parse import quote, unquote, urljoin

import pytest

from infra.config import SCOPES
from tests.support.system import APPS, LambdaContext, System, authorized, gateway_event
from trimtab.runtime.http.app import Api

ROUTES = [
    (function.app, route)
    for function in APPS
    for route in (*function.app._static_routes, *function.app._dynamic_routes)
]
NAMES = [f"{route.method} {route.openapi_path}" for _, route in ROUTES]
HOSTILE = "auth0|1 a/b 50%25"


def _event(route: Any, **changes: Any) -> dict[str, Any]:
    resource = route.openapi_path
    names = [part.strip("{}") for part in resource.split("/") if part.startswith("{")]
    sent = quote(HOSTILE, safe="")
    path = "/".join(sent if part.startswith("{") else part for part in resource.split("/"))
    event = gateway_event(route.method, "/portfolios", authorizer=authorized(scope=" ".join(SCOPES)))
    return event | {"resource": resource, "path": path, "pathParameters": dict.fromkeys(names, sent) or None} | changes


def _called(app: Api, event: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Return the route and the arguments that the application calls for an event."""
    answer = {"statusCode": 200, "multiValueHeaders": {}, "body": ""}
    with mock.patch.object(app, "_call_route") as call, mock.patch.object(app, "_build_response", return_value=answer):
        app.resolve(event, LambdaContext())
    ((route, arguments),) = [each.args for each in call.call_args_list]
    return route, arguments


@pytest.mark.parametrize(("app", "route"), ROUTES, ids=NAMES)
def test_a_rest_api_passes_paths_encoded_and_each_parameter_is_decoded_once(app: Api, route: Any) -> None:
    event = _event(route)
    assert _called(app, event) == (route, dict.fromkeys(event["pathParameters"] or {}, HOSTILE))


@pytest.mark.parametrize(("app", "route"), ROUTES, ids=NAMES)
def test_an_http_api_passes_paths_decoded_and_no_parameter_is_decoded_again(app: Api, route: Any) -> None:
    event = _event(route)
    decoded = dict.fromkeys(event["pathParameters"] or {}, HOSTILE)
    event |= {"version": "1.0", "path": unquote(event["path"]), "pathParameters": decoded or None}
    assert _called(app, event) == (route, decoded)


@pytest.mark.parametrize("prefix", ["/api/v1", "/prod", "/a%20b"])
@pytest.mark.parametrize(("app", "route"), ROUTES, ids=NAMES)
def test_a_base_path_or_a_stage_before_the_path_changes_nothing(app: Api, route: Any, prefix: str) -> None:
    event = _event(route)
    based = {**event, "path": f"{prefix}{event['path']}/"}
    assert _called(app, based) == _called(app, event)


@pytest.mark.parametrize("user_id", ["auth0|1", "ada@example.com", "sr:match:1"])
def test_encoded_ids_of_users_are_found_behind_a_base_path(system: System, user_id: str) -> None:
    bet = {"user_id": user_id, "market_id": user_id, "selection_id": "home", "side": "BACK", "stake": 7, "odds": 2}
    assert system.http("POST", "/orders", bet).status == 201
    event = gateway_event("GET", f"/orders/open/{quote(user_id, safe='')}", authorizer=authorized())
    answer = system.answer(event | {"path": "/api/v1" + event["path"]})
    assert (answer.status, answer.json["items"][0]["market_id"]) == (200, user_id)


@pytest.mark.parametrize("user_id", ["a%2525", "a%25", "%", "%zz", "a%00"])
def test_an_id_that_holds_a_percent_sign_after_one_decoding_is_refused(system: System, user_id: str) -> None:
    problem = system.http("GET", f"/metrics/{user_id}")
    assert (problem.status, problem.json["errors"][0]["field"]) == (400, "user_id")


@pytest.mark.parametrize(
    ("prefix", "resource", "expected"),
    [
        ("", "/portfolio", "https://api.example/portfolios/"),
        ("/v1", "/portfolio", "https://api.example/v1/portfolios/"),
        ("/api/v1", "/portfolio", "https://api.example/api/v1/portfolios/"),
        ("/api/v1", "/portfolios/", "https://api.example/api/v1/portfolios/"),
    ],
)
def test_the_location_of_a_created_resource_stays_below_the_base_path(
    system: System, prefix: str, resource: str, expected: str
) -> None:
    event = gateway_event("POST", resource, {"user_id": "1"}, authorizer=authorized())
    based = event | {"path": prefix + resource}
    created = system.answer(based)
    assert created.status == 201
    located = urljoin("https://api.example" + based["path"], created.headers["Location"])
    assert located == expected + created.json["portfolio_id"]


@pytest.mark.parametrize("prefix", ["", "/v1", "/api/v1"])
def test_links_resolve_as_urls_below_the_base_path(system: System, prefix: str) -> None:
    portfolio_id = system.portfolio()["portfolio_id"]
    base = "https://api.example" + prefix
    report = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "k"}
    for path, body in (("/rebalance", report), (f"/portfolios/{portfolio_id}/rebalances", {"request_id": "run"})):
        event = gateway_event("POST", path, body, authorizer=authorized())
        asked = system.answer(event | {"path": prefix + path})
        assert asked.status == 202, asked.text
        links = {name: urljoin(base + path, link) for name, link in asked.json["links"].items()}
        portfolio = f"{base}/portfolios/{portfolio_id}"
        assert links["portfolio"] == portfolio
        assert links["self"] == f"{portfolio}/rebalances/{asked.json['rebalance_id']}"
        assert asked.headers["Location"] == asked.json["links"]["self"]
        assert system.http("GET", asked.json["links"]["self"]).status == 200
