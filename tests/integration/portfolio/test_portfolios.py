"""Portfolios over HTTP: created, listed, changed, closed and opened again."""

import json
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.support.system import System, authorized

TARGET = {"stocks": 60, "bonds": 30, "gold": 10}
MEMBERS = {
    *("portfolio_id", "user_id", "name", "currency", "allocation", "policy", "cash", "status", "version", "revision"),
    *("created_at", "updated_at", "status_reason", "locked_by", "next_check_at", "backing_off", "quarantine"),
    *("cash_tracking", "cash_since"),
}
DEFAULT_POLICY: dict[str, Any] = {
    "band": None,
    "destination": "target",
    "cooldown_seconds": 0,
    "automation": "auto",
    "total_drift": None,
    "calendar": None,
    "mode": "full",
    "minimum_trade": "1.00",
    "whole_shares": False,
    "cash_target": "0.0000",
    "cash_buffer": "0.2500",
    "max_slippage": "1.0000",
    "max_quote_age_seconds": 86_400,
    "on_partial_fill": "compensate",
    "on_cancel": "compensate",
    "on_deposit": "hold",
    "price_collar": None,
    "max_order_notional": None,
    "max_daily_turnover": None,
    "max_runs_per_day": None,
    "bands": {},
    "restrictions": {},
}
HYBRID = {"type": "hybrid", "value": "20.0000", "points": "1.0000"}


def test_a_new_portfolio_is_answered_in_full_and_readable_at_its_location(system: System) -> None:
    created = system.http("POST", "/portfolio", {"user_id": "1", "allocation": TARGET, "cash": "12.5"})
    assert created.status == 201
    assert set(created.json) == MEMBERS
    portfolio = created.json
    assert portfolio["allocation"] == {"stocks": "60.0000", "bonds": "30.0000", "gold": "10.0000"}
    assert (portfolio["name"], portfolio["currency"], portfolio["cash"], portfolio["policy"]) == (
        "default",
        "USD",
        "12.50",
        DEFAULT_POLICY,
    )
    assert (portfolio["status"], portfolio["version"], portfolio["revision"]) == ("ACTIVE", 1, 1)
    assert created.headers["ETag"] == '"1"'
    path = urljoin("/portfolio", created.headers["Location"])
    read = system.http("GET", path)
    assert (read.status, read.json, read.headers["ETag"]) == (200, portfolio, '"1"')


@pytest.mark.parametrize("path", ["/portfolio", "/portfolio/", "/portfolios", "/portfolios/"])
def test_location_is_right_however_the_route_was_written(system: System, path: str) -> None:
    created = system.http("POST", path, {"user_id": "1"})
    base = f"https://api.example/prod{path}"
    expected = f"https://api.example/prod/portfolios/{created.json['portfolio_id']}"
    assert urljoin(base, created.headers["Location"]) == expected


def test_the_assignments_field_names_are_aliases(system: System) -> None:
    first = system.http("POST", "/portfolio", {"UserID": "1", "Allocation": TARGET})
    again = system.http("POST", "/portfolios", {"user_id": "1", "allocation": TARGET})
    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json


def test_a_name_twice_in_two_spellings_is_refused(system: System) -> None:
    assert system.http("POST", "/portfolio", {"UserID": "1", "user_id": "2"}).status == 400


@pytest.mark.parametrize(
    "again",
    [
        {"allocation": TARGET, "policy": {"band": {"type": "absolute", "value": 5}}},
        {
            "allocation": {"gold": "10.0", "bonds": "30", "stocks": 60.0},
            "policy": {"band": {"type": "absolute", "value": "5.00"}},
        },
        {
            "allocation": TARGET,
            "policy": {"band": {"type": "absolute", "value": 5}, "destination": "target"},
            "name": "default",
        },
    ],
)
def test_the_same_creation_again_answers_with_the_portfolio_as_it_is_now(system: System, again: dict[str, Any]) -> None:
    first = system.portfolio(policy={"band": {"type": "absolute", "value": 5}})
    system.http("PUT", f"/portfolios/{first['portfolio_id']}/allocation", {"allocation": {"cash": 100}})
    repeated = system.http("POST", "/portfolio", {"user_id": "1", **again})
    assert repeated.status == 201, repeated.text
    assert repeated.json["allocation"] == {"cash": "100.0000"}
    assert (repeated.json["revision"], repeated.headers["ETag"]) == (2, '"2"')
    assert len(system.items()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"allocation": {"stocks": 100}},
        {"allocation": TARGET, "currency": "EUR"},
        {"allocation": TARGET, "cash": 0},
        {"allocation": TARGET, "policy": {"cooldown_seconds": 1}},
    ],
)
def test_another_creation_of_the_same_portfolio_is_refused(system: System, other: dict[str, Any]) -> None:
    before = system.portfolio()
    answer = system.http("POST", "/portfolio", {"user_id": "1", **other})
    assert (answer.status, answer.json["type"]) == (409, "urn:trimtab:problem:exists")
    assert system.http("GET", f"/portfolios/{before['portfolio_id']}").json == before


