"""Betting orders through the handlers: placed, cancelled, settled, listed; positions, sums and insights."""

from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from tests.support.betting import MARKET, NOW, Bettor, book, orders
from tests.support.moto_state import commits
from tests.support.system import BETTING_TABLE, System
from tests.support.trading import refused
from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.domain.positions import Position
from trimtab.kernel.errors import Conflict


@pytest.fixture
def mine(system: System) -> Bettor:
    """User 1."""
    return Bettor(system)


# Placing -----------------------------------------------------------------------------------------------------------


def test_an_order_is_answered_with_its_position_and_is_what_is_read_then(mine: Bettor) -> None:
    answer = mine.place("LAY", "10", 3.5, key="k")
    assert answer.status == 201, answer.text
    order, position = answer.json["order"], answer.json["position"]
    assert (order["side"], order["stake"], order["odds"], order["exposure"]) == ("LAY", "10.00", "3.50", "25.00")
    assert (order["status"], order["payout"], order["pnl"], order["settled_at"]) == ("OPEN", None, None, None)
    assert (position["side"], position["exposure"], position["if_win"], position["if_lose"]) == (
        "LAY",
        "25.00",
        "-25.00",
        "10.00",
    )
    assert answer.json["insight"] is None
    assert answer.json["retry_safe"] is True
    assert mine.read(f"/orders/{order['id']}") == order
    assert mine.read("/orders/open/1")["items"] == [order]
    assert answer.headers["Location"].endswith(f"orders/{order['id']}")


def test_the_same_key_is_the_same_order_and_another_body_under_it_is_refused(mine: Bettor) -> None:
    first, again = (mine.place("BACK", stake, "2.00", key="k") for stake in ("10", "10.00"))
    assert (again.status, again.json) == (first.status, first.json)
    for changed in ({"stake": 11}, {"odds": "2.01"}, {"side": "LAY"}, {"selection_id": "away"}, {"market_id": "m2"}):
        body: dict[str, Any] = {"side": "BACK", "stake": 10, "odds": 2, **changed}
        refused(mine.place(body.pop("side"), body.pop("stake"), body.pop("odds"), key="k", **body), 409, "key_reused")
    assert len(orders()) == 1
    assert mine.metrics()["orders_placed"] == 1
    other = Bettor(mine.system, "2").place("BACK", "10", "2.00", key="k")
    assert other.json["order"]["id"] != first.json["order"]["id"]


BAD: list[tuple[str, dict[str, Any], int]] = [
    ("stake 0", {"stake": 0}, 400),
    ("stake below 0", {"stake": "-1"}, 400),
    ("3 decimals", {"stake": "1.001"}, 400),
    ("stake above the maximum", {"stake": "10000.01"}, 422),
    ("a lay that exposes nothing", {"side": "LAY", "stake": "0.01", "odds": "1.49"}, 422),
    ("exponent", {"stake": "1e3"}, 400),
    ("odds of 1", {"odds": 1}, 400),
    ("odds above 1000", {"odds": "1000.01"}, 400),
    ("odds with 3 decimals", {"odds": "2.001"}, 400),
    ("side", {"side": "back"}, 400),
    ("no market", {"market_id": None}, 400),
    ("a key in an id", {"selection_id": "a#b"}, 400),
    ("Cyrillic", {"selection_id": "\u0410"}, 400),
    ("unknown field", {"price": 2}, 400),
    ("true for a number", {"stake": True}, 400),
]


@pytest.mark.parametrize(("change", "status"), [it[1:] for it in BAD], ids=[it[0] for it in BAD])
def test_a_bad_order_is_refused_and_nothing_is_changed(system: System, change: dict[str, Any], status: int) -> None:
    body = {**Bettor(system).order("BACK", 10, 2), **change}
    assert system.http("POST", "/orders", body).status == status
    assert commits(BETTING_TABLE) == []


def test_the_largest_stake_at_the_largest_odds_is_taken(mine: Bettor) -> None:
    assert mine.place("BACK", "10000", "1000").json["position"]["if_win"] == "9990000.00"


