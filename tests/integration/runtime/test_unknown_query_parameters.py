"""Query parameters that no route has: each is refused by name, at every route."""

from typing import Any

import pytest

from tests.support.system import ALL_SCOPES, APPS, System, authorized

ASKED = [route for function in APPS for route in (*function.app._static_routes, *function.app._dynamic_routes)]


@pytest.mark.parametrize("route", ASKED, ids=lambda route: f"{route.method} {route.openapi_path}")
def test_an_unknown_query_parameter_is_refused_by_name(system: System, route: Any) -> None:
    path = route.openapi_path.replace("{", "").replace("}", "")
    caller = authorized(scope=f"{ALL_SCOPES} market:write market:read operator")
    problem = system.http(route.method, path, query={"ticker": ["A", "B"], "Limit": "1"}, authorizer=caller)
    assert problem.status == 400
    named = {error["field"]: error["detail"] for error in problem.json["errors"]}
    assert set(named) == {"ticker", "Limit"}
    assert all(detail.startswith("Unknown query parameter.") for detail in named.values())


def test_the_refusal_of_an_unknown_query_parameter_names_the_known_ones(system: System) -> None:
    (error,) = system.http("GET", "/portfolios", query={"State": "STALE"}).json["errors"]
    assert error["detail"].endswith(
        "Known query parameters: attention, cursor, include_closed, limit, status, user_id."
    )
    assert system.http("GET", "/nowhere", query={"x": "1"}).status == 404
