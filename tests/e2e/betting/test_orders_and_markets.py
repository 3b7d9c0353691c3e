"""Betting on the deployed system over HTTP: worked markets whose numbers are computed by hand."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from infra.local import demo
from infra.local.client import ApiResponse, Client
from tests.e2e import listening
from tests.e2e.conftest import System

TIMEOUT_SECONDS = 120


def test_a_market_of_three_selections_with_backs_lays_a_hedge_a_void_and_commission(system: System) -> None:
    """Two users and seven orders; home wins, away is void, the commission is 5 %.

    Ann backs home 100 at 3.00, lays draw 40 at 3.50, backs away 20 at 5.00, then hedges home with a lay of 60 at 2.50.
    Bob lays home 50 at 3.00, backs draw 30 at 3.40, and cancels a third order.
    """
    client, market = system.client(tenant="bets"), f"m-{uuid.uuid4().hex[:8]}"
    ann, bob = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("ann", "bob"))
    _place(client, ann, market, "home", "BACK", "100.00", "3.00")  # earns 200 or loses 100
    _place(client, ann, market, "draw", "LAY", "40.00", "3.50")  # loses 100 or earns 40
    _place(client, ann, market, "away", "BACK", "20.00", "5.00")  # earns 80 or loses 20
    # home: 200 + 40 - 20 = 220; draw: -100 - 100 - 20 = -220; away: -100 + 40 + 80 = 20; another: -80
    before = _position(client, ann, market, lay_odds="2.50")
    assert (before["exposure"], before["worst_case_exposure"]) == ("220.00", "220.00")
    # 3.00 * 100 / 2.50 = 120; 200 - 120 * 1.50 = 20, and 120 - 100 = 20
    cash_out = {"side": "LAY", "odds": "2.50", "stake": "120.00", "if_win": "20.00", "if_lose": "20.00"}
    assert _selection(before, "home")["cash_out"] == cash_out

    hedge = _place(client, ann, market, "home", "LAY", "60.00", "2.50")  # loses 90 or earns 60
    assert (hedge["order"]["exposure"], hedge["position"]["side"]) == ("90.00", "BACK")
    after = _position(client, ann, market, lay_odds="2.50")
    # home: 110 + 40 - 20 = 130; draw: -40 - 100 - 20 = -160; away: -40 + 40 + 80 = 80; another: -20
    assert (after["exposure"], after["worst_case_exposure"]) == ("310.00", "160.00")
    home, draw, away = (_selection(after, name) for name in ("home", "draw", "away"))
    assert (home["if_win"], home["if_lose"], home["cash_out"]["stake"]) == ("110.00", "-40.00", "60.00")
    assert (draw["if_win"], draw["if_lose"], draw["side"]) == ("-100.00", "40.00", "LAY")
    assert (away["if_win"], away["if_lose"], away["side"]) == ("80.00", "-20.00", "BACK")

    _place(client, bob, market, "home", "LAY", "50.00", "3.00")  # loses 100 or earns 50
    _place(client, bob, market, "draw", "BACK", "30.00", "3.40")  # earns 72 or loses 30
    cancelled_id = _place(client, bob, market, "away", "BACK", "10.00", "2.00")["order"]["id"]
    assert client.post(f"/orders/{cancelled_id}/cancel", {}).json["status"] == "CANCELLED"

    settlement = {"winners": ["home"], "voids": ["away"], "commission_rate": 5}
    closed = client.post(f"/markets/{market}/settle", settlement)
    assert (closed.status, closed.json["orders"]) == (202, 7), closed.text
    assert _problem(client.post("/orders", _order(ann, market, "home", "BACK", "1", "2"))) == (409, "market_closed")
    done = _until_settled(client, market)
    assert (done["orders"], done["orders_open"]) == (7, 0)
    repeated = client.post(f"/markets/{market}/settle", settlement)
    assert (repeated.status, repeated.json["status"]) == (202, "SETTLED")
    assert _problem(client.post(f"/markets/{market}/settle", {"winners": ["draw"]})) == (409, "market_settled")

    # Ann: 200 - 90 + 40 + 0 = 150, less 5 %; paid 300 + 0 + 140 + 20; 142.50 of 200 settled
    totals = client.get(f"/metrics/{ann}").json
    assert (totals["total_stake"], totals["total_payout"], totals["profit"]) == ("220.00", "460.00", "142.50")
    assert (totals["commission"], totals["roi"], totals["win_rate"]) == ("7.50", "71.2500", "66.6667")
    assert (totals["orders_placed"], totals["orders_won"], totals["orders_void"]) == (4, 2, 1)
    assert (totals["open_stake"], totals["open_exposure"]) == ("0.00", "0.00")
    position = _position(client, ann, market)
    assert position["market_commission"] == "7.50"
    # Away was void and is left out.
    profits = {selection["selection_id"]: selection["pnl"] for selection in position["selections"]}
    assert profits == {"home": "110.00", "draw": "40.00"}
    # Bob: -100 - 30, without commission; 130 of 80
    totals = client.get(f"/metrics/{bob}").json
    assert (totals["total_stake"], totals["total_payout"], totals["profit"]) == ("80.00", "0.00", "-130.00")
    assert (totals["commission"], totals["roi"], totals["win_rate"]) == ("0.00", "-162.5000", "0.0000")
    assert (totals["orders_placed"], totals["orders_cancelled"]) == (3, 1)


def test_half_results_and_dead_heats_of_single_orders_are_settled(system: System) -> None:
    client, market, cid = system.client(tenant="bets"), f"m-{uuid.uuid4().hex[:8]}", f"cid-{uuid.uuid4().hex[:8]}"
    heat = {"result": "dead_heat", "dead_heat_factor": "1/2"}
    worked: list[tuple[str, str, str, dict[str, Any], str, str]] = [
        ("BACK", "10.00", "2.00", {"result": "half_won"}, "15.00", "5.00"),  # 5 at 2.00, and 5 back
        ("LAY", "10.00", "2.00", {"result": "half_lost"}, "15.00", "5.00"),  # half wins 10, half of 10 back
        ("LAY", "30.00", "4.00", {"result": "half_won"}, "45.00", "-45.00"),  # half of 90 back
        ("BACK", "20.00", "6.00", {**heat, "commission": "2.00"}, "60.00", "38.00"),  # 10 at 6.00, less 20, less 2
        ("LAY", "20.00", "6.00", heat, "60.00", "-40.00"),  # of 100
        ("BACK", "50.00", "1.50", {"result": "half_lost"}, "25.00", "-25.00"),
    ]
    for number, (side, stake, odds, body, payout, pnl) in enumerate(worked):
        order_id = _place(client, cid, market, f"s{number}", side, stake, odds)["order"]["id"]
        first, again = (client.post(f"/orders/{order_id}/settle", body) for _ in range(2))
        assert (first.status, first.json["payout"], first.json["pnl"]) == (200, payout, pnl), first.text
        assert (again.status, again.json) == (200, first.json)
        assert _problem(client.post(f"/orders/{order_id}/settle", {"won": True})) == (409, "already_settled")
    # 220 paid of 280 exposed, less 2; -62 of 140
    totals = client.get(f"/metrics/{cid}?market_id={market}").json
    assert (totals["total_stake"], totals["total_payout"], totals["profit"]) == ("140.00", "220.00", "-62.00")
    assert (totals["roi"], totals["win_rate"], totals["commission"]) == ("-44.2857", "50.0000", "2.00")
    assert client.get(f"/metrics/{cid}").json == {**totals, "market_id": None}


def test_a_payout_that_differs_is_refused_without_a_reason(system: System) -> None:
    client, user = system.client(tenant="bets"), f"dan-{uuid.uuid4().hex[:8]}"
    order_id = _place(client, user, "rule-4", "home", "BACK", "10.00", "3.50")["order"]["id"]
    disagrees = client.post(f"/orders/{order_id}/settle", {"won": True, "payout": "30.00"})
    assert _problem(disagrees) == (422, "payout_disagrees")
    body = {"won": True, "payout": "30.00", "override_reason": "Rule 4"}
    settled = client.post(f"/orders/{order_id}/settle", body).json
    assert (settled["payout"], settled["pnl"], settled["settlement"]["due"]) == ("30.00", "20.00", "35.00")


def test_orders_of_other_users_and_tenants_are_not_found(system: System) -> None:
    client, user = system.client(tenant="bets"), f"eve-{uuid.uuid4().hex[:8]}"
    body = _order(user, "private", "home", "BACK", "10.00", "2.00")
    first, again = (client.post("/orders", body, Idempotency_Key=f"key-{user}") for _ in range(2))
    assert (first.status, first.json) == (again.status, again.json)
    path = f"/orders/{first.json['order']['id']}"
    for stranger in (system.client(tenant="strangers"), system.client(tenant="bets", user_id="another")):
        assert stranger.get(path).status == 404
        assert stranger.post(f"{path}/settle", {"won": True}).status == 404
    assert system.client(tenant="bets", scopes=["betting:read"]).post("/orders", body).status == 403
    own = system.client(tenant="bets", user_id=user)
    assert [order["id"] for order in own.get(f"/orders/open/{user}").json["items"]] == [first.json["order"]["id"]]
    assert own.post(f"{path}/settle", {"won": True}).status == 403


def test_an_insight_from_the_queue_is_stored_with_the_order_and_the_settlement_is_published(system: System) -> None:
    client, market, user = system.client(tenant="bets"), f"m-{uuid.uuid4().hex[:8]}", f"fay-{uuid.uuid4().hex[:8]}"
    message = {
        "schema_version": 1,
        "type": "insight.received",
        "tenant_id": "bets",
        "market_id": market,
        "selection_id": "home",
        "implied_probability": "0.31",
        "expected_value": "0.085",
        "momentum": "-0.2",
        "as_of": datetime.now(UTC).isoformat(),
    }
    system.aws("sqs").send_message(QueueUrl=system.stack.queues["insights"], MessageBody=json.dumps(message))
    placed = demo.poll(
        lambda: _place(client, user, market, "home", "LAY", "10.00", "3.50"),
        lambda answer: answer["insight"] is not None,
        "the insight did not arrive",
        TIMEOUT_SECONDS,
    )
    assert placed["insight"]["expected_value"] == "0.085"
    pattern = {"detail-type": ["order.settled"], "detail": {"data": {"user_id": [user]}}}
    with listening.bus(system, pattern) as url:
        order_id = placed["order"]["id"]
        assert client.post(f"/orders/{order_id}/settle", {"won": False}).status == 200
        event = json.loads(listening.received(system, url, TIMEOUT_SECONDS))["detail"]
    assert (event["type"], event["tenantid"], event["data"]["id"]) == ("order.settled", "bets", order_id)
    assert (event["data"]["exposure"], event["data"]["payout"], event["data"]["pnl"]) == ("25.00", "35.00", "10.00")


def _order(user: str, market: str, selection: str, side: str, stake: str, odds: str) -> dict[str, str]:
    names = {"user_id": user, "market_id": market, "selection_id": selection}
    return {**names, "side": side, "stake": stake, "odds": odds}


def _place(client: Client, user: str, market: str, selection: str, side: str, stake: str, odds: str) -> Any:
    body = _order(user, market, selection, side, stake, odds)
    return demo.expect(client.post("/orders", body, Idempotency_Key=uuid.uuid4().hex), 201)


def _position(client: Client, user: str, market: str, **query: str) -> Any:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    items = demo.expect(client.get(f"/positions/{user}?{parameters}"), 200)["items"]
    return next(position for position in items if position["market_id"] == market)


def _selection(position: Any, selection: str) -> Any:
    return next(each for each in position["selections"] if each["selection_id"] == selection)


def _until_settled(client: Client, market: str) -> Any:
    return demo.poll(
        lambda: demo.expect(client.get(f"/markets/{market}/settlement"), 200),
        lambda settlement: settlement["status"] == "SETTLED",
        f"the market {market} was not settled",
        TIMEOUT_SECONDS,
    )


def _problem(answer: ApiResponse) -> tuple[int, str]:
    return answer.status, str(answer.json["type"]).rpartition(":")[2]
