"""Lists of orders, whose they are, insights and events of betting, through the handlers."""

import json
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from connectrpc.code import Code

from functions.betting_on_insight_received import handler as insight_function
from functions.betting_rpc.generated import orders_pb as pb
from tests.support import rpc
from tests.support.betting import Bettor, close, insight, statuses
from tests.support.moto_state import carries_events, commits
from tests.support.system import BETTING_TABLE, System, authorized, sqs_record
from tests.support.trading import refused
from trimtab.betting import wiring
from trimtab.runtime.dynamodb.outbox import events_of


@pytest.fixture
def mine(system: System) -> Bettor:
    """User 1."""
    return Bettor(system)


def events() -> list[Any]:
    """The events that the commits so far carry."""
    return [event for it in commits(BETTING_TABLE) if carries_events(it) for event in events_of(it)]


# Lists ---------------------------------------------------------------------------------------------------------------


def test_lists_filter_and_go_on_where_the_cursor_says(mine: Bettor) -> None:
    ids = [mine.placed("BACK", 1 + number, "2.00", market_id=f"m{number % 2}") for number in range(5)]
    mine.settle(ids[0], won=True)

    def listed(**query: str) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = mine.read("/orders", **query, limit="2", **cursor)
            found += [it["id"] for it in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    newest = list(reversed(ids))
    assert listed(user_id="1") == newest
    assert listed(user_id="1", status="OPEN") == newest[:-1]
    assert listed(user_id="1", status="SETTLED") == [ids[0]]
    assert listed(market_id="m1") == [ids[3], ids[1]]
    assert listed(user_id="1", market_id="m0", status="OPEN") == [ids[4], ids[2]]
    refused(mine.system.http("GET", "/orders"), 400, "which_orders")
    cursor = mine.read("/orders", user_id="1", limit="1")["next_cursor"]
    refused(mine.system.http("GET", "/orders", query={"user_id": "2", "cursor": cursor}), 400, "invalid_cursor")
    page = mine.read("/positions/1", limit="1")
    again = mine.read("/positions/1", limit="1", cursor=page["next_cursor"])
    assert [it["market_id"] for it in (*page["items"], *again["items"])] == ["m0", "m1"]


# Identity ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [("acme", ""), ("demo", "2")], ids=["tenant", "user"])
def test_the_orders_of_others_are_not_found(mine: Bettor, who: tuple[str, str]) -> None:
    order_id = mine.placed("BACK", 10, "2.00")
    theirs, before = authorized(*who), len(commits(BETTING_TABLE))
    for known, unknown in ((order_id, "nobody"),):
        for method, path, body in (
            ("GET", "/orders/{}", None),
            ("POST", "/orders/{}/cancel", None),
            ("POST", "/orders/{}/settle", {"won": True}),
        ):
            answers = [mine.system.http(method, path.format(it), body, authorizer=theirs) for it in (known, unknown)]
            assert [it.status for it in answers] == [404, 404]
            assert answers[0].json["detail"] == answers[1].json["detail"]
    lists = [
        mine.system.http("GET", path, query=query, authorizer=theirs)
        for path, query in (
            ("/orders", {"user_id": "1"}),
            ("/orders", {"market_id": "match-7"}),
            ("/orders/open/1", None),
            ("/positions/1", None),
        )
    ]
    assert all(it.status == 404 or it.json["items"] == [] for it in lists)
    assert len(commits(BETTING_TABLE)) == before


def test_an_end_user_bets_for_itself_and_settles_nothing(mine: Bettor) -> None:
    user = authorized(user_id="1")
    placed = mine.place("BACK", 10, "2.00", authorizer=user)
    assert placed.status == 201
    refused(Bettor(mine.system, "2").place("BACK", 10, "2.00", authorizer=user), 403, "other_user")
    order_id = placed.json["order"]["id"]
    for path, body in ((f"/orders/{order_id}/settle", {"won": True}), ("/markets/match-7/settle", {"winners": []})):
        refused(mine.system.http("POST", path, body, authorizer=user), 403, "not_for_end_users")
    assert mine.system.http("GET", "/orders", authorizer=user).json["items"][0]["id"] == order_id
    assert mine.system.http("POST", f"/orders/{order_id}/cancel", authorizer=user).status == 200


# Insights ------------------------------------------------------------------------------------------------------------


def receive(system: System, *bodies: str) -> set[str]:
    """The messages that the worker of insights returns."""
    records = [sqs_record(body, message_id=f"m{number}") for number, body in enumerate(bodies)]
    return system.work(*records, worker=insight_function)


def test_the_newest_insight_counts_and_stays_with_the_order(mine: Bettor) -> None:
    later = insight("0.07", minutes_ago=-600)  # far more than five minutes ahead, however long the tests take
    assert receive(mine.system, insight("0.05", 10), insight("0.06", 5), insight("0.04", 20), later) == set()
    placed = mine.place("BACK", 10, "2.00", key="k")
    assert (placed.json["insight"]["expected_value"], placed.json["insight"]["implied_probability"]) == ("0.06", "0.31")
    assert receive(mine.system, insight("0.09", 1)) == set()
    assert mine.place("BACK", 10, "2.00", key="k").json["insight"]["expected_value"] == "0.06"
    assert mine.place("BACK", 10, "2.00", key="l").json["insight"]["expected_value"] == "0.09"
    assert mine.place("BACK", 10, "2.00", "away").json["insight"] is None


def test_an_insight_that_is_not_understood_or_not_its_senders_is_returned(system: System) -> None:
    bodies = [insight(implied_probability=1), insight(schema_version=2), insight(x=1), "{", insight()]
    assert receive(system, *bodies) == {"m0", "m1", "m2", "m3"}
    with mock.patch.dict("os.environ", SENDER_TENANTS=json.dumps({"AROAEXAMPLE": ["acme"]})):
        insight_function.settings.cache_clear()
        assert receive(system, insight()) == {"m0"}


def test_a_policy_refuses_orders_below_a_minimum_expected_value(mine: Bettor) -> None:
    with mock.patch.dict("os.environ", MINIMUM_EXPECTED_VALUE="0.05"):
        wiring.settings.cache_clear()
        wiring.orders.cache_clear()
        assert mine.place("BACK", 10, "2.00").status == 201  # nothing is known against it
        receive(mine.system, insight("0.049"))
        refused(mine.place("BACK", 10, "2.00", key="a"), 422, "expected_value_too_low")
        refused(mine.place("LAY", 10, "2.00", key="b"), 422, "expected_value_too_low")
        receive(mine.system, insight("-0.05", 5))
        assert mine.place("LAY", 10, "2.00", key="c").status == 201  # a lay is worth the opposite


# Events --------------------------------------------------------------------------------------------------------------


def test_every_change_is_an_event_with_the_fields_of_the_order(mine: Bettor) -> None:
    order_id = mine.placed("LAY", 10, "3.50")
    mine.settle(order_id, won=False)
    cancelled = mine.placed("BACK", 1, "2.00")
    mine.system.http("POST", f"/orders/{cancelled}/cancel")
    found = events()
    assert len({it["id"] for it in found}) == len(found) == 8
    assert sorted({it["type"] for it in found}) == [
        "order.cancelled",
        "order.placed",
        "order.settled",
        "position.updated",
    ]
    (settled,) = (it["data"] for it in found if it["type"] == "order.settled")
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
    assert settled_at == mine.read(f"/orders/{order_id}")["settled_at"]
    positions = [it["data"] for it in found if it["type"] == "position.updated"]
    assert [(it["side"], it["exposure"], it["pnl"]) for it in positions] == [
        ("LAY", "25.00", "0.00"),
        (None, "0.00", "10.00"),
        ("BACK", "1.00", "10.00"),
        (None, "0.00", "10.00"),
    ]


def test_what_is_placed_settled_and_refused_is_counted_once(mine: Bettor, capsys: pytest.CaptureFixture[str]) -> None:
    order_id = mine.placed("LAY", 10, "3.50", key="k")
    assert mine.place("LAY", 10, "3.50", key="k").status == 201  # a repeat
    refused(mine.place("BACK", "10000.01", 2), 422, "stake_too_large")
    refused(mine.settle(order_id, result="dead_heat"), 422, "dead_heat_factor")
    for _ in range(2):
        assert mine.settle(order_id, won=True).status == 200
    refused(mine.settle(order_id, won=False), 409, "already_settled")
    refused(close(mine.system, ["home"], voids=["home"]), 422, "both_won_and_void")
    both = pb.SettleMarketRequest(market_id="match-7", winners=["home"], voids=["home"])
    rpc.refused(Code.FAILED_PRECONDITION, "both_won_and_void", rpc.client().settle_market, both)
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


def test_a_closed_market_takes_no_order_cancels_none_and_settles_none_alone(mine: Bettor) -> None:
    first = mine.placed("BACK", 10, "2.00", key="k")
    assert close(mine.system, ["home"]).status == 202
    refused(mine.place("BACK", 10, "2.00"), 409, "market_closed")
    assert mine.place("BACK", 10, "2.00", key="k").json["order"]["id"] == first  # a repeat is answered
    refused(mine.system.http("POST", f"/orders/{first}/cancel"), 409, "market_closed")
    refused(mine.settle(first, won=True), 409, "market_closed")
    assert statuses() == {"OPEN": 1}
    assert mine.place("BACK", 10, "2.00", market_id="another").status == 201
