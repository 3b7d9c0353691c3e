"""The effects of the payloads of `events/betting_rpc`, checked through the handler."""

import base64
import json
from collections.abc import Callable
from typing import Any

from functions.betting_rpc import handler
from functions.betting_rpc.generated import orders_pb as pb
from tests.support.rpc import body_of
from tests.support.system import LambdaContext, System, payload


def call_rpc(name: str) -> bytes:
    """Return the body of the answer to a payload."""
    answer = handler.handler(payload(f"betting_rpc/{name}.json"), LambdaContext())
    assert answer["statusCode"] == 200, answer["body"]
    return body_of(answer)


def call_rest(system: System, name: str, status: int) -> Any:
    """Return the answer to a payload of the REST routes."""
    answer = system.answer(payload(f"betting_api/{name}.json"))
    assert answer.status == status, answer.text
    return answer.json


def places_the_order_of_rest(system: System) -> None:
    """Check that binary, JSON and REST payloads with the same idempotency key place the same order."""
    order = pb.PlaceOrderResponse.from_binary(call_rpc("place_order_binary")).order
    assert order is not None
    assert json.loads(call_rpc("place_order"))["order"]["id"] == order.id
    assert call_rest(system, "place_order", 201)["order"]["id"] == order.id


def answers_about_the_order(name: str, *path: str | int) -> Callable[[System], None]:
    """Return a check: the payload, sent after the order is placed, is answered with the last of `path` at the path."""

    def check(system: System) -> None:
        call_rest(system, "place_order", 201)
        found: Any = json.loads(call_rpc(name))
        for step in path[:-1]:
            found = found[step]
        assert found == path[-1]

    return check


def reads_over_grpc_web(system: System) -> None:
    """Check the frames of the binary form."""
    call_rest(system, "place_order", 201)
    assert_order_and_trailers(call_rpc("get_order_grpc_web"))


def reads_over_grpc_web_text(system: System) -> None:
    """Check the same frames in base64."""
    call_rest(system, "place_order", 201)
    assert_order_and_trailers(base64.b64decode(call_rpc("get_order_grpc_web_text"), validate=True))


def assert_order_and_trailers(frames: bytes) -> None:
    """Assert that a frame with the order is followed by a frame with the trailers."""
    length = int.from_bytes(frames[1:5], "big")
    order = pb.GetOrderResponse.from_binary(frames[5 : 5 + length]).order
    assert order is not None
    assert order.exposure == "25.00"
    assert b"grpc-status: 0" in frames[5 + length :]


def reads_the_progress_of_the_settlement(system: System) -> None:
    """Check that the settlement has a single open order."""
    call_rest(system, "place_order", 201)
    call_rest(system, "settle_market", 202)
    assert json.loads(call_rpc("get_market_settlement"))["settlement"]["ordersOpen"] == 1


EXPECTED: dict[str, Callable[[System], Any]] = {
    "betting_rpc/cancel_order.json": answers_about_the_order(
        "cancel_order", "order", "status", "ORDER_STATUS_CANCELLED"
    ),
    "betting_rpc/get_market_settlement.json": reads_the_progress_of_the_settlement,
    "betting_rpc/get_order.json": answers_about_the_order("get_order", "order", "side", "SIDE_LAY"),
    "betting_rpc/get_order_grpc_web.json": reads_over_grpc_web,
    "betting_rpc/get_order_grpc_web_text.json": reads_over_grpc_web_text,
    "betting_rpc/get_performance_metrics.json": answers_about_the_order(
        "get_performance_metrics", "metrics", "openExposure", "25.00"
    ),
    "betting_rpc/list_open_orders.json": answers_about_the_order("list_open_orders", "items", 0, "stake", "10.00"),
    "betting_rpc/list_open_positions.json": answers_about_the_order(
        "list_open_positions", "items", 0, "exposure", "25.00"
    ),
    "betting_rpc/list_orders.json": answers_about_the_order("list_orders", "items", 0, "odds", "3.50"),
    "betting_rpc/place_order.json": answers_about_the_order("place_order", "position", "ifWin", "-25.00"),
    "betting_rpc/place_order_binary.json": places_the_order_of_rest,
    "betting_rpc/settle_market.json": answers_about_the_order(
        "settle_market", "settlement", "status", "MARKET_STATUS_SETTLING"
    ),
    "betting_rpc/settle_order.json": answers_about_the_order("settle_order", "order", "pnl", "10.00"),
}
