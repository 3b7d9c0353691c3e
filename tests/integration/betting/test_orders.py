"""Orders through the handlers: placing, cancelling, settling, and the positions and totals they change."""

from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
import pytest
from msgspec.structs import replace

from tests.support.betting import MARKET, NOW, Bettor, betting_store, settings, stored_orders
from tests.support.moto_state import commits
from tests.support.system import BETTING_TABLE, System
from tests.support.trading import refused
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.odds import OddsLadder
from trimtab.betting.domain.positions import BettingPosition
from trimtab.kernel.errors import Conflict


@pytest.fixture
def bettor(system: System) -> Bettor:
    """Return user 1."""
    return Bettor(system)


# Placing -----------------------------------------------------------------------------------------------------------


def test_placing_answers_with_order_and_position_and_the_order_reads_back_the_same(bettor: Bettor) -> None:
    answer = bettor.place("LAY", "10", 3.5, key="k")
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
    assert bettor.read(f"/orders/{order['id']}") == order
    assert bettor.read("/orders/open/1")["items"] == [order]
    assert answer.headers["Location"].endswith(f"orders/{order['id']}")


def test_the_same_key_is_the_same_order_and_another_body_under_it_is_refused(bettor: Bettor) -> None:
    first, again = (bettor.place("BACK", stake, "2.00", key="k") for stake in ("10", "10.00"))
    assert (again.status, again.json) == (first.status, first.json)
    for changed in ({"stake": 11}, {"odds": "2.01"}, {"side": "LAY"}, {"selection_id": "away"}, {"market_id": "m2"}):
        body: dict[str, Any] = {"side": "BACK", "stake": 10, "odds": 2, **changed}
        refused(bettor.place(body.pop("side"), body.pop("stake"), body.pop("odds"), key="k", **body), 409, "key_reused")
    assert len(stored_orders()) == 1
    assert bettor.metrics()["orders_placed"] == 1
    other = Bettor(bettor.system, "2").place("BACK", "10", "2.00", key="k")
    assert other.json["order"]["id"] != first.json["order"]["id"]


