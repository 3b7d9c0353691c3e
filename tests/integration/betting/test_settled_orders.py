"""The answer to a settlement: the order with its own result, the position, and the totals of the user."""

import pytest

from tests.support.betting import Bettor
from tests.support.system import System


@pytest.fixture
def bettor(system: System) -> Bettor:
    """Return user 1."""
    return Bettor(system)


def test_a_settlement_answers_order_position_and_metrics(bettor: Bettor) -> None:
    order_id = bettor.place_successfully("BACK", 10, "3.50")
    bettor.place_successfully("BACK", 5, "2.00", market_id="other")
    settled = bettor.settle(order_id, won=True)
    assert settled.status == 200
    order = bettor.read(f"/orders/{order_id}")
    assert {name: settled.json[name] for name in order} == order
    assert settled.json["position"] == bettor.selection("home")
    assert settled.json["position"]["pnl"] == "25.00"
    assert settled.json["metrics"] == bettor.metrics()
    assert (settled.json["metrics"]["orders_placed"], settled.json["metrics"]["profit"]) == (2, "25.00")
    assert bettor.settle(order_id, won=True).json == settled.json


@pytest.mark.parametrize(
    ("side", "body", "selection_won", "order_result", "pnl"),
    [
        ("BACK", {"won": True}, True, "won", "25.00"),
        ("LAY", {"won": True}, True, "lost", "-25.00"),
        ("BACK", {"won": False}, False, "lost", "-10.00"),
        ("LAY", {"won": False}, False, "won", "10.00"),
        ("LAY", {"result": "void"}, None, "returned", "0.00"),
        ("BACK", {"result": "half_lost"}, None, "lost", "-5.00"),
        ("LAY", {"result": "dead_heat", "dead_heat_factor": "1/2"}, None, "lost", "-7.50"),
        ("BACK", {"won": True, "payout": "10.00", "override_reason": "Goodwill"}, True, "returned", "0.00"),
    ],
)
def test_a_settlement_tells_the_result_of_the_selection_and_that_of_the_order(
    bettor: Bettor, side: str, body: dict[str, object], selection_won: bool | None, order_result: str, pnl: str
) -> None:
    settled = bettor.settle(bettor.place_successfully(side, 10, "3.50"), **body).json
    assert (settled["selection_won"], settled["order_result"], settled["pnl"]) == (selection_won, order_result, pnl)
