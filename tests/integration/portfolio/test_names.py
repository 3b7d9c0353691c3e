"""Names, ids and keys as real systems use them."""

from urllib.parse import quote, urljoin

import pytest

from tests.support.system import System

USERS = ["Ada+1@example.com", "9j/4AAQSkZJRg==", "auth0|17", "x" * 128]


@pytest.mark.parametrize("name", ["Test Portfolio", "José", "José's pension 70/30", "年金", "#1"])
def test_a_portfolio_has_a_display_name_of_any_script(system: System, name: str) -> None:
    created = system.portfolio(name=name)
    assert created["name"] == name
    assert system.portfolio(name=name.replace("é", "e\u0301"))["portfolio_id"] == created["portfolio_id"]
    body = {"user_id": "1", "name": name, "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
    accepted = system.http("POST", "/rebalance", body, headers={"Idempotency-Key": '"order #1"'})
    assert (accepted.status, accepted.json["portfolio_id"]) == (202, created["portfolio_id"])
    again = system.http("POST", "/rebalance", body, headers={"Idempotency-Key": "order #1"})
    assert again.json["rebalance_id"] == accepted.json["rebalance_id"]


@pytest.mark.parametrize("user_id", USERS)
def test_an_id_of_a_user_may_be_an_address_or_base64(system: System, user_id: str) -> None:
    created = system.portfolio(user_id)
    listed = system.http("GET", "/portfolios", query={"user_id": user_id}).json["items"]
    assert [(each["portfolio_id"], each["user_id"]) for each in listed] == [(created["portfolio_id"], user_id)]
    bet = {"user_id": user_id, "market_id": user_id, "selection_id": user_id, "side": "BACK", "stake": 7, "odds": 2}
    assert system.http("POST", "/orders", bet).status == 201
    market = quote(user_id, safe="")
    (position,) = system.http("GET", f"/positions/{market}").json["items"]
    assert position["market_id"] == user_id
    settled = system.http("POST", f"/markets/{market}/settle", {"winners": [user_id]})
    assert urljoin(f"/markets/{market}/settle", settled.json["links"]["self"]) == f"/markets/{market}/settlement"
    assert system.http("GET", settled.json["links"]["self"]).status == 200


@pytest.mark.parametrize("ref_id", USERS)
def test_a_reference_of_a_client_may_be_an_address_or_base64(system: System, ref_id: str) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}/trades"
    trade = {"ref_id": ref_id, "side": "BUY", "security_type": "stock", "symbol": "A", "quantity": 1, "amount": 10}
    assert [system.http("POST", path, trade).json["ref_id"] for _ in range(2)] == [ref_id] * 2
    assert system.http("GET", f"{path}/{quote(ref_id, safe='')}").json["ref_id"] == ref_id


def test_an_asset_class_may_have_blanks_and_an_asset_of_weight_zero_is_not_held(system: System) -> None:
    target = {"US Bonds": 60, "World Small Cap": 40, "Gold": 0}
    created = system.portfolio(allocation=target)
    assert created["allocation"] == {"US Bonds": "60.0000", "World Small Cap": "40.0000"}
    body = {"user_id": "1", "new_allocation": {"US Bonds": 50, "World Small Cap": 40, "Gold": 10}, "request_id": "k"}
    accepted = system.http("POST", "/rebalance", body).json
    system.drain_queue()
    done = system.http("GET", accepted["links"]["self"]).json
    assert (done["status"], len(done["transactions"])) == ("COMPLETED", 2)