def test_open_orders_expose_no_more_than_the_limit_and_room_comes_back(mine: Bettor) -> None:
    first = mine.placed("LAY", "1000", "100.90")  # exposes 99,900
    refused(mine.place("BACK", "100.01", "2.00"), 422, "exposure_limit")
    refused(mine.place("LAY", "10000", "11.01"), 422, "exposure_limit")  # alone above it
    assert mine.place("BACK", "100.00", "2.00", market_id="other").status == 201
    assert mine.metrics()["open_exposure"] == "100000.00"
    assert mine.system.http("POST", f"/orders/{first}/cancel").status == 200
    assert mine.place("BACK", "100.01", "2.00", key="k").status == 201


# Cancelling and settling ---------------------------------------------------------------------------------------------


def test_a_cancelled_order_leaves_no_stake(mine: Bettor) -> None:
    order_id = mine.placed("BACK", "10", "2.00")
    first, again = (mine.system.http("POST", f"/orders/{order_id}/cancel") for _ in range(2))
    assert first.json["status"] == "CANCELLED"
    assert (again.status, again.json) == (200, first.json)
    refused(mine.settle(order_id, won=True), 409, "cancelled")
    sums = mine.metrics()
    assert (sums["total_stake"], sums["orders_placed"], sums["orders_cancelled"]) == ("0.00", 1, 1)
    assert (mine.position()["exposure"], mine.position()["selections"]) == ("0.00", [])
    assert mine.read("/orders/open/1")["items"] == []


@pytest.mark.parametrize(
    ("side", "body", "payout", "pnl"),
    [
        ("BACK", {"won": True}, "35.00", "25.00"),
        ("BACK", {"won": False}, "0.00", "-10.00"),
        ("LAY", {"won": False}, "35.00", "10.00"),
        ("LAY", {"won": True}, "0.00", "-25.00"),
        ("LAY", {"won": False, "payout": "35"}, "35.00", "10.00"),
        ("LAY", {"result": "void"}, "25.00", "0.00"),
        ("LAY", {"result": "half_won"}, "12.50", "-12.50"),
        ("BACK", {"result": "half_lost"}, "5.00", "-5.00"),
        ("BACK", {"result": "dead_heat", "dead_heat_factor": "1/3"}, "11.67", "1.67"),
        ("BACK", {"result": "won", "commission": "1.25"}, "35.00", "23.75"),
    ],
)
def test_an_order_is_settled_by_what_became_of_its_selection(
    mine: Bettor, side: str, body: dict[str, Any], payout: str, pnl: str
) -> None:
    order_id = mine.placed(side, "10", "3.50")
    first, again = mine.settle(order_id, **body), mine.settle(order_id, **body)
    assert (first.status, first.json["status"]) == (200, "SETTLED"), first.text
    assert (first.json["payout"], first.json["pnl"]) == (payout, pnl)
    assert (again.status, again.json) == (200, first.json)
    assert mine.metrics()["profit"] == mine.metrics(market_id=MARKET)["profit"] == pnl
    assert [it["pnl"] for it in mine.position()["selections"]] == ([] if body.get("result") == "void" else [pnl])
    assert mine.metrics()["orders_settled"] == (0 if body.get("result") == "void" else 1)
    assert mine.rebuilt().is_right


def test_another_settlement_of_a_settled_order_is_refused(mine: Bettor) -> None:
    order_id = mine.placed("BACK", "10", "3.50")
    assert mine.settle(order_id, won=True).status == 200
    assert mine.settle(order_id, result="won").status == 200  # the same, in other words
    before = len(commits(BETTING_TABLE))
    for body in ({"won": False}, {"result": "void"}, {"won": True, "commission": 1}, {"won": True, "payout": 34}):
        refused(mine.settle(order_id, **body), 409, "already_settled")
    refused(mine.system.http("POST", f"/orders/{order_id}/cancel"), 409, "already_settled")
    assert len(commits(BETTING_TABLE)) == before


