"""A user's transactions over HTTP: all portfolios, pages, and the tokens of end users."""

from typing import Any

from tests.support.system import System, authorized

WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}


def decided(system: System, user_id: str, name: str, request_id: str) -> str:
    """Return the id of a rebalance with two transactions."""
    system.portfolio(user_id, name=name)
    body = {"user_id": user_id, "name": name, "new_allocation": WEIGHTS, "request_id": request_id}
    accepted = system.http("POST", "/rebalance", body)
    assert accepted.status == 202
    system.drain_queue()
    return str(accepted.json["rebalance_id"])


def pages(system: System, limit: int) -> list[dict[str, Any]]:
    """Return the items of all pages of the user 1."""
    query, found = {"user_id": "1", "limit": str(limit)}, []
    while True:
        page = system.http("GET", "/transactions", query=query).json
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def test_a_users_transactions_of_all_portfolios_are_listed_newest_first(system: System) -> None:
    order = [("a", "r1"), ("b", "r2"), ("a", "r3"), ("b", "r4")]
    ids = [decided(system, "1", name, request_id) for name, request_id in order]
    decided(system, "2", "a", "r5")
    closed = system.portfolio("1", name="b")["portfolio_id"]
    assert system.http("DELETE", f"/portfolios/{closed}").status == 204
    listed = pages(system, 100)
    assert [each["rebalance_id"] for each in listed[::2]] == ids[::-1]
    assert {each["user_id"] for each in listed} == {"1"}
    assert listed[0]["portfolio_id"] == closed
    assert [each["action"] for each in listed[:2]] == ["SELL", "BUY"]
    for limit in (1, 3):
        assert pages(system, limit) == listed


def test_the_token_of_an_end_user_lists_its_own_transactions_only(system: System) -> None:
    decided(system, "1", "a", "r1")
    user = authorized(user_id="1")
    assert len(system.http("GET", "/transactions", query={"user_id": "1"}, authorizer=user).json["items"]) == 2
    refused = system.http("GET", "/transactions", query={"user_id": "2"}, authorizer=user)
    assert (refused.status, refused.json["type"]) == (403, "urn:trimtab:problem:other_user")
    acme = authorized("acme")
    assert system.http("GET", "/transactions", query={"user_id": "1"}, authorizer=acme).json["items"] == []
    assert system.http("GET", "/transactions").status == 400
    foreign = system.http("GET", "/transactions", query={"user_id": "1", "limit": "1"}).json["next_cursor"]
    assert system.http("GET", "/transactions", query={"user_id": "2", "cursor": foreign}).status == 400
