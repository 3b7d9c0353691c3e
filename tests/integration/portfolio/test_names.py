"""Names, ids and keys as real systems use them."""

from typing import Any
from unittest import mock
from urllib.parse import quote, urljoin

import pytest

from tests.support.faults import Crash, CrashAfter, CrashBefore, injecting
from tests.support.moto_state import carries_events, commits
from tests.support.system import System
from trimtab.contracts.events import unpack_events
from trimtab.portfolios.portfolio import service
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.names import NameClaim, claim_of

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


CASH = {"ref_id": "c", "type": "deposit", "amount": 1}
TRADE = {"ref_id": "t", "side": "BUY", "security_type": "stock", "symbol": "A", "quantity": 1, "amount": 1}
WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}


def rename(system: System, created: Any, **body: Any) -> Any:
    """Return the answer to a change of the portfolio."""
    return system.http("PATCH", f"/portfolios/{created['portfolio_id']}", body)


def test_a_renamed_portfolio_keeps_its_id_and_tells_the_new_name(system: System) -> None:
    created = system.portfolio(name="old")
    answer = rename(system, created, name="Jose\u0301's pension", cooldown_seconds=60)
    assert (answer.status, answer.json["name"], answer.headers["ETag"]) == (200, "José's pension", '"2"')
    assert answer.json["portfolio_id"] == created["portfolio_id"]
    assert answer.json["policy"]["cooldown_seconds"] == 60
    assert rename(system, created, name="José's pension").json == answer.json, "a repeat changes nothing"
    (changed,) = unpack_events(next(filter(carries_events, reversed(commits())))["dynamodb"]["NewImage"]["events"]["S"])
    assert (changed.type, changed.data["name"]) == ("portfolio.updated", "José's pension")
    assert len(system.http("GET", "/portfolios", query={"user_id": "1"}).json["items"]) == 1


def test_every_name_that_a_portfolio_has_had_finds_it_and_no_other(system: System) -> None:
    created, names = system.portfolio(name="first"), ["first", "second", "third"]
    for name in (*names[1:], "second", "first", "third"):
        assert rename(system, created, name=name).json["name"] == name
    other = system.portfolio(name="other")
    for name in names:
        refused = rename(system, other, name=name)
        assert (refused.status, refused.json["type"]) == (409, "urn:trimtab:problem:name_taken")
        body = {"user_id": "1", "name": name, "new_allocation": WEIGHTS, "request_id": name}
        accepted = system.http("POST", "/rebalance", body)
        assert (accepted.status, accepted.json["portfolio_id"]) == (202, created["portfolio_id"])
    system.drain_queue()
    path = f"/portfolios/{created['portfolio_id']}/rebalances"
    assert {each["status"] for each in system.http("GET", path).json["items"]} <= {"COMPLETED", "SUPERSEDED"}
    assert rename(system, other, name="first", cooldown_seconds=5).status == 409
    assert system.http("GET", f"/portfolios/{other['portfolio_id']}").json["revision"] == 1


def test_a_creation_meets_the_portfolio_that_has_its_name(system: System) -> None:
    created = system.portfolio(name="first")
    rename(system, created, name="second")
    same = {"user_id": "1", "name": "second", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}}
    assert system.http("POST", "/portfolio", same).json["portfolio_id"] == created["portfolio_id"]
    assert system.http("POST", "/portfolio", {**same, "allocation": {"stocks": 100}}).status == 409
    assert system.http("POST", "/portfolio", {**same, "name": "first"}).json["name"] == "second"
    rename(system, created, name="third")
    assert system.http("POST", "/portfolio", same).status == 409, "the name is reserved for the renamed portfolio"
    key_id = portfolio_id_of("demo", "1", "second")
    assert system.http("GET", f"/portfolios/{key_id}").status == 404
    assert system.http("POST", f"/portfolios/{key_id}/cash", CASH).status == 404
    assert system.http("POST", f"/portfolios/{key_id}/trades", TRADE).status == 404


@pytest.mark.parametrize("crash", [CrashBefore, CrashAfter])
def test_a_crash_of_a_rename_leaves_it_to_be_repeated(system: System, crash: Any) -> None:
    with injecting() as faults:
        for call in range(2):
            created = system.portfolio(name=f"{crash.__name__}{call}")
            name = f"{created['name']} renamed"
            faults.clear()
            faults.set(crash(call))
            with pytest.raises(Crash):
                rename(system, created, name=name)
            faults.clear()
            assert rename(system, created, name=name).json["revision"] == 2
            assert system.portfolio(name=name)["portfolio_id"] == created["portfolio_id"]


def test_of_two_renames_to_one_name_at_once_one_succeeds(system: System) -> None:
    first, second = system.portfolio(name="a"), system.portfolio(name="b")

    def overtaken(portfolio: Portfolio) -> NameClaim | None:
        with mock.patch.object(service, "claim_of", claim_of):
            assert rename(system, second, name="c").status == 200
        return claim_of(portfolio)

    with mock.patch.object(service, "claim_of", overtaken):
        assert rename(system, first, name="c").status == 409
    assert system.portfolio(name="c")["portfolio_id"] == second["portfolio_id"]
    assert system.http("GET", f"/portfolios/{first['portfolio_id']}").json["name"] == "a"
