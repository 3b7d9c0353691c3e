"""What the payloads of betting do, through the real handlers."""

from collections.abc import Callable
from typing import Any

from functions.betting_on_insight_received import handler as insight_function
from tests.support.payloads import http, run
from tests.support.system import System, payload, payload_text, sqs_record


def bets(system: System) -> None:
    """The order that payloads name by id."""
    placed = http("betting_api/place_order.json", 201)
    assert (placed["order"]["exposure"], placed["order"]["status"], placed["retry_safe"]) == ("25.00", "OPEN", True)
    assert placed["order"]["id"] in payload("betting_api/get_order.json")["path"]


def on_a_bet(path: str, member: str, value: Any) -> Callable[[System], None]:
    """About the order the payload answers with this member."""

    def check(system: System) -> None:
        bets(system)
        assert http(f"betting_api/{path}.json", 200)[member] == value

    return check


def lists_the_bet(path: str) -> Callable[[System], None]:
    """The payload lists one item of the market."""

    def check(system: System) -> None:
        bets(system)
        assert [it["market_id"] for it in http(f"betting_api/{path}.json", 200)["items"]] == ["match-7"]

    return check


def a_market_is_settled(worker: str) -> Callable[[System], None]:
    """The payload of the worker settles the one order, at once or by a message for its user."""

    def check(system: System) -> None:
        bets(system)
        assert http("betting_api/settle_market.json", 202)["orders_open"] == 1
        for path in (worker, worker, "betting_on_settlement_requested/check.json"):
            assert run(path) == {"batchItemFailures": []}
            system.settle()
        done = http("betting_api/read_settlement.json", 200)
        assert (done["status"], done["orders_open"]) == ("SETTLED", 0)
        # A lay of 10 at 3.50 that wins: 10, less 5 % of it.
        assert http("betting_api/read_metrics.json", 200)["profit"] == "9.50"

    return check


def an_insight_is_kept(path: str) -> Callable[[System], None]:
    """The insight is the one that an order meets, also when it comes twice."""

    def check(system: System) -> None:
        for _ in range(2):
            if path.startswith("direct/"):
                assert system.work(sqs_record(payload_text(path)), worker=insight_function) == set()
            else:
                assert run(path) == {"batchItemFailures": []}
        assert http("betting_api/place_order.json", 201)["insight"]["expected_value"] == "0.085"

    return check


EXPECTED: dict[str, Callable[[System], Any]] = {
    "betting_api/cancel_order.json": on_a_bet("cancel_order", "status", "CANCELLED"),
    "betting_api/get_order.json": on_a_bet("get_order", "side", "LAY"),
    "betting_api/list_open_orders.json": lists_the_bet("list_open_orders"),
    "betting_api/list_orders.json": lists_the_bet("list_orders"),
    "betting_api/list_positions.json": lists_the_bet("list_positions"),
    "betting_api/place_order.json": bets,
    "betting_api/read_metrics.json": on_a_bet("read_metrics", "open_exposure", "25.00"),
    "betting_api/read_settlement.json": a_market_is_settled("betting_on_commit/stream.json"),
    "betting_api/settle_market.json": a_market_is_settled("betting_on_commit/stream.json"),
    "betting_api/settle_order.json": on_a_bet("settle_order", "pnl", "10.00"),
    "betting_api/settle_order_by_dead_heat.json": on_a_bet("settle_order_by_dead_heat", "pnl", "-7.50"),
    "betting_on_commit/stream.json": a_market_is_settled("betting_on_commit/stream.json"),
    "betting_on_insight_received/insight.json": an_insight_is_kept("betting_on_insight_received/insight.json"),
    "betting_on_settlement_requested/check.json": a_market_is_settled("betting_on_settlement_requested/check.json"),
    "betting_on_settlement_requested/market.json": a_market_is_settled("betting_on_settlement_requested/market.json"),
    "betting_on_settlement_requested/user.json": a_market_is_settled("betting_on_settlement_requested/user.json"),
    "direct/insight_received.json": an_insight_is_kept("direct/insight_received.json"),
}
