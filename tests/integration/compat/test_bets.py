"""The routes of the earlier betting service: numbers, the result of the bet, and lists without cursors."""

from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from tests.support.compat import exact_json
from tests.support.system import System
from trimtab.compat import lists

BET = {"user_id": 7, "market_id": "m", "selection_id": "home", "side": "BACK", "stake": 10, "odds": 3.5}


def place(system: System, key: str = "bet", **members: Any) -> Any:
    """Return the answer to a new bet, with exact numbers."""
    answer = system.http("POST", "/api/v1/orders", {**BET, **members}, headers={"Idempotency-Key": key})
    assert answer.status == 201, answer.text
    return exact_json(answer.text)


def settle(system: System, placed: Any, **body: Any) -> Any:
    """Return the answer to the settlement of a bet."""
    return system.http("POST", f"/api/v1/orders/{placed['Order']['id']}/settle", body)


@pytest.mark.parametrize(
    ("side", "won", "selection_result", "payout", "pnl"),
    [
        ("BACK", True, "won", "35", "25"),
        ("BACK", False, "lost", "0", "-10"),
        ("LAY", True, "lost", "35", "10"),
        ("LAY", False, "won", "0", "-25"),
    ],
)
@pytest.mark.parametrize("is_payout_sent", [True, False])
def test_won_is_the_result_of_the_bet(
    system: System, side: str, won: bool, selection_result: str, payout: str, pnl: str, is_payout_sent: bool
) -> None:
    placed = place(system, side=side)
    sent = {"payout": float(payout)} if is_payout_sent else {}
    for _ in range(2):
        settled = settle(system, placed, won=won, **sent)
        answer = exact_json(settled.text)
        assert (settled.status, answer["Order"]["status"]) == (200, "SETTLED")
        assert (answer["Order"]["payout"], answer["Position"]["pnl"]) == (Decimal(payout), Decimal(pnl))
        assert (answer["Position"]["side"], answer["Position"]["exposure"]) == (side, 0)
        assert answer["Metrics"]["orders_won"] == int(won)
    own = system.http("GET", f"/orders/{placed['Order']['id']}").json
    assert (own["settlement"]["result"], own["payout"]) == (selection_result, f"{Decimal(payout):.2f}")
    refused = settle(system, placed, won=not won)
    assert (refused.status, list(refused.json)) == (409, ["error"])


def test_a_payout_that_does_not_follow_from_the_result_is_refused(system: System) -> None:
    placed = place(system)
    refused = settle(system, placed, won=True, payout=36)
    assert refused.status == 422
    assert "35.00" in refused.json["error"]
    assert exact_json(system.http("GET", "/api/v1/metrics/7").text)["total_payout"] == 0


@pytest.mark.parametrize(
    ("members", "field"),
    [({"stake": 0}, "stake"), ({"stake": "1.005"}, "stake"), ({"odds": 1}, "odds"), ({"side": "back"}, "side")],
)
def test_an_invalid_member_is_named(system: System, members: Any, field: str) -> None:
    refused = system.http("POST", "/api/v1/orders", {**BET, **members})
    assert (refused.status, refused.json["error"].partition(":")[0]) == (400, field)


@pytest.mark.parametrize("won", [None, 1, "true"])
def test_a_settlement_needs_a_boolean(system: System, won: Any) -> None:
    refused = settle(system, place(system), won=won)
    assert (refused.status, refused.json["error"].partition(":")[0]) == (400, "won")
    assert settle(system, {"Order": {"id": "unknown"}}, won=True).json == {"error": "Not found: order."}


def test_numbers_of_any_size_are_exact(system: System) -> None:
    placed = place(system, stake="1234.57", odds="1.01", side="LAY")
    assert placed["Order"]["stake"] == Decimal("1234.57")
    assert placed["Position"]["exposure"] == Decimal("12.35")


def test_open_bets_and_positions_are_lists(system: System) -> None:
    assert system.http("GET", "/api/v1/orders/open/7").json == []
    assert system.http("GET", "/api/v1/positions/7").json == []
    first, second = place(system, "first"), place(system, "second", selection_id="away", side="LAY")
    place(system, "third", market_id="l")
    open_bets = exact_json(system.http("GET", "/api/v1/orders/open/7").text)
    assert open_bets[1:] == [second["Order"], first["Order"]]
    positions = exact_json(system.http("GET", "/api/v1/positions/7").text)
    named = [(each["market_id"], each["selection_id"], each["side"]) for each in positions]
    assert named == [("l", "home", "BACK"), ("m", "away", "LAY"), ("m", "home", "BACK")]
    with mock.patch.object(lists, "MAX_LISTED", 1):
        for path in ("orders/open", "positions"):
            refused = system.http("GET", f"/api/v1/{path}/7")
            assert (refused.status, "which has cursors" in refused.json["error"]) == (422, True)


def test_a_key_makes_a_bet_one_bet(system: System) -> None:
    assert place(system)["Order"] == place(system)["Order"]
    other = system.http("POST", "/api/v1/orders", {**BET, "stake": 11}, headers={"Idempotency-Key": "bet"})
    assert (other.status, list(other.json)) == (409, ["error"])