@pytest.mark.parametrize("wanted", [TARGET, {"stocks": 100}])
def test_a_closed_portfolio_is_opened_by_creating_it_again(system: System, wanted: dict[str, Any]) -> None:
    first = system.portfolio()
    assert system.http("DELETE", f"/portfolios/{first['portfolio_id']}").status == 204
    opened = system.http("POST", "/portfolio", {"user_id": "1", "allocation": wanted})
    assert (opened.status, opened.json["status"], opened.json["revision"]) == (201, "ACTIVE", 3)
    assert opened.json["portfolio_id"] == first["portfolio_id"]
    assert opened.json["created_at"] == first["created_at"]
    assert list(opened.json["allocation"]) == list(wanted)


def test_users_names_and_tenants_have_portfolios_of_their_own(system: System) -> None:
    acme = {"authorizer": authorized("acme")}
    ids = {
        system.portfolio("1")["portfolio_id"],
        system.portfolio("2")["portfolio_id"],
        system.portfolio("1", name="other")["portfolio_id"],
        system.http("POST", "/portfolio", {"user_id": "1", "allocation": TARGET}, **acme).json["portfolio_id"],
    }
    assert len(ids) == 4


def pages(system: System, path: str, **query: str) -> list[list[Any]]:
    """Every page of a list."""
    found, cursor = [], ""
    while True:
        answer = system.http("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status == 200, answer.text
        found.append(answer.json["items"])
        cursor = answer.json["next_cursor"]
        if cursor is None:
            return found
        assert len(found) < 50


def test_lists_are_newest_first_and_pages_follow_each_other_without_gaps(system: System) -> None:
    for number in range(7):
        system.portfolio(str(number % 2), name=f"n{number}")
    system.http("POST", "/portfolio", {"user_id": "0"}, authorizer=authorized("acme"))
    tenant = pages(system, "/portfolios", limit="3")
    assert [[each["name"] for each in page] for page in tenant][:3] == [["n6", "n5", "n4"], ["n3", "n2", "n1"], ["n0"]]
    assert [each["name"] for page in pages(system, "/portfolios", user_id="1", limit="2") for each in page] == [
        *("n5", "n3", "n1"),
    ]
    assert pages(system, "/portfolios", user_id="nobody") == [[]]
    assert set(tenant[0][0]) == {*MEMBERS, "attention"}


def test_a_portfolio_created_between_two_pages_shifts_no_page(system: System) -> None:
    for number in range(4):
        system.portfolio(name=f"n{number}")
    first = system.http("GET", "/portfolios", query={"limit": "2"}).json
    system.portfolio(name="late")
    second = system.http("GET", "/portfolios", query={"limit": "2", "cursor": first["next_cursor"]}).json
    assert [each["name"] for each in first["items"] + second["items"]] == ["n3", "n2", "n1", "n0"]


PATCHES: list[tuple[Any, dict[str, Any]]] = [
    ({"policy": {"band": {"type": "hybrid"}}}, {"band": HYBRID}),
    ({"band": {"type": "hybrid"}}, {"band": HYBRID}),
    (
        {"band": {"type": "hybrid", "value": 10, "points": "0.5"}},
        {"band": {"type": "hybrid", "value": "10.0000", "points": "0.5000"}},
    ),
    ({"destination": "band_edge"}, {"destination": "band_edge"}),
    ({"policy": {"cooldown_seconds": 3600}}, {"cooldown_seconds": 3600}),
    ({"policy": {"band": None}}, {"band": None}),
    ({"destination": None}, {"destination": "target"}),
    ({"policy": {"cooldown_seconds": None}}, {"cooldown_seconds": 0}),
    ({}, {}),
    ({"automation": "manual", "mode": "invest_cash"}, {"automation": "manual", "mode": "invest_cash"}),
    ({"calendar": {"frequency": "monthly", "day": 31}}, {"calendar": {"frequency": "monthly", "day": 31, "month": 1}}),
    ({"total_drift": 3, "cash_target": "2.5"}, {"total_drift": "3.0000", "cash_target": "2.5000"}),
    ({"cash_buffer": 0, "max_slippage": "0.5"}, {"cash_buffer": "0.0000", "max_slippage": "0.5000"}),
    (
        {"price_collar": 5, "max_order_notional": 500, "max_daily_turnover": "50", "max_runs_per_day": 3},
        {
            "price_collar": "5.0000",
            "max_order_notional": "500.00",
            "max_daily_turnover": "50.0000",
            "max_runs_per_day": 3,
        },
    ),
    ({"minimum_trade": 25, "whole_shares": True}, {"minimum_trade": "25.00", "whole_shares": True}),
    ({"max_quote_age_seconds": 60}, {"max_quote_age_seconds": 60}),
    ({"on_partial_fill": "keep", "on_cancel": "keep"}, {"on_partial_fill": "keep", "on_cancel": "keep"}),
    ({"on_deposit": "invest"}, {"on_deposit": "invest"}),
    ({"bands": {"gold": {"type": "hybrid"}}}, {"bands": {"gold": HYBRID}}),
    ({"restrictions": {"gold": "no_sell"}}, {"restrictions": {"gold": "no_sell"}}),
    ({"bands": {}, "restrictions": None}, {}),
]
BAD_POLICIES: list[dict[str, Any]] = [
    {"automation": "sometimes"},
    {"calendar": {"frequency": "weekly", "day": 8}},
    {"calendar": {"frequency": "quarterly", "month": 4}},
    {"calendar": {"frequency": "monthly", "month": 2}},
    {"calendar": {"frequency": "daily"}},
    {"total_drift": 0},
    {"cash_target": 100},
    {"cash_buffer": -1},
    {"max_slippage": 0},
    {"price_collar": 0},
    {"max_order_notional": -1},
    {"max_daily_turnover": 10_001},
    {"max_runs_per_day": 0},
    {"minimum_trade": "0.001"},
    {"whole_shares": "yes"},
    {"max_quote_age_seconds": 0},
    {"mode": "none"},
    {"on_cancel": "forget"},
    {"on_deposit": "spend"},
    {"bands": {"gold": {"type": "absolute"}}},
    {"bands": {"$cash": {"type": "hybrid"}}},
    {"restrictions": {"gold": "never"}},
]


@pytest.mark.parametrize("policy", BAD_POLICIES)
def test_an_invalid_policy_is_refused_and_changes_nothing(system: System, policy: dict[str, Any]) -> None:
    before = system.portfolio()
    path = f"/portfolios/{before['portfolio_id']}"
    assert system.http("PATCH", path, policy).status == 400
    assert system.http("GET", path).json == before


@pytest.mark.parametrize(("body", "change"), PATCHES)
def test_a_policy_is_merged(system: System, body: Any, change: dict[str, Any]) -> None:
    policy = {"band": {"type": "absolute", "value": "5.0000"}, "destination": "band_edge", "cooldown_seconds": 60}
    path = f"/portfolios/{system.portfolio(policy=policy)['portfolio_id']}"
    answer = system.http("PATCH", path, body)
    assert (answer.status, answer.json["policy"]) == (200, DEFAULT_POLICY | policy | change)
    assert system.http("GET", path).json == answer.json


@pytest.mark.parametrize(
    "media_type", ["application/merge-patch+json", "Application/JSON", "application/json; charset=UTF-8"]
)
def test_a_merge_patch_may_say_that_it_is_one_in_any_case(system: System, media_type: str) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}"
    answer = system.http("PATCH", path, {"cooldown_seconds": 60}, headers={"Content-Type": media_type})
    assert (answer.status, answer.json.get("policy", {}).get("cooldown_seconds")) == (200, 60)


