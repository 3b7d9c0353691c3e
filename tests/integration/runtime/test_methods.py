"""Methods that no route has, HEAD, and requests of web pages (CORS)."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from functions.betting_rpc import handler as rpc_function
from functions.platform_api import handler as platform_function
from tests.support.system import APPS, LambdaContext, System, authorized, forget_cached, gateway_event
from trimtab.runtime.http.cors import ACCEPTED_HEADERS, EXPOSED_HEADERS
from trimtab.runtime.http.headers import SAFE_HEADERS

PAGE, OTHER = "https://app.example.com", "https://evil.example"
METHODS: dict[str, set[str]] = {}
"""The methods of each resource, whatever functions serve them."""

for each in (*APPS, platform_function):
    for known in (*each.app._static_routes, *each.app._dynamic_routes):
        more = {"HEAD", "OPTIONS"} if known.method == "GET" else {"OPTIONS"}
        METHODS.setdefault(known.openapi_path, set()).update({known.method} | more)


@pytest.fixture
def page_is_allowed() -> Iterator[None]:
    """Allow requests of web pages at `PAGE`."""
    forget_cached()
    with mock.patch.dict("os.environ", ALLOWED_ORIGINS=f"{PAGE},https://admin.example.com"):
        yield
    forget_cached()


def _send(resource: str, method: str, **headers: str) -> Any:
    """Return the answer of the function that gets the methods without a route; no token is sent."""
    function = next(each for each in (*APPS, platform_function) if each.app.methods_of(resource))
    event = gateway_event(method, resource.replace("{", "").replace("}", ""), headers=headers)
    return function.handler(event | {"resource": resource}, LambdaContext())


@pytest.mark.parametrize("resource", METHODS)
def test_a_known_path_with_another_method_is_405_with_the_methods_that_it_has(resource: str) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - METHODS[resource]:
        answer = _send(resource, method)
        assert answer["statusCode"] == 405
        assert answer["multiValueHeaders"]["Allow"] == [", ".join(sorted(METHODS[resource]))]
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
        assert method == "HEAD" or "urn:trimtab:problem:method_not_allowed" in answer["body"]


@pytest.mark.parametrize("resource", METHODS)
def test_options_names_the_methods_and_allows_no_page_by_default(resource: str) -> None:
    answer = _send(resource, "OPTIONS", Origin=PAGE, **{"Access-Control-Request-Method": "GET"})
    assert (answer["statusCode"], answer["body"]) == (204, "")
    expected = {"Allow": ", ".join(sorted(METHODS[resource])), **SAFE_HEADERS}
    assert answer["multiValueHeaders"] == {name: [value] for name, value in expected.items()}


def test_head_answers_as_get_without_the_body(system: System) -> None:
    system.portfolio()
    read, head = (system.http(method, "/portfolios") for method in ("GET", "HEAD"))
    assert (head.status, head.headers, head.text) == (200, read.headers, "")
    assert system.http("HEAD", "/portfolios", authorizer=None).status == 401
    assert system.http("HEAD", "/portfolios/none").status == 404


@pytest.mark.usefixtures("page_is_allowed")
@pytest.mark.parametrize("resource", METHODS)
def test_a_preflight_of_an_allowed_page_is_permitted_the_methods_of_the_resource(resource: str) -> None:
    sent = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    headers = _send(resource, "OPTIONS", origin=PAGE, **sent)["multiValueHeaders"]
    assert headers["Access-Control-Allow-Origin"] == [PAGE]
    assert headers["Access-Control-Allow-Methods"] == headers["Allow"]
    assert headers["Access-Control-Allow-Headers"] == [ACCEPTED_HEADERS]
    assert "Access-Control-Allow-Credentials" not in headers
    refused = _send(resource, "OPTIONS", origin=OTHER, **sent)["multiValueHeaders"]
    assert set(refused) == {"Allow", "Vary", *SAFE_HEADERS}


@pytest.mark.usefixtures("page_is_allowed")
@pytest.mark.parametrize(("path", "status"), [("/portfolios", 200), ("/portfolios/none", 404), ("/nowhere", 404)])
def test_an_allowed_page_may_read_every_response(system: System, path: str, status: int) -> None:
    answer = system.http("GET", path, headers={"Origin": PAGE})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, PAGE)
    assert (answer.headers["Vary"], answer.headers["Access-Control-Expose-Headers"]) == ("Origin", EXPOSED_HEADERS)
    for other in ({"Origin": OTHER}, {"Origin": "null"}, {}):
        refused = system.http("GET", path, headers=other)
        assert refused.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Origin" not in refused.headers


@pytest.mark.usefixtures("page_is_allowed")
@pytest.mark.parametrize(("method", "status"), [("POST", 401), ("PUT", 405), ("GET", 405)])
def test_an_allowed_page_may_read_refusals_before_any_route(system: System, method: str, status: int) -> None:
    answer = system.http(method, "/portfolio", {}, authorizer=None, headers={"Origin": PAGE})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, PAGE)


@pytest.mark.usefixtures("system", "page_is_allowed")
@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 204), ("POST", 200), ("GET", 405)])
def test_rpcs_answer_allowed_pages_too(method: str, status: int) -> None:
    path = rpc_function.app.path.replace("{method}", "ListOrders")
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    event = gateway_event(method, path, {"user_id": "1"}, headers=headers, authorizer=authorized())
    answer = rpc_function.handler(
        event | {"resource": rpc_function.app.path, "pathParameters": {"method": "ListOrders"}}, LambdaContext()
    )
    sent = answer.get("multiValueHeaders") or {name: [value] for name, value in answer["headers"].items()}
    assert (answer["statusCode"], sent["Access-Control-Allow-Origin"]) == (status, [PAGE])
    assert status == 200 or sent["Allow"] == ["OPTIONS, POST"]


@pytest.mark.parametrize(("path", "status"), [("/portfolios", 200), ("/portfolios/nobody", 404), ("/halt", 405)])
def test_no_cache_keeps_a_response_and_no_browser_guesses_its_type(system: System, path: str, status: int) -> None:
    answer = system.http("GET" if status != 405 else "POST", path)
    assert answer.status == status
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
