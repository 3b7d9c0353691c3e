"""HTTP as clients of all kinds speak it: encoded ids, other methods, web pages, times of nine decimals."""

import base64
from urllib.parse import quote

import pytest

from infra.environments import load
from infra.local.client import Client
from tests.e2e.conftest import System

PAGE = {"Origin": "https://app.example.com"}


@pytest.mark.parametrize("user_id", ["auth0|1", "ada+1@example.com", "sr:match:1", "9j/4AA=="])
def test_ids_are_percent_encoded_once(system: System, user_id: str) -> None:
    client = system.client(tenant="encoded")
    bet = {"user_id": user_id, "market_id": user_id, "selection_id": "home", "side": "BACK", "stake": 5, "odds": 2}
    assert client.post("/orders", bet, Idempotency_Key=f'"{user_id}"').status == 201
    encoded = quote(user_id, safe="")
    assert [order["user_id"] for order in client.get(f"/orders/open/{encoded}").json["items"]] == [user_id]
    assert client.get(f"/metrics/{encoded}").json["user_id"] == user_id
    assert client.get(f"/metrics/{quote(encoded, safe='')}").status == 400


def test_a_symbol_with_a_slash_is_percent_encoded_once(system: System) -> None:
    platform = system.client(tenant="platform")
    entered = platform.call("PUT", "/assets/BTC%2FUSD", {"name": "Bitcoin", "exchange": "XNAS"})
    assert (entered.status, entered.json["symbol"]) == (200, "BTC/USD")


def test_a_known_path_answers_every_method(system: System) -> None:
    client = system.client(tenant="methods")
    read, head = client.get("/portfolios"), client.call("HEAD", "/portfolios")
    assert (head.status, head.text, head.headers["Content-Type"]) == (read.status, "", read.headers["Content-Type"])
    assert system.anonymous().call("HEAD", "/portfolios").status == 401
    refused = client.call("DELETE", "/portfolios")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert refused.json["type"] == "urn:trimtab:problem:method_not_allowed"
    assert client.call("PUT", "/portfolios/none/rebalances").headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert client.call("PATCH", "/nowhere").status == 404
    unknown = client.get("/portfolios?state=STALE")
    assert (unknown.status, unknown.json["errors"][0]["field"]) == (400, "state")


def test_a_web_page_may_ask_and_read(system: System) -> None:
    wanted = {**PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    asked = system.anonymous().call("OPTIONS", "/portfolios", headers=wanted)
    assert asked.status == 204
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    client = system.client(tenant="page")
    answers = [client.call("GET", path, headers=PAGE) for path in ("/portfolios", "/portfolios/none")]
    answers.append(system.anonymous("broken").call("GET", "/portfolios", headers=PAGE))
    if system.cloud_name == "local":  # LocalStack takes only the status of a gateway response
        answers.append(client.call("GET", "/nowhere", headers=PAGE))
    assert [answer.status for answer in answers] == [200, 404, 401, 404][: len(answers)]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} <= {PAGE["Origin"], "*"}


def test_a_web_page_may_call_the_rpcs_in_text(system: System) -> None:
    path = "/trimtab.betting.v1.OrderService/ListOrders"
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-grpc-web"}
    asked = system.anonymous().call("OPTIONS", path, headers={**PAGE, **wanted})
    assert (asked.status, "X-Grpc-Web" in asked.headers["Access-Control-Allow-Headers"]) == (204, True)
    message = b'{"userId": "1"}'
    frame = base64.b64encode(b"\0" + len(message).to_bytes(4, "big") + message)
    headers = {**PAGE, "Content-Type": "application/grpc-web-text+json", "X-Grpc-Web": "1"}
    answer = system.client(tenant="page").call("POST", path, raw=frame, headers=headers)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/grpc-web-text+json")
    assert answer.headers["Access-Control-Allow-Origin"] in {PAGE["Origin"], "*"}
    assert base64.b64decode(answer.text, validate=True).startswith(b"\0\0\0\0\2{}")


def test_the_page_of_a_problem_type_needs_no_token(system: System) -> None:
    problem = system.client(tenant="problems").get("/portfolios/none").json["type"]
    page = system.anonymous().get(f"/problems/{problem.rpartition(':')[2]}")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert problem in page.text


def test_an_http_api_in_front_of_a_function_is_answered_like_the_rest_api(system: System) -> None:
    if system.cloud_name != "local":
        pytest.skip("LocalStack's community edition has no HTTP APIs")
    gateway, function = system.aws("apigatewayv2"), system.aws("lambda")
    arn = function.get_function(FunctionName=f"{load('local').prefix}-betting-api")["Configuration"]["FunctionArn"]
    api_id = gateway.create_api(Name="http", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    for route in ("POST /orders", "GET /orders/open/{user_id}", "GET /orders"):
        gateway.create_route(ApiId=api_id, RouteKey=route, Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api_id, StageName="v1", AutoDeploy=True)
    token = system.issuer.token(tenant="http-api", user_id=None, scopes=("betting:read", "betting:write"))
    client = Client(f"{system.stack.endpoint_url}/_aws/execute-api/{api_id}/v1", token)
    bet = {"user_id": "auth0|1", "market_id": "m", "selection_id": "home", "side": "BACK", "stake": 5, "odds": 2}
    placed = client.post("/orders", bet, Idempotency_Key="k")
    assert (placed.status, "Location" in placed.headers) == (201, True)
    found = client.get("/orders/open/auth0%7C1?limit=1")
    assert [order["user_id"] for order in found.json["items"]] == ["auth0|1"]
    assert client.get("/orders?nothing=1").json["errors"][0]["field"] == "nothing"
    assert Client(f"{system.stack.endpoint_url}/_aws/execute-api/{api_id}/v1").get("/orders").status == 401


def test_a_base_path_stands_in_front_of_every_path(system: System) -> None:
    if system.cloud_name != "local":
        pytest.skip("LocalStack's community edition stores custom domains, but answers no requests to them")
    gateway, name = system.aws("apigateway"), "api.example.com"
    api_id = system.stack.api_url.partition("/restapis/")[2].partition("/")[0]
    gateway.create_domain_name(domainName=name)
    gateway.create_base_path_mapping(domainName=name, basePath="api", restApiId=api_id, stage="v1")
    client = Client(f"{system.stack.endpoint_url}/api", system.issuer.token(tenant="based", user_id=None, scopes=()))
    for path, status in (("/health", 200), ("/portfolios", 403), ("/nowhere", 404)):
        assert client.call("GET", path, headers={"Host": name}).status == status


def test_a_time_may_have_nine_decimals(system: System) -> None:
    client = system.client(tenant="times")
    path = f"/portfolios/{client.post('/portfolio', {'user_id': 'ada+1@example.com'}).json['portfolio_id']}/trades"
    trade = {"ref_id": "t", "side": "BUY", "security_type": "stock", "symbol": "A", "quantity": 1, "amount": 10}
    recorded = client.post(path, {**trade, "executed_at": "2026-01-02T03:04:05.123456789Z"})
    assert (recorded.status, recorded.json["executed_at"]) == (201, "2026-01-02T03:04:05.123456Z")