def test_a_change_that_changes_nothing_is_no_new_revision(system: System) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}"
    assert system.http("PATCH", path, {}).json["revision"] == 1


@pytest.mark.parametrize(
    ("if_match", "status"), [(None, 200), ("*", 200), ('"1"', 200), ('W/"1"', 200), ('"2"', 412), ('"11"', 412)]
)
@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("PUT", "/allocation", {"allocation": {"cash": 100}}),
        ("PATCH", "", {"cooldown_seconds": 1}),
        ("DELETE", "", None),
    ],
)
def test_a_change_is_made_only_at_the_revision_that_if_match_names(
    system: System, method: str, suffix: str, body: Any, if_match: str | None, status: int
) -> None:
    before = system.portfolio()
    path, headers = f"/portfolios/{before['portfolio_id']}", {} if if_match is None else {"if-match": if_match}
    answer = system.http(method, path + suffix, body, headers=headers)
    assert answer.status == (204 if status == 200 and method == "DELETE" else status)
    after = system.http("GET", path)
    assert (after.json == before) is (status == 412)
    assert after.headers["ETag"] == ('"1"' if status == 412 else '"2"')
    if status == 412:
        assert answer.json["type"] == "urn:trimtab:problem:revision_mismatch"
    elif method != "DELETE":
        assert answer.headers["ETag"] == '"2"'