def test_a_payout_that_disagrees_is_refused_unless_somebody_says_why(mine: Bettor) -> None:
    order_id = mine.placed("BACK", "10", "3.50")
    refused(mine.settle(order_id, won=True, payout="30.00"), 422, "payout_disagrees")
    settled = mine.settle(order_id, won=True, payout="30.00", override_reason="Rule 4: a runner was withdrawn.")
    assert (settled.json["payout"], settled.json["pnl"], settled.json["settlement"]["due"]) == (
        "30.00",
        "20.00",
        "35.00",
    )
    assert settled.json["settlement"]["override_reason"] == "Rule 4: a runner was withdrawn."
    assert settled.json["settlement"]["settled_by"] == "test"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"won": True, "result": "won"}, 400),
        ({"won": "yes"}, 400),
        ({"result": "lose"}, 400),
        ({"result": "dead_heat"}, 422),
        ({"result": "won", "dead_heat_factor": "1/2"}, 422),
        ({"result": "dead_heat", "dead_heat_factor": "2/2"}, 400),
        ({"result": "dead_heat", "dead_heat_factor": "1/0"}, 400),
        ({"result": "dead_heat", "dead_heat_factor": 1.5}, 400),
        ({"won": True, "commission": -1}, 400),
        ({"won": True, "commission": "25.01"}, 422),
        ({"won": True, "payout": "NaN"}, 400),
        ({"won": True, "override_reason": "x"}, 400),
        ({"won": True, "x": 1}, 400),
    ],
)
def test_a_bad_settlement_is_refused_and_nothing_is_changed(mine: Bettor, body: dict[str, Any], status: int) -> None:
    order_id = mine.placed("BACK", "10", "3.50")
    before = len(commits(BETTING_TABLE))
    assert mine.settle(order_id, **body).status == status
    assert len(commits(BETTING_TABLE)) == before


# Positions and sums --------------------------------------------------------------------------------------------------


def test_positions_show_both_sides_the_worst_case_and_the_cash_out(mine: Bettor) -> None:
    """Back home 10 at 3.50 and 20 at 3.00, lay home 15 at 2.80, lay draw 8 at 4.00, back away 5 at 6.00."""
    for bet in (("BACK", 10, "3.50"), ("BACK", 20, "3.00"), ("LAY", 15, "2.80")):
        mine.placed(*bet)
    mine.placed("LAY", 8, "4.00", "draw")
    mine.placed("BACK", 5, "6.00", "away")
    market, home = mine.position(), mine.on("home", lay_odds="2.50")
    assert (market["exposure"], market["worst_case_exposure"]) == ("86.00", "44.00")
    assert (home["back_stake"], home["back_profit"], home["lay_stake"], home["lay_liability"]) == (
        "30.00",
        "65.00",
        "15.00",
        "27.00",
    )
    assert (home["side"], home["if_win"], home["if_lose"]) == ("BACK", "38.00", "-15.00")
    assert home["cash_out"] == {"side": "LAY", "odds": "2.50", "stake": "21.20"}
    assert mine.position(winners="2")["worst_case_exposure_of_these"] == "14.00"
    assert mine.on("away")["cash_out"] == {"side": "LAY", "odds": "6.00", "stake": "5.00"}
    assert mine.rebuilt().is_right


def test_a_cash_out_locks_the_profit_in(mine: Bettor) -> None:
    mine.placed("BACK", 10, "3.50")
    cash_out = mine.on("home", lay_odds="2.80")["cash_out"]
    assert cash_out["stake"] == "12.50"
    mine.placed(cash_out["side"], cash_out["stake"], cash_out["odds"])
    home = mine.on("home")
    assert (home["if_win"], home["if_lose"], home["side"], home["cash_out"]) == ("2.50", "2.50", None, None)
    assert mine.position()["worst_case_exposure"] == "0.00"


