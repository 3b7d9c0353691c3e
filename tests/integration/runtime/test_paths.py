"""Path parameters of both gateways, and base paths: every route of every function gets its parameters decoded once."""

import json
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote, urlencode, urljoin

import pytest

from functions.betting_api import handler as betting_function
from functions.betting_rpc import handler as rpc_function
from infra.settings import SCOPES
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


def in_format_2(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of a REST API as an HTTP API sends the same request in payload format 2.0."""
    context, query = event["requestContext"], event["multiValueQueryStringParameters"] or {}
    authorizer = {"authorizer": {"lambda": context["authorizer"]}} if "authorizer" in context else {}
    http = {"method": event["httpMethod"], "path": event["path"], "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7"}
    names = {name: unquote(value) for name, value in (event["pathParameters"] or {}).items()}
    found = {
        "version": "2.0",
        "routeKey": f"{event['httpMethod']} {event['resource']}",
        "rawPath": unquote(event["path"]),
        "rawQueryString": urlencode(query, doseq=True),
        "headers": {name.lower(): value for name, value in event["headers"].items()},
        "requestContext": {"requestId": context["requestId"], "stage": "$default", "http": http, **authorizer},
        "isBase64Encoded": event["isBase64Encoded"],
    }
    return found | ({"pathParameters": names} if names else {}) | ({"body": event["body"]} if event["body"] else {})


@pytest.mark.parametrize(("app", "route"), ROUTES, ids=NAMES)
def test_an_http_api_with_payload_format_2_reaches_every_route(app: Api, route: Any) -> None:
    event = _event(route)
    expected = dict.fromkeys(event["pathParameters"] or {}, HOSTILE)
    answer = {"statusCode": 200, "multiValueHeaders": {}, "body": ""}
    with mock.patch.object(app, "_call_route") as call, mock.patch.object(app, "_build_response", return_value=answer):
        app.resolve(in_format_2(event), LambdaContext())
    assert [each.args for each in call.call_args_list] == [(route, expected)]


def test_requests_in_payload_format_2_are_answered_like_those_of_a_rest_api(system: System) -> None:
    bet = {"user_id": "auth0|1", "market_id": "m", "selection_id": "home", "side": "BACK", "stake": 7, "odds": 2}
    requests = [
        gateway_event("POST", "/orders", bet, headers={"Idempotency-Key": "k"}, authorizer=authorized()),
        gateway_event("GET", "/orders/open/auth0%7C1", query={"limit": "1"}, authorizer=authorized()),
        gateway_event("GET", "/orders", query={"user_id": ["auth0|1", "2"]}, authorizer=authorized()),
        gateway_event("GET", "/orders", query={"nothing": "1"}, authorizer=authorized()),
        gateway_event("GET", "/orders", authorizer=None),
        gateway_event("DELETE", "/orders", authorizer=authorized()),
        gateway_event("HEAD", "/orders", query={"user_id": "auth0|1"}, authorizer=authorized()),
    ]
    statuses = []
    for event in requests:
        rest, http = (betting_function.handler(each, LambdaContext()) for each in (event, in_format_2(event)))
        joined = {name: ", ".join(values) for name, values in rest["multiValueHeaders"].items()}
        assert http == {
            "statusCode": rest["statusCode"],
            "headers": joined,
            "body": rest["body"],
            "isBase64Encoded": rest["isBase64Encoded"],
        }
        statuses.append(http["statusCode"])
    assert statuses == [201, 200, 400, 400, 401, 405, 200]


def test_a_route_for_everything_of_an_http_api_is_no_route(system: System) -> None:
    event = in_format_2(gateway_event("GET", "/orders", authorizer=authorized())) | {"routeKey": "$default"}
    answer = betting_function.handler(event, LambdaContext())
    assert (answer["statusCode"], json.loads(answer["body"])["type"]) == (404, "urn:trimtab:problem:no_route")


def test_rpcs_are_answered_in_payload_format_2_too(system: System) -> None:
    resource = rpc_function.app.path
    event = gateway_event("POST", resource.replace("{method}", "ListOrders"), {"userId": "1"}, authorizer=authorized())
    event |= {"resource": resource, "pathParameters": {"method": "ListOrders"}}
    answer = rpc_function.handler(in_format_2(event), LambdaContext())
    assert (answer["statusCode"], answer["body"], answer["headers"]["content-type"]) == (200, "{}", "application/json")


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
