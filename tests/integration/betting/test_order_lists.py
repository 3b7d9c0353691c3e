"""Lists, ownership, insights, events and metrics of betting, through the handlers."""

import json
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from connectrpc.code import Code

from functions.betting_on_insight_received import handler as insight_function
from functions.betting_rpc.generated import orders_pb as pb
from tests.support import rpc
from tests.support.betting import Bettor, count_statuses, insight_body, settle_market
from tests.support.moto_state import carries_events, commits
from tests.support.system import BETTING_TABLE, System, authorized, sqs_record
from tests.support.trading import refused
from trimtab.betting import wiring
from trimtab.runtime.dynamodb.outbox import events_of


@pytest.fixture
def bettor(system: System) -> Bettor:
    """Return user 1."""
    return Bettor(system)


def committed_events() -> list[Any]:
    """Return the events of all commits so far."""
    return [event for record in commits(BETTING_TABLE) if carries_events(record) for event in events_of(record)]


# Lists ---------------------------------------------------------------------------------------------------------------


def test_lists_filter_and_continue_at_the_cursor(bettor: Bettor) -> None:
    ids = [bettor.place_successfully("BACK", 1 + number, "2.00", market_id=f"m{number % 2}") for number in range(5)]
    bettor.settle(ids[0], won=True)

    def listed(**query: str) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = bettor.read("/orders", **query, limit="2", **cursor)
            found += [order["id"] for order in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    newest = list(reversed(ids))
    assert listed(user_id="1") == newest
    assert listed(user_id="1", status="OPEN") == newest[:-1]
    assert listed(user_id="1", status="SETTLED") == [ids[0]]
    assert listed(market_id="m1") == [ids[3], ids[1]]
    assert listed(user_id="1", market_id="m0", status="OPEN") == [ids[4], ids[2]]
    refused(bettor.system.http("GET", "/orders"), 400, "which_orders")
    cursor = bettor.read("/orders", user_id="1", limit="1")["next_cursor"]
    refused(bettor.system.http("GET", "/orders", query={"user_id": "2", "cursor": cursor}), 400, "invalid_cursor")
    page = bettor.read("/positions/1", limit="1")
    again = bettor.read("/positions/1", limit="1", cursor=page["next_cursor"])
    assert [position["market_id"] for position in (*page["items"], *again["items"])] == ["m0", "m1"]


# Identity ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [("acme", ""), ("demo", "2")], ids=["tenant", "user"])
def test_the_orders_of_others_are_not_found(bettor: Bettor, who: tuple[str, str]) -> None:
    order_id = bettor.place_successfully("BACK", 10, "2.00")
    theirs, before = authorized(*who), len(commits(BETTING_TABLE))
    for method, path, body in (
        ("GET", "/orders/{}", None),
        ("POST", "/orders/{}/cancel", None),
        ("POST", "/orders/{}/settle", {"won": True}),
    ):
        answers = [
            bettor.system.http(method, path.format(each), body, authorizer=theirs) for each in (order_id, "nobody")
        ]
        assert [answer.status for answer in answers] == [404, 404]
        assert answers[0].json["detail"] == answers[1].json["detail"]
    lists = [
        bettor.system.http("GET", path, query=query, authorizer=theirs)
        for path, query in (
            ("/orders", {"user_id": "1"}),
            ("/orders", {"market_id": "match-7"}),
            ("/orders/open/1", None),
            ("/positions/1", None),
        )
    ]
    assert all(answer.status == 404 or answer.json["items"] == [] for answer in lists)
    assert len(commits(BETTING_TABLE)) == before


def test_an_end_user_places_its_own_orders_only_and_settles_none(bettor: Bettor) -> None:
    user = authorized(user_id="1")
    placed = bettor.place("BACK", 10, "2.00", authorizer=user)
    assert placed.status == 201
    refused(Bettor(bettor.system, "2").place("BACK", 10, "2.00", authorizer=user), 403, "other_user")
    order_id = placed.json["order"]["id"]
    for path, body in ((f"/orders/{order_id}/settle", {"won": True}), ("/markets/match-7/settle", {"winners": []})):
        refused(bettor.system.http("POST", path, body, authorizer=user), 403, "not_for_end_users")
    assert bettor.system.http("GET", "/orders", authorizer=user).json["items"][0]["id"] == order_id
    assert bettor.system.http("POST", f"/orders/{order_id}/cancel", authorizer=user).status == 200


# Insights ------------------------------------------------------------------------------------------------------------


def receive(system: System, *bodies: str) -> set[str]:
    """Return the ids of the messages that the worker of insights returns to the queue."""
    records = [sqs_record(body, message_id=f"m{number}") for number, body in enumerate(bodies)]
    return system.invoke_worker(*records, worker=insight_function)


def test_the_newest_insight_is_stored_with_the_order(bettor: Bettor) -> None:
    later = insight_body("0.07", minutes_ago=-600)  # far more than five minutes ahead, however long the tests take
    assert (
        receive(bettor.system, insight_body("0.05", 10), insight_body("0.06", 5), insight_body("0.04", 20), later)
        == set()
    )
    placed = bettor.place("BACK", 10, "2.00", key="k")
    assert (placed.json["insight"]["expected_value"], placed.json["insight"]["implied_probability"]) == ("0.06", "0.31")
    assert receive(bettor.system, insight_body("0.09", 1)) == set()
    assert bettor.place("BACK", 10, "2.00", key="k").json["insight"]["expected_value"] == "0.06"
    assert bettor.place("BACK", 10, "2.00", key="l").json["insight"]["expected_value"] == "0.09"
    assert bettor.place("BACK", 10, "2.00", "away").json["insight"] is None


def test_an_invalid_insight_and_an_insight_of_another_tenant_are_returned_to_the_queue(system: System) -> None:
    bodies = [
        insight_body(implied_probability=1),
        insight_body(schema_version=2),
        insight_body(x=1),
        "{",
        insight_body(),
    ]
    assert receive(system, *bodies) == {"m0", "m1", "m2", "m3"}
    with mock.patch.dict("os.environ", SENDER_TENANTS=json.dumps({"AROAEXAMPLE": ["acme"]})):
        insight_function.settings.cache_clear()
        assert receive(system, insight_body()) == {"m0"}


PLAIN = {"market_id": "match-7", "selection_id": "home", "expected_value": "0.05", "momentum": 0.1}


def test_a_plain_insight_is_of_the_senders_tenant_and_the_time_of_sending(bettor: Bettor) -> None:
    body = json.dumps({**PLAIN, "implied_probability": 0.3333333333333333})
    sent = {"SentTimestamp": "1767625200123"}
    assert receive(bettor.system, body) == {"m0"}, "any sender may send for any tenant: which is unknown"
    with mock.patch.dict("os.environ", SENDER_TENANTS=json.dumps({"AROAEXAMPLEROLEIDAAAA": ["demo"]})):
        insight_function.settings.cache_clear()
        assert bettor.system.invoke_worker(sqs_record(body, **sent), worker=insight_function) == set()
        named = json.dumps({**PLAIN, "tenant_id": "acme", "implied_probability": "0.5"})
        assert receive(bettor.system, named) == {"m0"}
    placed = bettor.place("BACK", 10, "2.00").json["insight"]
    assert (placed["as_of"], placed["implied_probability"]) == ("2026-01-05T15:00:00.123000Z", "0.3333333333333333")


def test_an_insight_over_http_is_as_of_the_request_and_the_newest_counts(bettor: Bettor) -> None:
    def store(**members: Any) -> Any:
        return bettor.system.http("POST", "/insights", {**PLAIN, "implied_probability": "0.5", **members})

    stored = store()
    assert (stored.status, stored.json["is_newest"]) == (200, True)
    assert bettor.place("BACK", 10, "2.00").json["insight"] == stored.json["insight"]
    older = {"as_of": "2026-01-05T15:30:00Z", "expected_value": "0.9"}
    assert store(**older).json["is_newest"] is False
    assert store(as_of=stored.json["insight"]["as_of"]).json["is_newest"] is False
    assert bettor.place("BACK", 10, "2.00", key="k").json["insight"]["expected_value"] == "0.05"
    refused(store(as_of="2999-01-01T00:00:00Z"), 422, "as_of_in_future")
    assert store(implied_probability=1).status == 400
    answer = bettor.system.http(
        "POST", "/insights", {**PLAIN, "implied_probability": "0.5"}, authorizer=authorized(user_id="1")
    )
    refused(answer, 403, "not_for_end_users")


def test_a_policy_refuses_orders_below_a_minimum_expected_value(bettor: Bettor) -> None:
    with mock.patch.dict("os.environ", MINIMUM_EXPECTED_VALUE="0.05"):
        wiring.settings.cache_clear()
        wiring.orders.cache_clear()
        assert bettor.place("BACK", 10, "2.00").status == 201  # there is no insight
        receive(bettor.system, insight_body("0.049"))
        refused(bettor.place("BACK", 10, "2.00", key="a"), 422, "expected_value_too_low")
        refused(bettor.place("LAY", 10, "2.00", key="b"), 422, "expected_value_too_low")
        receive(bettor.system, insight_body("-0.05", 5))
        assert bettor.place("LAY", 10, "2.00", key="c").status == 201  # a LAY has the opposite expected value


# Events --------------------------------------------------------------------------------------------------------------


def test_every_change_emits_an_event_with_the_fields_of_the_order(bettor: Bettor) -> None:
    order_id = bettor.place_successfully("LAY", 10, "3.50")
    bettor.settle(order_id, won=False)
    cancelled = bettor.place_successfully("BACK", 1, "2.00")
    bettor.system.http("POST", f"/orders/{cancelled}/cancel")
    found = committed_events()
    assert len({event["id"] for event in found}) == len(found) == 8
    assert sorted({event["type"] for event in found}) == [
        "order.cancelled",
        "order.placed",
        "order.settled",
        "position.updated",
    ]
    (settled,) = (event["data"] for event in found if event["type"] == "order.settled")
    settled_at = settled.pop("settled_at")
    assert settled == {
        "id": order_id,
        "user_id": "1",
        "market_id": "match-7",
        "selection_id": "home",
        "side": "LAY",
        "stake": "10.00",
        "odds": "3.50",
        "status": "SETTLED",
        "payout": "35.00",
        "exposure": "25.00",
        "pnl": "10.00",
    }
    assert settled_at == bettor.read(f"/orders/{order_id}")["settled_at"]
    positions = [event["data"] for event in found if event["type"] == "position.updated"]
    assert [(data["side"], data["exposure"], data["pnl"]) for data in positions] == [
        ("LAY", "25.00", "0.00"),
        (None, "0.00", "10.00"),
        ("BACK", "1.00", "10.00"),
        (None, "0.00", "10.00"),
    ]


def test_placed_settled_and_refused_orders_are_counted_once(bettor: Bettor, capsys: pytest.CaptureFixture[str]) -> None:
    order_id = bettor.place_successfully("LAY", 10, "3.50", key="k")
    assert bettor.place("LAY", 10, "3.50", key="k").status == 201  # a repeat
    refused(bettor.place("BACK", "10000.01", 2), 422, "stake_too_large")
    refused(bettor.settle(order_id, result="dead_heat"), 422, "dead_heat_factor")
    for _ in range(2):
        assert bettor.settle(order_id, won=True).status == 200
    refused(bettor.settle(order_id, won=False), 409, "already_settled")
    refused(settle_market(bettor.system, ["home"], voids=["home"]), 422, "both_won_and_void")
    both = pb.SettleMarketRequest(market_id="match-7", winners=["home"], voids=["home"])
    rpc.assert_refused(Code.FAILED_PRECONDITION, "both_won_and_void", rpc.client().settle_market, both)
    counted: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        record = json.loads(line)
        for kind in record.get("_aws", {"CloudWatchMetrics": []})["CloudWatchMetrics"]:
            assert kind["Namespace"] == "Trimtab"
            counted.update({each["Name"]: sum(record[each["Name"]]) for each in kind["Metrics"]})
    assert counted == {
        "BettingRequests": 8,
        "BettingRpcs": 1,
        "OrdersPlaced": 1,
        "OrderExposure": 25,
        "OrdersRefused": 1,
        "OrdersSettled": 1,
        "SettlementsRefused": 4,
    }


def test_a_closed_market_rejects_placing_cancelling_and_settling_single_orders(bettor: Bettor) -> None:
    first = bettor.place_successfully("BACK", 10, "2.00", key="k")
    assert settle_market(bettor.system, ["home"]).status == 202
    refused(bettor.place("BACK", 10, "2.00"), 409, "market_closed")
    assert bettor.place("BACK", 10, "2.00", key="k").json["order"]["id"] == first  # a repeat is answered
    refused(bettor.system.http("POST", f"/orders/{first}/cancel"), 409, "market_closed")
    refused(bettor.settle(first, won=True), 409, "market_closed")
    assert count_statuses() == {"OPEN": 1}
    assert bettor.place("BACK", 10, "2.00", market_id="another").status == 201