def test_sums_count_settled_orders_and_leave_open_and_void_ones_out_of_the_roi(mine: Bettor) -> None:
    mine.settle(mine.placed("BACK", 10, "3.50"), won=True)
    mine.settle(mine.placed("LAY", 20, "2.00", "draw"), won=False)
    mine.settle(mine.placed("BACK", 40, "2.00", "away", market_id="m2"), won=False)
    mine.settle(mine.placed("BACK", 7, "2.00", "away", market_id="m2"), result="void")
    mine.placed("LAY", 5, "4.00", "x", market_id="m2")
    sums = mine.metrics()
    assert (sums["total_stake"], sums["total_payout"], sums["profit"]) == ("82.00", "82.00", "5.00")
    assert (sums["roi"], sums["win_rate"], sums["orders_won"]) == ("7.1429", "66.6667", 2)
    assert (sums["open_stake"], sums["open_exposure"]) == ("5.00", "15.00")
    other = mine.metrics(market_id="m2")
    assert (other["total_stake"], other["profit"], other["roi"]) == ("52.00", "-40.00", "-100.0000")
    assert mine.metrics(market_id="none")["orders_placed"] == 0


def test_a_rebuild_finds_what_is_wrong_and_puts_it_right(mine: Bettor) -> None:
    mine.settle(mine.placed("BACK", 10, "3.50"), won=True)
    mine.placed("LAY", 5, "4.00", market_id="m2")
    kept = mine.metrics()
    for item in ("METRICS", "POSITION#m2"):
        _corrupt(item)
    found = mine.rebuilt(repair=True)
    assert (found.is_right, found.wrong_positions) == (False, ("m2",))
    assert mine.rebuilt().is_right
    assert mine.metrics() == kept


def test_an_order_that_is_placed_during_a_repair_is_not_lost(mine: Bettor) -> None:
    mine.placed("BACK", 10, "3.50")
    _corrupt(f"POSITION#{MARKET}")
    read = DynamoBook.orders

    def interrupted(*arguments: Any, **members: Any) -> Any:
        page = read(*arguments, **members)
        mine.placed("LAY", 5, "4.00", key="meanwhile")
        return page

    with mock.patch.object(DynamoBook, "orders", interrupted), pytest.raises(Conflict, match="try again"):
        mine.rebuilt(repair=True)
    mine.rebuilt(repair=True)
    assert mine.rebuilt().is_right
    assert (mine.metrics()["orders_placed"], mine.position()["exposure"]) == (2, "25.00")


def test_an_order_that_the_index_does_not_show_is_not_lost(mine: Bettor) -> None:
    mine.placed("BACK", 10, "3.50")
    mine.placed("LAY", 5, "4.00", market_id="m2")
    read, before = DynamoBook.orders, len(commits(BETTING_TABLE))
    late = lambda *each, **more: replace(found := read(*each, **more), items=found.items[1:])  # noqa: E731
    with mock.patch.object(DynamoBook, "orders", late):
        assert mine.rebuilt().wrong_positions == ("m2",)
        with pytest.raises(Conflict, match="the sums, the position in m2"):
            mine.rebuilt(repair=True)
    assert len(commits(BETTING_TABLE)) == before
    assert mine.rebuilt().is_right


def test_a_position_in_a_market_without_orders_is_found(mine: Bettor) -> None:
    book().put_position(
        Position(
            tenant_id="demo",
            user_id="1",
            market_id="nowhere",
            updated_at=NOW,
            version=1,
            market_commission=Decimal(1),
        )
    )
    assert mine.rebuilt(repair=True).wrong_positions == ("nowhere",)
    assert mine.rebuilt().is_right


def _corrupt(sort: str) -> None:
    import boto3  # noqa: PLC0415

    key = {"pk": {"S": "T#demo#U#1"}, "sk": {"S": sort}}
    name, value = ("profit", {"N": "999"}) if sort == "METRICS" else ("selections", {"S": "{}"})
    boto3.client("dynamodb").update_item(
        TableName=BETTING_TABLE,
        Key=key,
        UpdateExpression="SET #n = :v",
        ExpressionAttributeNames={"#n": name},
        ExpressionAttributeValues={":v": value},
    )
