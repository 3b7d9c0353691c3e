"""The effects of the payloads of betting, checked through the handlers."""

from collections.abc import Callable
from typing import Any

from functions.betting_on_insight_received import handler as insight_function
from tests.support.payloads import http, run
from tests.support.system import System, payload, payload_text, sqs_record


def place_the_order(system: System) -> None:
    """Place the order whose id the other payloads name."""
    placed = http("betting_api/place_order.json", 201)
    assert (placed["order"]["exposure"], placed["order"]["status"], placed["retry_safe"]) == ("25.00", "OPEN", True)
    assert placed["order"]["id"] in payload("betting_api/get_order.json")["path"]


def answers_about_the_order(path: str, member: str, value: Any) -> Callable[[System], None]:
    """Return a check: the payload, sent after the order is placed, is answered with the member and value."""

    def check(system: System) -> None:
        place_the_order(system)
        assert http(f"betting_api/{path}.json", 200)[member] == value

    return check


def lists_the_order(path: str) -> Callable[[System], None]:
    """Return a check: the payload lists a single item, which belongs to the market."""

    def check(system: System) -> None:
        place_the_order(system)
        assert [item["market_id"] for item in http(f"betting_api/{path}.json", 200)["items"]] == ["match-7"]

    return check


def settles_the_market(worker: str) -> Callable[[System], None]:
    """Return a check: the payload of the worker settles the order, at once or by a message for the user."""

    def check(system: System) -> None:
        place_the_order(system)
        assert http("betting_api/settle_market.json", 202)["orders_open"] == 1
        for path in (worker, worker, "betting_on_settlement_requested/check.json"):
            assert run(path) == {"batchItemFailures": []}
            system.process_settlements()
        done = http("betting_api/read_settlement.json", 200)
        assert (done["status"], done["orders_open"]) == ("SETTLED", 0)
        # A winning LAY of 10 at 3.50 earns 10, less 5 % commission.
        assert http("betting_api/read_metrics.json", 200)["profit"] == "9.50"

    return check


def reads_metrics_of(path: str, user_id: str) -> Callable[[System], None]:
    """Return a check that the payload reads the metrics of this user, decoded once whatever the gateway passes."""

    def check(system: System) -> None:
        bet = {"user_id": user_id, "market_id": "match", "selection_id": "home", "side": "BACK", "stake": 7, "odds": 2}
        assert system.http("POST", "/orders", bet).status == 201
        metrics = http(f"betting_api/{path}.json", 200)
        assert (metrics["user_id"], metrics["open_exposure"]) == (user_id, "7.00")

    return check


def stores_the_insight(path: str) -> Callable[[System], None]:
    """Return a check: an order gets the insight of the payload, even if the payload is delivered twice."""

    def check(system: System) -> None:
        for _ in range(2):
            if path.startswith("direct/"):
                assert system.invoke_worker(sqs_record(payload_text(path)), worker=insight_function) == set()
            else:
                assert run(path) == {"batchItemFailures": []}
        assert http("betting_api/place_order.json", 201)["insight"]["expected_value"] == "0.085"

    return check


EXPECTED: dict[str, Callable[[System], Any]] = {
    "betting_api/cancel_order.json": answers_about_the_order("cancel_order", "status", "CANCELLED"),
    "betting_api/get_order.json": answers_about_the_order("get_order", "side", "LAY"),
    "betting_api/list_open_orders.json": lists_the_order("list_open_orders"),
    "betting_api/list_orders.json": lists_the_order("list_orders"),
    "betting_api/list_positions.json": lists_the_order("list_positions"),
    "betting_api/place_order.json": place_the_order,
    "betting_api/read_metrics.json": answers_about_the_order("read_metrics", "open_exposure", "25.00"),
    "betting_api/read_metrics_encoded.json": reads_metrics_of("read_metrics_encoded", "auth0|1"),
    "betting_api/read_metrics_http_api.json": reads_metrics_of("read_metrics_http_api", "auth0|1"),
    "betting_api/read_metrics_http_api_2.json": reads_metrics_of("read_metrics_http_api_2", "auth0|1"),
    "betting_api/read_settlement.json": settles_the_market("betting_on_commit/stream.json"),
    "betting_api/settle_market.json": settles_the_market("betting_on_commit/stream.json"),
    "betting_api/settle_order.json": answers_about_the_order("settle_order", "pnl", "10.00"),
    "betting_api/settle_order_by_dead_heat.json": answers_about_the_order("settle_order_by_dead_heat", "pnl", "-7.50"),
    "betting_api/store_insight.json": lambda _: http("betting_api/store_insight.json", 200)["is_newest"],
    "betting_on_commit/stream.json": settles_the_market("betting_on_commit/stream.json"),
    "betting_on_insight_received/insight.json": stores_the_insight("betting_on_insight_received/insight.json"),
    "betting_on_settlement_requested/check.json": settles_the_market("betting_on_settlement_requested/check.json"),
    "betting_on_settlement_requested/market.json": settles_the_market("betting_on_settlement_requested/market.json"),
    "betting_on_settlement_requested/user.json": settles_the_market("betting_on_settlement_requested/user.json"),
    "direct/insight_received.json": stores_the_insight("direct/insight_received.json"),
}
