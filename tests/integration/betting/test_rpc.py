"""The RPCs of betting through the handler, with the generated client: the operations and refusals of REST."""

import base64
import gzip
import json
import re
from datetime import datetime
from functools import partial
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from connectrpc.code import Code
from protobuf import message_to_json_value

from functions.betting_rpc import handler as function
from functions.betting_rpc.generated import orders_pb as pb
from functions.betting_rpc.generated.orders_connect import OrderServiceClientSync
from functions.betting_rpc.problems import CODES, code_of
from infra.config import ROOT
from infra.tools import protos
from tests.support import rpc
from tests.support.betting import MARKET, Bettor, process_stream_and_queue, stored_orders
from tests.support.moto_state import commits
from tests.support.rpc import KINDS, SERVICE, assert_refused, call_method
from tests.support.system import BETTING_TABLE, System, authorized
from trimtab.betting.schemas import position_views, views
from trimtab.betting.service.orders import BetOrders
from trimtab.kernel.errors import Conflict
from trimtab.runtime.http.problems import STATUS

BACK, LAY = pb.Side.BACK, pb.Side.LAY
JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=KINDS)
def client(system: System, request: pytest.FixtureRequest) -> OrderServiceClientSync:
    """Return a client of each kind: binary and JSON over Connect, and gRPC-Web, binary and as text."""
    return KINDS[request.param]()


@pytest.fixture
def binary(system: System) -> OrderServiceClientSync:
    """Return a client with default settings: binary over Connect."""
    return rpc.client()


def new(side: pb.Side = BACK, stake: str = "10.00", odds: str = "3.50", key: str = "", **more: Any) -> Any:
    """Return a request to place an order, by default on the market of the tests."""
    names = {"user_id": "1", "market_id": MARKET, "selection_id": "home", **more}
    return pb.PlaceOrderRequest(**names, side=side, stake=stake, odds=odds, idempotency_key=key)


def place(client: OrderServiceClientSync, *arguments: Any, **more: Any) -> str:
    """Place an order and return the id."""
    more.setdefault("key", f"k{len(stored_orders())}")
    order = client.place_order(new(*arguments, **more)).order
    assert order is not None
    return order.id


def test_every_method_answers_like_its_route(system: System, client: OrderServiceClientSync) -> None:
    """The message is made of the view that REST answers, so all members must be equal."""
    bettor = Bettor(system)
    answer = client.place_order(new(LAY, "10", "3.5", "k"))
    assert answer.order is not None
    order_id = answer.order.id
    assert as_view(answer.order) == bettor.read(f"/orders/{order_id}")
    assert as_view(answer.position) == bettor.selection("home")
    assert answer.retry_safe
    assert as_view(client.get_order(pb.GetOrderRequest(order_id=order_id)).order) == bettor.read(f"/orders/{order_id}")
    wanted = {"user_id": "1", "status": "OPEN"}
    listed = client.list_orders(pb.ListOrdersRequest(user_id="1", status=pb.OrderStatus.OPEN))
    assert [as_view(order) for order in listed.items] == bettor.read("/orders", **wanted)["items"]
    opened = client.list_open_orders(pb.ListOpenOrdersRequest(user_id="1"))
    assert [as_view(order) for order in opened.items] == bettor.read("/orders/open/1")["items"]
    positions = client.list_open_positions(pb.ListOpenPositionsRequest(user_id="1", winners=2, lay_odds="3.00"))
    asked = {"winners": "2", "lay_odds": "3.00"}
    assert [as_view(position) for position in positions.items] == bettor.read("/positions/1", **asked)["items"]

    cancelled_id = place(client, BACK, "5.00", "2.00", selection_id="draw")
    cancelled = client.cancel_order(pb.CancelOrderRequest(order_id=cancelled_id)).order
    assert as_view(cancelled) == bettor.read(f"/orders/{cancelled_id}")
    answered = client.settle_order(pb.SettleOrderRequest(order_id=order_id, won=False))
    settled = answered.order
    assert settled is not None
    assert (settled.status, settled.payout, settled.pnl) == (pb.OrderStatus.SETTLED, "35.00", "10.00")
    route = system.http("POST", f"/orders/{order_id}/settle", {"won": False}).json
    totals = {"user_id": "1", "market_id": None, **as_view(answered.metrics)}
    standing = {"position": as_view(answered.position), "metrics": totals}
    result = {"selection_won": answered.selection_won, "order_result": answered.order_result.name.lower()}
    assert {**as_view(settled), **standing, **result} == route, "a lay wins where its selection loses"
    assert result == {"selection_won": False, "order_result": "won"}
    assert not client.list_open_positions(pb.ListOpenPositionsRequest(user_id="1")).items
    everything = client.list_open_positions(pb.ListOpenPositionsRequest(user_id="1", include_settled=True))
    assert [as_view(position) for position in everything.items] == bettor.read("/positions/1")["items"]
    for query in ({}, {"market_id": MARKET}):
        sums = client.get_performance_metrics(pb.GetPerformanceMetricsRequest(user_id="1", **query))
        assert {"user_id": "1", "market_id": query.get("market_id"), **as_view(sums.metrics)} == bettor.metrics(**query)