BAD_ORDERS: list[tuple[str, dict[str, Any], int]] = [
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


@pytest.mark.parametrize(("change", "status"), [case[1:] for case in BAD_ORDERS], ids=[case[0] for case in BAD_ORDERS])
def test_a_bad_order_is_refused_and_nothing_is_changed(system: System, change: dict[str, Any], status: int) -> None:
    body = {**Bettor(system).order_body("BACK", 10, 2), **change}
    assert system.http("POST", "/orders", body).status == status
    assert commits(BETTING_TABLE) == []


def test_the_largest_stake_at_the_largest_odds_is_taken(bettor: Bettor) -> None:
    assert bettor.place("BACK", "10000", "1000").json["position"]["if_win"] == "9990000.00"


def test_open_orders_do_not_exceed_the_exposure_limit_and_cancelling_makes_room(bettor: Bettor) -> None:
    first = bettor.place_successfully("LAY", "1000", "100.90")  # exposes 99,900
    refused(bettor.place("BACK", "100.01", "2.00", "away"), 422, "exposure_limit")
    refused(bettor.place("LAY", "10000", "11.01"), 422, "exposure_limit")  # this order alone exceeds the limit
    assert bettor.place("BACK", "100.00", "2.00", market_id="other").status == 201
    assert bettor.metrics()["open_exposure"] == "100000.00"
    assert bettor.system.http("POST", f"/orders/{first}/cancel").status == 200
    assert bettor.place("BACK", "100.01", "2.00", key="k").status == 201


# Cancelling and settling ---------------------------------------------------------------------------------------------


def test_a_cancelled_order_counts_in_no_stake(bettor: Bettor) -> None:
    order_id = bettor.place_successfully("BACK", "10", "2.00")
    first, again = (bettor.system.http("POST", f"/orders/{order_id}/cancel") for _ in range(2))
    assert first.json["status"] == "CANCELLED"
    assert (again.status, again.json) == (200, first.json)
    refused(bettor.settle(order_id, won=True), 409, "cancelled")
    sums = bettor.metrics()
    assert (sums["total_stake"], sums["orders_placed"], sums["orders_cancelled"]) == ("0.00", 1, 1)
    assert (bettor.position()["exposure"], bettor.position()["selections"]) == ("0.00", [])
    assert bettor.read("/orders/open/1")["items"] == []


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
def test_an_order_is_settled_by_the_result_of_its_selection(
    bettor: Bettor, side: str, body: dict[str, Any], payout: str, pnl: str
) -> None:
    order_id = bettor.place_successfully(side, "10", "3.50")
    first, again = bettor.settle(order_id, **body), bettor.settle(order_id, **body)
    assert (first.status, first.json["status"]) == (200, "SETTLED"), first.text
    assert (first.json["payout"], first.json["pnl"]) == (payout, pnl)
    assert (again.status, again.json) == (200, first.json)
    assert bettor.metrics()["profit"] == bettor.metrics(market_id=MARKET)["profit"] == pnl
    assert [selection["pnl"] for selection in bettor.position()["selections"]] == (
        [] if body.get("result") == "void" else [pnl]
    )
    assert bettor.metrics()["orders_settled"] == (0 if body.get("result") == "void" else 1)
    assert bettor.compare_totals().is_consistent


def test_another_settlement_of_a_settled_order_is_refused(bettor: Bettor) -> None:
    order_id = bettor.place_successfully("BACK", "10", "3.50")
    assert bettor.settle(order_id, won=True).status == 200
    assert bettor.settle(order_id, result="won").status == 200  # the same settlement, written differently
    before = len(commits(BETTING_TABLE))
    for body in ({"won": False}, {"result": "void"}, {"won": True, "commission": 1}, {"won": True, "payout": 34}):
        refused(bettor.settle(order_id, **body), 409, "already_settled")
    refused(bettor.system.http("POST", f"/orders/{order_id}/cancel"), 409, "already_settled")
    assert len(commits(BETTING_TABLE)) == before


def test_a_payout_that_differs_is_refused_without_a_reason(bettor: Bettor) -> None:
    order_id = bettor.place_successfully("BACK", "10", "3.50")
    refused(bettor.settle(order_id, won=True, payout="30.00"), 422, "payout_disagrees")
    settled = bettor.settle(order_id, won=True, payout="30.00", override_reason="Rule 4: a runner was withdrawn.")
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
def test_a_bad_settlement_is_refused_and_nothing_is_changed(bettor: Bettor, body: dict[str, Any], status: int) -> None:
    order_id = bettor.place_successfully("BACK", "10", "3.50")
    before = len(commits(BETTING_TABLE))
    assert bettor.settle(order_id, **body).status == status
    assert len(commits(BETTING_TABLE)) == before


# Positions and sums --------------------------------------------------------------------------------------------------


def cash_out(odds: str, stake: str, if_win: str, if_lose: str) -> dict[str, str]:
    """Return the suggested LAY and the two results that the LAY leaves."""
    return {"side": "LAY", "odds": odds, "stake": stake, "if_win": if_win, "if_lose": if_lose}


def test_positions_show_both_sides_the_worst_case_and_the_cash_out(bettor: Bettor) -> None:
    """Back home 10 at 3.50 and 20 at 3.00, lay home 15 at 2.80, lay draw 8 at 4.00, back away 5 at 6.00."""
    for bet in (("BACK", 10, "3.50"), ("BACK", 20, "3.00"), ("LAY", 15, "2.80")):
        bettor.place_successfully(*bet)
    bettor.place_successfully("LAY", 8, "4.00", "draw")
    bettor.place_successfully("BACK", 5, "6.00", "away")
    market, home = bettor.position(), bettor.selection("home", lay_odds="2.50")
    assert (market["exposure"], market["worst_case_exposure"]) == ("86.00", "44.00")
    assert (home["back_stake"], home["back_profit"], home["lay_stake"], home["lay_liability"]) == (
        "30.00",
        "65.00",
        "15.00",
        "27.00",
    )
    assert (home["side"], home["if_win"], home["if_lose"]) == ("BACK", "38.00", "-15.00")
    assert home["cash_out"] == cash_out("2.50", "21.20", "6.20", "6.20")
    assert bettor.position(winners="2")["worst_case_exposure_of_these"] == "14.00"
    assert bettor.selection("away")["cash_out"] == cash_out("6.00", "5.00", "0.00", "0.00")
    assert bettor.compare_totals().is_consistent


def test_a_cash_out_makes_the_profit_the_same_for_either_result(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", 10, "3.50")
    hedge = bettor.selection("home", lay_odds="2.80")["cash_out"]
    assert hedge == cash_out("2.80", "12.50", "2.50", "2.50")
    bettor.place_successfully(hedge["side"], hedge["stake"], hedge["odds"])
    home = bettor.selection("home")
    assert (home["if_win"], home["if_lose"], home["side"], home["cash_out"]) == ("2.50", "2.50", None, None)
    assert bettor.position()["worst_case_exposure"] == "0.00"


def test_a_cash_out_leaves_the_two_results_that_were_announced(bettor: Bettor) -> None:
    """The average odds of 3,000 at 3.00 and at 3.01 are 3.005, which are no odds of two decimals."""
    for odds in ("3.00", "3.01"):
        bettor.place_successfully("BACK", 3000, odds)
    hedge = bettor.selection("home")["cash_out"]
    assert hedge == cash_out("3.01", "5990.03", "-9.96", "-9.97")
    bettor.place_successfully(hedge["side"], hedge["stake"], hedge["odds"])
    home = bettor.selection("home")
    assert (home["if_win"], home["if_lose"]) == (hedge["if_win"], hedge["if_lose"])


def test_a_venue_of_three_decimals_takes_and_suggests_such_odds(bettor: Bettor) -> None:
    with settings(odds_ladder=OddsLadder.THREE_DECIMALS):
        order_id = bettor.place_successfully("BACK", 1000, "3.005")
        assert bettor.selection("home")["cash_out"] == cash_out("3.005", "1000.00", "0.00", "0.00")
    assert bettor.read(f"/orders/{order_id}")["odds"] == "3.005"


def test_odds_off_the_ladder_are_refused_with_the_nearest_odds(bettor: Bettor) -> None:
    with settings(odds_ladder=OddsLadder.BETFAIR):
        answer = bettor.place("BACK", 10, "3.02")
        refused(answer, 400, "odds_not_on_ladder")
        assert "nearest odds are 3.00" in answer.json["detail"]
        refused(bettor.system.http("GET", "/positions/1", query={"lay_odds": "2.99"}), 400, "odds_not_on_ladder")


def test_totals_count_settled_orders_and_leave_open_and_void_orders_out_of_the_roi(bettor: Bettor) -> None:
    bettor.settle(bettor.place_successfully("BACK", 10, "3.50"), won=True)
    bettor.settle(bettor.place_successfully("LAY", 20, "2.00", "draw"), won=False)
    bettor.settle(bettor.place_successfully("BACK", 40, "2.00", "away", market_id="m2"), won=False)
    bettor.settle(bettor.place_successfully("BACK", 7, "2.00", "away", market_id="m2"), result="void")
    bettor.place_successfully("LAY", 5, "4.00", "x", market_id="m2")
    sums = bettor.metrics()
    assert (sums["total_stake"], sums["total_payout"], sums["profit"]) == ("82.00", "82.00", "5.00")
    assert (sums["roi"], sums["win_rate"], sums["orders_won"]) == ("7.1429", "66.6667", 2)
    assert (sums["open_stake"], sums["open_exposure"]) == ("5.00", "15.00")
    other = bettor.metrics(market_id="m2")
    assert (other["total_stake"], other["profit"], other["roi"]) == ("52.00", "-40.00", "-100.0000")
    assert bettor.metrics(market_id="none")["orders_placed"] == 0


def test_a_rebuild_finds_wrong_totals_and_positions_and_repairs_them(bettor: Bettor) -> None:
    bettor.settle(bettor.place_successfully("BACK", 10, "3.50"), won=True)
    bettor.place_successfully("LAY", 5, "4.00", market_id="m2")
    before = bettor.metrics()
    for item in ("TOTALS", "POSITION#m2"):
        _corrupt(item)
    found = bettor.compare_totals(repair=True)
    assert (found.is_consistent, found.wrong_positions) == (False, ("m2",))
    assert bettor.compare_totals().is_consistent
    assert bettor.metrics() == before


def test_an_order_placed_during_a_repair_is_not_lost(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", 10, "3.50")
    _corrupt(f"POSITION#{MARKET}")
    read = BettingStore.list_orders

    def interrupted(*arguments: Any, **members: Any) -> Any:
        page = read(*arguments, **members)
        bettor.place_successfully("LAY", 5, "4.00", key="meanwhile")
        return page

    with mock.patch.object(BettingStore, "list_orders", interrupted), pytest.raises(Conflict, match="try again"):
        bettor.compare_totals(repair=True)
    bettor.compare_totals(repair=True)
    assert bettor.compare_totals().is_consistent
    assert (bettor.metrics()["orders_placed"], bettor.position()["exposure"]) == (2, "25.00")


def test_an_order_that_the_index_does_not_show_is_not_lost(bettor: Bettor) -> None:
    bettor.place_successfully("BACK", 10, "3.50")
    bettor.place_successfully("LAY", 5, "4.00", market_id="m2")
    read, before = BettingStore.list_orders, len(commits(BETTING_TABLE))
    late = lambda *each, **more: replace(found := read(*each, **more), items=found.items[1:])  # noqa: E731
    with mock.patch.object(BettingStore, "list_orders", late):
        assert bettor.compare_totals().wrong_positions == ("m2",)
        with pytest.raises(Conflict, match="the totals, the position in m2"):
            bettor.compare_totals(repair=True)
    assert len(commits(BETTING_TABLE)) == before
    assert bettor.compare_totals().is_consistent


def test_a_position_in_a_market_without_orders_is_found(bettor: Bettor) -> None:
    betting_store().put_position(
        BettingPosition(
            tenant_id="demo",
            user_id="1",
            market_id="nowhere",
            updated_at=NOW,
            version=1,
            market_commission=Decimal(1),
        )
    )
    assert bettor.compare_totals(repair=True).wrong_positions == ("nowhere",)
    assert bettor.compare_totals().is_consistent


def _corrupt(sort: str) -> None:
    key = {"pk": {"S": "T#demo#U#1"}, "sk": {"S": sort}}
    changes: dict[str, Any] = {"TOTALS": ("profit", {"N": "999"}), "POSITION": ("selections", {"M": {}})}
    name, value = changes[sort.partition("#")[0]]
    boto3.client("dynamodb").update_item(
        TableName=BETTING_TABLE,
        Key=key,
        UpdateExpression="SET #n = :v",
        ExpressionAttributeNames={"#n": name},
        ExpressionAttributeValues={":v": value},
    )