def test_drift_reports_of_providers_do_not_change_the_revision_that_if_match_names(system: System) -> None:
    portfolio = system.portfolio()
    system.http("POST", "/rebalance", {"user_id": "1", "new_allocation": {"cash": 100}})
    system.drain_queue()
    path = f"/portfolios/{portfolio['portfolio_id']}"
    assert system.http("GET", path).json["version"] == 2
    body = {"allocation": {"cash": 100}}
    assert system.http("PUT", f"{path}/allocation", body, headers={"If-Match": '"1"'}).status == 200


def test_a_closed_portfolio_is_readable_and_refuses_everything_else(system: System) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}"
    for _ in range(2):
        closed = system.http("DELETE", path)
        assert (closed.status, closed.text) == (204, "")
    read = system.http("GET", path).json
    assert (read["status"], read["version"]) == ("CLOSED", 2)
    assert system.http("GET", "/portfolios", query={"user_id": "1"}).json["items"] == []
    weights = {"new_allocation": TARGET}
    for method, where, body in (
        ("PATCH", path, {"cooldown_seconds": 1}),
        ("PUT", f"{path}/allocation", {"allocation": TARGET}),
        ("POST", f"{path}/rebalances/preview", weights),
        ("POST", "/rebalance", {"user_id": "1", **weights}),
    ):
        answer = system.http(method, where, body)
        assert (answer.status, answer.json["type"]) == (409, "urn:trimtab:problem:closed"), where
    assert system.http("GET", f"{path}/rebalances").status == 200


def test_a_portfolio_without_a_target_gets_one_later(system: System) -> None:
    portfolio = system.http("POST", "/portfolio", {"user_id": "1"}).json
    assert portfolio["allocation"] is None
    changed = system.http("PUT", f"/portfolios/{portfolio['portfolio_id']}/allocation", {"allocation": TARGET})
    assert changed.json["allocation"]["stocks"] == "60.0000"


def test_no_cash_below_zero_is_ever_written(system: System) -> None:
    answer = system.http("POST", "/portfolio", json.dumps({"user_id": "1", "cash": "-0"}))
    assert (answer.status, answer.json["cash"]) == (201, "0.00")


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("portfolio_id", ["unknown", "265076e4-f1a0-5d1f-99a9-59a8b0e03f01"])
def test_an_unknown_portfolio_is_not_found(system: System, method: str, portfolio_id: str) -> None:
    bodies = {"PUT": {"allocation": TARGET}, "PATCH": {}}
    path = f"/portfolios/{portfolio_id}" + ("/allocation" if method == "PUT" else "")
    answer = system.http(method, path, bodies.get(method))
    assert (answer.status, answer.json["type"]) == (404, "urn:trimtab:problem:not_found")
    assert system.items() == []


@pytest.mark.parametrize("query", [{"user_id": "1"}, {}])
def test_a_list_leaves_closed_portfolios_out_unless_they_are_asked_for(system: System, query: dict[str, str]) -> None:
    kept, closed = (system.portfolio(name=name)["portfolio_id"] for name in ("kept", "closed"))
    system.http("DELETE", f"/portfolios/{closed}")

    def listed(**more: str) -> set[str]:
        page = system.http("GET", "/portfolios", query={**query, **more})
        return {portfolio["portfolio_id"] for portfolio in page.json["items"]}

    assert listed() == listed(include_closed="false") == {kept}
    assert listed(include_closed="true") == {kept, closed}
    assert listed(status="CLOSED") == listed(status="CLOSED", include_closed="true") == {closed}
    assert listed(status="ACTIVE", include_closed="true") == {kept}