def as_view(message: Any) -> Any:
    """Return the message as a view: text for enums and times, None for members that are not set."""
    members = message_to_json_value(message, use_proto_field_name=True, always_emit_implicit=True)
    return _complete(message, members)


def _complete(message: Any, members: Any) -> Any:
    view = {}
    for field in message.desc().fields:
        value, inner = members.get(field.name), getattr(message, field.name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = [_complete(each, them) for each, them in zip(inner, value, strict=True)]
        elif isinstance(value, dict):
            value = _complete(inner, value)
        elif isinstance(value, str) and (name := re.fullmatch(r"(?:SIDE|ORDER_STATUS|MARKET_STATUS)_([A-Z]+)", value)):
            value = None if name[1] == "UNSPECIFIED" else name[1]
        elif isinstance(value, str) and value.startswith("RESULT_"):
            value = value.removeprefix("RESULT_").lower()
        elif isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
            value = (
                datetime.fromisoformat(value).isoformat().replace("+00:00", "Z")
            )  # ProtoJSON writes 0, 3 or 6 digits
        view[field.name] = value
    return view


def test_a_market_is_settled_and_its_progress_can_be_read(system: System, client: OrderServiceClientSync) -> None:
    place(client, BACK, "10.00", "3.50")
    place(client, LAY, "20.00", "3.00", selection_id="draw")
    assert_refused(
        Code.NOT_FOUND, "not_found", client.get_market_settlement, pb.GetMarketSettlementRequest(market_id=MARKET)
    )
    closing = pb.SettleMarketRequest(market_id=MARKET, winners=["home"], commission_rate="5")
    settlement = client.settle_market(closing).settlement
    assert settlement is not None
    assert (settlement.status, settlement.orders, settlement.orders_open) == (pb.MarketStatus.SETTLING, 2, 2)
    assert client.settle_market(closing).settlement == settlement  # requests the settlement of the open orders again
    assert_refused(Code.FAILED_PRECONDITION, "market_closed", client.place_order, new())
    process_stream_and_queue(system)
    done = client.get_market_settlement(pb.GetMarketSettlementRequest(market_id=MARKET)).settlement
    assert done is not None
    assert (done.status, done.orders_open, list(done.winners)) == (pb.MarketStatus.SETTLED, 0, ["home"])
    sums = client.get_performance_metrics(pb.GetPerformanceMetricsRequest(user_id="1")).metrics
    assert sums is not None
    assert (sums.profit, sums.commission, sums.orders_open) == ("42.75", "2.25", 0)  # 45 less 5 %
    other = pb.SettleMarketRequest(market_id=MARKET, winners=["draw"])
    assert_refused(Code.FAILED_PRECONDITION, "market_settled", client.settle_market, other)


def test_a_market_in_which_every_selection_lost_needs_all_lost(binary: OrderServiceClientSync) -> None:
    assert_refused(
        Code.INVALID_ARGUMENT, "invalid_request", binary.settle_market, pb.SettleMarketRequest(market_id=MARKET)
    )
    both = pb.SettleMarketRequest(market_id=MARKET, winners=["home"], all_lost=True)
    assert_refused(Code.INVALID_ARGUMENT, "invalid_request", binary.settle_market, both)
    assert commits(BETTING_TABLE) == []
    assert binary.settle_market(pb.SettleMarketRequest(market_id=MARKET, all_lost=True)).settlement is not None


def test_a_market_is_settled_with_factors(system: System, client: OrderServiceClientSync) -> None:
    place(client, BACK, "10.00", "3.50")
    place(client, BACK, "10.00", "3.50", selection_id="draw")
    two = pb.SettleMarketRequest(market_id=MARKET, winners=["home", "draw"])
    assert_refused(Code.FAILED_PRECONDITION, "number_of_winners_missing", client.settle_market, two)
    home = pb.SelectionResult(selection_id="home", result=pb.Result.DEAD_HEAT, factor="1/2")
    draw = pb.SelectionResult(selection_id="draw", result=pb.Result.WON, reduction_factor="20")
    twice = pb.SettleMarketRequest(market_id=MARKET, results=[home, home])
    assert_refused(Code.INVALID_ARGUMENT, "invalid_request", client.settle_market, twice)
    settlement = client.settle_market(pb.SettleMarketRequest(market_id=MARKET, results=[home, draw])).settlement
    assert settlement is not None
    stated = [
        (each.selection_id, each.result, each.factor or None, each.reduction_factor) for each in settlement.results
    ]
    assert stated == [("draw", pb.Result.WON, None, "20"), ("home", pb.Result.DEAD_HEAT, "1/2", "0")]
    process_stream_and_queue(system)
    assert Bettor(system).metrics()["profit"] == "27.50"  # 7.50 and 80 % of 25


def test_the_same_key_is_the_same_order_in_the_message_in_the_header_and_over_rest(
    system: System, client: OrderServiceClientSync
) -> None:
    first = client.place_order(new(key="k")).order
    assert first is not None
    for key in ("", "k"):
        assert client.place_order(new(key=key), headers={"Idempotency-Key": "k"}).order == first
    with_another = partial(client.place_order, headers={"Idempotency-Key": "other"})
    assert_refused(Code.INVALID_ARGUMENT, "two_request_ids", with_another, new(key="k"))
    assert Bettor(system).place("BACK", "10", "3.50", key="k").json["order"]["id"] == first.id
    assert_refused(Code.ALREADY_EXISTS, "key_reused", client.place_order, new(stake="11", key="k"))
    assert len(stored_orders()) == 1
    settle = pb.SettleOrderRequest(order_id=first.id, result=pb.Result.DEAD_HEAT, dead_heat_factor="1/2")
    assert client.settle_order(settle) == client.settle_order(settle)
    assert_refused(
        Code.FAILED_PRECONDITION,
        "already_settled",
        client.settle_order,
        pb.SettleOrderRequest(order_id=first.id, won=True),
    )


BAD_ORDERS: list[tuple[str, dict[str, Any], str]] = [
    ("no side", {"side": pb.Side.UNSPECIFIED}, "side"),
    ("a side that does not exist", {"side": 9}, "side"),
    ("stake 0", {"stake": "0"}, "stake"),
    ("no stake", {"stake": ""}, "stake"),
    ("3 decimals", {"stake": "1.001"}, "stake"),
    ("exponent", {"stake": "1e3"}, "stake"),
    ("odds of 1", {"odds": "1"}, "odds"),
    ("a key in an id", {"selection_id": "a#b"}, "selection_id"),
    ("no market", {"market_id": ""}, "market_id"),
    ("a key that is none", {"key": "a\tb"}, "idempotency_key"),
]


@pytest.mark.parametrize(("change", "field"), [case[1:] for case in BAD_ORDERS], ids=[case[0] for case in BAD_ORDERS])
def test_a_bad_order_is_refused_field_by_field_and_nothing_is_changed(
    binary: OrderServiceClientSync, change: dict[str, Any], field: str
) -> None:
    problem = assert_refused(Code.INVALID_ARGUMENT, "invalid_request", binary.place_order, new(**change))
    assert [error.field for error in problem.errors] == [field]
    assert problem.status == 400
    assert commits(BETTING_TABLE) == []


def test_a_rule_refuses_as_over_rest(binary: OrderServiceClientSync) -> None:
    place(binary, LAY, "1000.00", "100.90")
    problem = assert_refused(
        Code.FAILED_PRECONDITION,
        "exposure_limit",
        binary.place_order,
        new(stake="100.01", key="x", selection_id="away"),
    )
    assert problem.status == 422
    assert_refused(Code.FAILED_PRECONDITION, "stake_too_large", binary.place_order, new(stake="10000.01", key="y"))
    order_id = place(binary)
    disagrees = pb.SettleOrderRequest(order_id=order_id, won=True, payout="30.00")
    assert_refused(Code.FAILED_PRECONDITION, "payout_disagrees", binary.settle_order, disagrees)
    neither = pb.SettleOrderRequest(order_id=order_id)
    assert_refused(Code.INVALID_ARGUMENT, "invalid_request", binary.settle_order, neither)
    assert assert_refused(
        Code.INVALID_ARGUMENT, "which_orders", binary.list_orders, pb.ListOrdersRequest()
    ).detail.startswith("Give user_id")
    for limit in (101, -1):
        page = pb.ListOrdersRequest(user_id="1", limit=limit)
        assert_refused(Code.INVALID_ARGUMENT, "invalid_request", binary.list_orders, page)


def test_lists_continue_at_the_cursor_and_a_cursor_is_valid_over_rest(
    system: System, client: OrderServiceClientSync
) -> None:
    ids = [place(client, key=f"k{number}", market_id=f"m{number}") for number in range(3)]
    first = client.list_orders(pb.ListOrdersRequest(user_id="1", limit=2))
    assert [order.id for order in first.items] == [ids[2], ids[1]]
    rest = client.list_orders(pb.ListOrdersRequest(user_id="1", cursor=first.next_cursor or ""))
    assert ([order.id for order in rest.items], rest.next_cursor) == ([ids[0]], "")
    over_rest = Bettor(system).read("/orders", user_id="1", cursor=str(first.next_cursor))
    assert [order["id"] for order in over_rest["items"]] == [ids[0]]
    elsewhere = pb.ListOrdersRequest(user_id="2", cursor=first.next_cursor or "")
    assert_refused(Code.INVALID_ARGUMENT, "invalid_cursor", client.list_orders, elsewhere)
    page = client.list_open_positions(pb.ListOpenPositionsRequest(user_id="1", limit=2))
    after = client.list_open_positions(pb.ListOpenPositionsRequest(user_id="1", cursor=page.next_cursor or ""))
    assert [position.market_id for position in (*page.items, *after.items)] == ["m0", "m1", "m2"]


@pytest.mark.parametrize("kind", KINDS)
def test_orders_of_other_users_and_tenants_are_not_found(system: System, kind: str) -> None:
    platform, make = KINDS[kind](), KINDS[kind]
    order_id = place(platform)
    before = len(commits(BETTING_TABLE))
    asked = pb.GetOrderRequest(order_id=order_id)
    for stranger in (make(tenant_id="acme"), make(user_id="2")):
        assert_refused(Code.NOT_FOUND, "not_found", stranger.get_order, asked)
        assert_refused(Code.NOT_FOUND, "not_found", stranger.cancel_order, pb.CancelOrderRequest(order_id=order_id))
        settle = pb.SettleOrderRequest(order_id=order_id, won=True)
        assert_refused(Code.NOT_FOUND, "not_found", stranger.settle_order, settle)
    assert not make(tenant_id="acme").list_orders(pb.ListOrdersRequest(user_id="1")).items
    other = make(user_id="2")
    assert_refused(Code.NOT_FOUND, "not_found", other.list_open_positions, pb.ListOpenPositionsRequest(user_id="1"))
    assert_refused(
        Code.NOT_FOUND, "not_found", other.get_performance_metrics, pb.GetPerformanceMetricsRequest(user_id="1")
    )
    assert_refused(Code.PERMISSION_DENIED, "other_user", other.place_order, new())
    own = make(user_id="1")
    assert [order.id for order in own.list_orders(pb.ListOrdersRequest()).items] == [order_id]
    assert_refused(Code.PERMISSION_DENIED, "not_for_end_users", own.settle_order, settle)
    closing = pb.SettleMarketRequest(market_id=MARKET, winners=["home"])
    assert_refused(Code.PERMISSION_DENIED, "not_for_end_users", own.settle_market, closing)
    assert len(commits(BETTING_TABLE)) == before


@pytest.mark.parametrize("method", sorted(function.SCOPES))
def test_a_method_requires_a_token_and_its_scope_before_the_message_is_read(system: System, method: str) -> None:
    without = call_method(method, b"{", JSON, None)
    assert (without["statusCode"], json.loads(without["body"])["code"]) == (401, "unauthenticated")
    expired = call_method(method, b"{", JSON, authorized(exp="1"))
    assert (expired["statusCode"], json.loads(expired["body"])["code"]) == (401, "unauthenticated")
    other = {"betting:read": "betting:write", "betting:write": "betting:read"}[function.SCOPES[method]]
    denied = call_method(method, b"{", JSON, authorized(scope=other))
    assert (denied["statusCode"], json.loads(denied["body"])["code"]) == (403, "permission_denied")
    let_in = call_method(method, b"{", JSON, authorized(scope=function.SCOPES[method]))
    assert (let_in["statusCode"], json.loads(let_in["body"])["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        b'{"userId": 1}',
        b'{"user": "1"}',
        b'{"userId": "1", "userId": "2"}',
        b'{"limit": 1e400}',
        b'{"limit": NaN}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
    ],
    ids=lambda body: body[:16].decode(errors="replace"),
)
def test_json_that_is_not_the_message_is_rejected(system: System, body: bytes) -> None:
    answer = call_method("ListOrders", body, JSON, authorized())
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (400, "invalid_argument"), answer["body"]


@pytest.mark.parametrize("body", [b"\xff" * 9, b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x7b" * 60_000])
def test_bytes_that_are_not_the_message_are_rejected(system: System, body: bytes) -> None:
    answer = call_method("ListOrders", body, {"Content-Type": "application/proto"}, authorized())
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (400, "invalid_argument"), answer["body"]


def test_the_size_of_a_message_is_bounded_before_and_after_decompression(system: System) -> None:
    long = json.dumps({"userId": "1" * 70_000}).encode()
    for body, headers in ((long, JSON), (gzip.compress(long), {**JSON, "Content-Encoding": "gzip"})):
        answer = call_method("ListOrders", body, headers, authorized())
        assert json.loads(answer["body"])["code"] == "resource_exhausted"


def test_a_compressed_request_is_read_even_if_the_gateway_has_decompressed_the_body(system: System) -> None:
    body = b'{"userId": "1"}'
    for sent in (gzip.compress(body), body):
        answer = call_method(
            "ListOrders", sent, {**JSON, "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}, authorized()
        )
        assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "{}", False)


def test_base64_may_be_padded_anywhere_in_a_call_of_grpc_web_as_text(system: System) -> None:
    headers = {"Content-Type": "application/grpc-web-text+json"}
    message = b'{"userId": "1"}'
    frame, empty = b"\0" + len(message).to_bytes(4, "big") + message, b"\0\0\0\0\2{}"
    for cut in range(len(frame) + 1):
        body = base64.b64encode(frame[:cut]) + base64.b64encode(frame[cut:])
        answer = call_method("ListOrders", body, headers, authorized())
        assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
        assert base64.b64decode(answer["body"]).startswith(empty), cut


@pytest.mark.parametrize(
    ("path", "media_type", "status", "reason"),
    [
        ("Nothing", "application/json", 404, "no_route"),
        ("../orders", "application/json", 404, "no_route"),
        ("GetOrder", "text/plain", 415, "unsupported_media_type"),
        ("GetOrder", "application/grpc", 415, "unsupported_media_type"),
        ("GetOrder", "application/grpc+proto", 415, "unsupported_media_type"),
        ("GetOrder", "application/grpc-web-text+xml", 415, "unsupported_media_type"),
        ("GetOrder", "application/grpc-web-text", 400, "invalid_base64"),
    ],
)
def test_a_request_that_is_not_an_rpc_gets_a_problem_with_a_hint(
    system: System, path: str, media_type: str, status: int, reason: str
) -> None:
    answer = call_method(path, b"{}==" if status == 400 else b"AAA=", {"Content-Type": media_type}, authorized())
    assert answer["statusCode"] == status
    assert json.loads(answer["body"])["type"] == f"urn:trimtab:problem:{reason}"


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "GetItem"), Code.UNAVAILABLE, "busy"),
        (ReadTimeoutError(endpoint_url="x"), Code.UNAVAILABLE, "no_answer"),
        (Conflict("contended", "Again.", retry_after_seconds=1), Code.ABORTED, "contended"),
        (RuntimeError("secret"), Code.INTERNAL, "internal_error"),
    ],
)
def test_an_internal_failure_does_not_reveal_its_cause(
    client: OrderServiceClientSync, error: Exception, code: Code, reason: str
) -> None:
    with mock.patch.object(BetOrders, "get", side_effect=error):
        problem = assert_refused(code, reason, client.get_order, pb.GetOrderRequest(order_id="x"))
    assert "secret" not in problem.detail
    assert problem.retry_after_seconds == (0 if code is Code.INTERNAL else 1)


