"""What the payloads of `events/betting_rpc` do, through the real handler."""

import json
from collections.abc import Callable
from typing import Any

from functions.betting_rpc import handler
from functions.betting_rpc.generated import orders_pb as pb
from tests.support.rpc import body_of
from tests.support.system import LambdaContext, System, payload


def rpc(name: str) -> bytes:
    """The body of the answer to a payload."""
    answer = handler.handler(payload(f"betting_rpc/{name}.json"), LambdaContext())
    assert answer["statusCode"] == 200, answer["body"]
    return body_of(answer)


def over_rest(system: System, name: str, status: int) -> Any:
    """The answer to a payload of the REST routes."""
    answer = system.answer(payload(f"betting_api/{name}.json"))
    assert answer.status == status, answer.text
    return answer.json


def bets_in_binary(system: System) -> None:
    """The key is that of the payload over REST, so the order is, too."""
    order = pb.PlaceOrderResponse.from_binary(rpc("place_order_binary")).order
    assert order is not None
    assert json.loads(rpc("place_order"))["order"]["id"] == order.id
    assert over_rest(system, "place_order", 201)["order"]["id"] == order.id


def on_a_bet(name: str, *path: str | int) -> Callable[[System], None]:
    """About the order that payloads name by id the payload answers with this text, the last of the path to it."""

    def check(system: System) -> None:
        over_rest(system, "place_order", 201)
        found: Any = json.loads(rpc(name))
        for step in path[:-1]:
            found = found[step]
        assert found == path[-1]

    return check


def reads_over_grpc_web(system: System) -> None:
    """A frame with the message, and one with what gRPC has as trailers."""
    over_rest(system, "place_order", 201)
    frames = rpc("get_order_grpc_web")
    length = int.from_bytes(frames[1:5], "big")
    order = pb.GetOrderResponse.from_binary(frames[5 : 5 + length]).order
    assert order is not None
    assert order.exposure == "25.00"
    assert b"grpc-status: 0" in frames[5 + length :]


def tells_how_far_the_settlement_is(system: System) -> None:
    """One order is open."""
    over_rest(system, "place_order", 201)
    over_rest(system, "settle_market", 202)
    assert json.loads(rpc("get_market_settlement"))["settlement"]["ordersOpen"] == 1


EXPECTED: dict[str, Callable[[System], Any]] = {
    "betting_rpc/cancel_order.json": on_a_bet("cancel_order", "order", "status", "ORDER_STATUS_CANCELLED"),
    "betting_rpc/get_market_settlement.json": tells_how_far_the_settlement_is,
    "betting_rpc/get_order.json": on_a_bet("get_order", "order", "side", "SIDE_LAY"),
    "betting_rpc/get_order_grpc_web.json": reads_over_grpc_web,
    "betting_rpc/get_performance_metrics.json": on_a_bet("get_performance_metrics", "metrics", "openExposure", "25.00"),
    "betting_rpc/list_open_orders.json": on_a_bet("list_open_orders", "items", 0, "stake", "10.00"),
    "betting_rpc/list_open_positions.json": on_a_bet("list_open_positions", "items", 0, "exposure", "25.00"),
    "betting_rpc/list_orders.json": on_a_bet("list_orders", "items", 0, "odds", "3.50"),
    "betting_rpc/place_order.json": on_a_bet("place_order", "position", "ifWin", "-25.00"),
    "betting_rpc/place_order_binary.json": bets_in_binary,
    "betting_rpc/settle_market.json": on_a_bet("settle_market", "settlement", "status", "MARKET_STATUS_SETTLING"),
    "betting_rpc/settle_order.json": on_a_bet("settle_order", "order", "pnl", "10.00"),
}