def test_every_refusal_has_a_code_as_it_has_a_status() -> None:
    assert set(CODES) == set(STATUS)
    assert code_of(Conflict("settled", "It is settled.")) is Code.FAILED_PRECONDITION


def test_every_method_has_its_scope_and_is_a_method_of_the_service() -> None:
    (service,) = pb.desc().services
    assert f"/{service.type_name}" == SERVICE == function.service.path
    assert [method.name for method in service.methods] == list(function.SCOPES)


@pytest.mark.parametrize(
    ("message", "view"),
    [
        (pb.Order, views.OrderView),
        (pb.Settlement, views.SettlementView),
        (pb.Insight, views.InsightView),
        (pb.Hedge, position_views.HedgeView),
        (pb.SelectionPosition, position_views.SelectionView),
        (pb.MarketPosition, position_views.PositionView),
        (pb.Metrics, position_views.MetricsView),
        (pb.PlaceOrderResponse, position_views.PlacedView),
    ],
)
def test_a_message_has_the_members_of_the_view(message: Any, view: Any) -> None:
    assert [field.name for field in message.desc().fields] == list(view.model_fields)


def test_the_generated_code_is_up_to_date_with_the_proto() -> None:
    for path, text in protos.generated_modules().items():
        assert (ROOT / path).read_text() == text, "run `make protos`"
