"""Betting on the deployed system over RPC with the generated client: the worked markets of REST, the same numbers."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from connectrpc.code import Code
from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from connectrpc.request import RequestContext
from pyqwest import SyncClient, SyncHTTPTransport

from functions.betting_rpc.generated import orders_pb as pb
from functions.betting_rpc.generated.orders_connect import OrderServiceClientSync
from infra.local import demo
from tests.e2e.conftest import System
from tests.support.rpc import AsText

TIMEOUT_SECONDS = 120
BACK, LAY = pb.Side.BACK, pb.Side.LAY
KINDS: dict[str, dict[str, Any]] = {
    "binary": {"codec": proto_binary_codec()},
    "json": {"codec": proto_json_codec()},
    "grpc-web": {"protocol": ProtocolType.GRPC_WEB},
    "grpc-web-text": {
        "protocol": ProtocolType.GRPC_WEB,
        "http_client": SyncClient(transport=AsText(SyncHTTPTransport())),
    },
}
TYPES = {
    "binary": "application/proto",
    "json": "application/json",
    "grpc-web": "application/grpc-web+proto",
    "grpc-web-text": "application/grpc-web-text+proto",
}


@dataclass(frozen=True)
class Headers:
    """An interceptor that sends the token and an Accept header.

    The client sends no Accept header, and LocalStack returns bytes only for a media type named in the header.
    """

    token: str
    accept: str

    def on_start_sync(self, ctx: RequestContext[Any, Any]) -> None:
        ctx.request_headers["authorization"] = f"Bearer {self.token}"
        ctx.request_headers["accept"] = self.accept

    def on_end_sync(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None) -> None:
        """Do nothing; Connect requires the method."""


def client_of(
    system: System, kind: str, tenant: str = "rpc-bets", user_id: str | None = None, **claims: Any
) -> OrderServiceClientSync:
    """Return a client with a fresh token."""
    token = system.issuer.token(tenant=tenant, user_id=user_id, **claims)
    accept = TYPES[kind] if system.cloud_name == "localstack" else "*/*"
    return OrderServiceClientSync(system.stack.api_url, interceptors=[Headers(token, accept)], **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_market_of_three_selections_with_backs_lays_a_hedge_a_void_and_commission(system: System, kind: str) -> None:
    """Two users and seven orders; home wins, away is void, the commission is 5 %.

    Ann backs home 100 at 3.00, lays draw 40 at 3.50, backs away 20 at 5.00, then hedges home with a lay of 60 at 2.50.
    Bob lays home 50 at 3.00, backs draw 30 at 3.40, and cancels a third order.
    """
    client, market = client_of(system, kind), f"m-{uuid.uuid4().hex[:8]}"
    ann, bob = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("ann", "bob"))
    _place(client, ann, market, "home", BACK, "100.00", "3.00")
    _place(client, ann, market, "draw", LAY, "40.00", "3.50")
    _place(client, ann, market, "away", BACK, "20.00", "5.00")
    before = _position(client, ann, market, lay_odds="2.50")
    assert (before.exposure, before.worst_case_exposure) == ("220.00", "220.00")
    cash_out = pb.Hedge(side=LAY, odds="2.50", stake="120.00", if_win="20.00", if_lose="20.00")
    assert _selection(before, "home").cash_out == cash_out

    hedge = _place(client, ann, market, "home", LAY, "60.00", "2.50")
    assert (hedge.order.exposure, hedge.position.side) == ("90.00", BACK)
    after = _position(client, ann, market, lay_odds="2.50")
    assert (after.exposure, after.worst_case_exposure) == ("310.00", "160.00")
    home, draw, away = (_selection(after, name) for name in ("home", "draw", "away"))
    assert (home.if_win, home.if_lose, home.cash_out.stake) == ("110.00", "-40.00", "60.00")
    assert (draw.if_win, draw.if_lose, draw.side) == ("-100.00", "40.00", LAY)
    assert (away.if_win, away.if_lose, away.side) == ("80.00", "-20.00", BACK)

    _place(client, bob, market, "home", LAY, "50.00", "3.00")
    _place(client, bob, market, "draw", BACK, "30.00", "3.40")
    cancelled_id = _place(client, bob, market, "away", BACK, "10.00", "2.00").order.id
    cancelled = client.cancel_order(pb.CancelOrderRequest(order_id=cancelled_id)).order
    assert cancelled is not None
    assert cancelled.status == pb.OrderStatus.CANCELLED
    opened = client.list_open_orders(pb.ListOpenOrdersRequest(user_id=bob))
    assert [order.selection_id for order in opened.items] == ["draw", "home"]

    closing = pb.SettleMarketRequest(market_id=market, winners=["home"], voids=["away"], commission_rate="5")
    closed = client.settle_market(closing).settlement
    assert closed is not None
    assert closed.orders == 7
    _refused(Code.FAILED_PRECONDITION, "market_closed", client.place_order, _order(ann, market, "home", BACK, "1", "2"))
    done = _until_settled(client, market)
    assert (done.orders, done.orders_open) == (7, 0)
    assert client.settle_market(closing).settlement == done
    other = pb.SettleMarketRequest(market_id=market, winners=["draw"])
    _refused(Code.FAILED_PRECONDITION, "market_settled", client.settle_market, other)

    # Ann: 200 - 90 + 40 + 0 = 150, less 5 %; paid 300 + 0 + 140 + 20; 142.50 of 200 settled
    totals = _totals(client, ann)
    assert (totals.total_stake, totals.total_payout, totals.profit) == ("220.00", "460.00", "142.50")
    assert (totals.commission, totals.roi, totals.win_rate) == ("7.50", "71.2500", "66.6667")
    assert (totals.orders_placed, totals.orders_won, totals.orders_void) == (4, 2, 1)
    assert (totals.open_stake, totals.open_exposure) == ("0.00", "0.00")
    assert not client.list_open_positions(pb.ListOpenPositionsRequest(user_id=ann)).items
    position = _position(client, ann, market, include_settled=True)
    assert position.market_commission == "7.50"
    # Away was void and is left out.
    assert {selection.selection_id: selection.pnl for selection in position.selections} == {
        "home": "110.00",
        "draw": "40.00",
    }
    # Bob: -100 - 30, without commission; 130 of 80
    totals = _totals(client, bob)
    assert (totals.total_stake, totals.total_payout, totals.profit) == ("80.00", "0.00", "-130.00")
    assert (totals.commission, totals.roi, totals.win_rate) == ("0.00", "-162.5000", "0.0000")
    assert (totals.orders_placed, totals.orders_cancelled) == (3, 1)


def test_half_results_and_dead_heats_of_single_orders_are_settled_and_rest_reads_the_same(system: System) -> None:
    client, market, cid = client_of(system, "binary"), f"m-{uuid.uuid4().hex[:8]}", f"cid-{uuid.uuid4().hex[:8]}"
    heat = {"result": pb.Result.DEAD_HEAT, "dead_heat_factor": "1/2"}
    worked: list[tuple[pb.Side, str, str, dict[str, Any], str, str]] = [
        (BACK, "10.00", "2.00", {"result": pb.Result.HALF_WON}, "15.00", "5.00"),  # 5 at 2.00, and 5 back
        (LAY, "10.00", "2.00", {"result": pb.Result.HALF_LOST}, "15.00", "5.00"),  # half wins 10, half of 10 back
        (LAY, "30.00", "4.00", {"result": pb.Result.HALF_WON}, "45.00", "-45.00"),  # half of 90 back
        (BACK, "20.00", "6.00", {**heat, "commission": "2.00"}, "60.00", "38.00"),  # 10 at 6.00, less 20, less 2
        (LAY, "20.00", "6.00", heat, "60.00", "-40.00"),  # of 100
        (BACK, "50.00", "1.50", {"result": pb.Result.HALF_LOST}, "25.00", "-25.00"),
    ]
    for number, (side, stake, odds, result, payout, pnl) in enumerate(worked):
        order_id = _place(client, cid, market, f"s{number}", side, stake, odds).order.id
        request = pb.SettleOrderRequest(order_id=order_id, **result)
        first, again = (client.settle_order(request).order for _ in range(2))
        assert first is not None
        assert (first.payout, first.pnl, again) == (payout, pnl, first)
        otherwise = pb.SettleOrderRequest(order_id=order_id, won=True)
        _refused(Code.FAILED_PRECONDITION, "already_settled", client.settle_order, otherwise)
    # 220 paid of 280 exposed, less 2; -62 of 140
    totals = _totals(client, cid)
    assert (totals.total_stake, totals.total_payout, totals.profit) == ("140.00", "220.00", "-62.00")
    assert (totals.roi, totals.win_rate, totals.commission) == ("-44.2857", "50.0000", "2.00")
    over_rest = system.client(tenant="rpc-bets").get(f"/metrics/{cid}").json
    assert all(over_rest[field.name] == getattr(totals, field.name) for field in pb.Metrics.desc().fields)


@pytest.mark.parametrize("kind", KINDS)
def test_orders_of_other_users_and_tenants_are_not_found(system: System, kind: str) -> None:
    client, user = client_of(system, kind), f"eve-{uuid.uuid4().hex[:8]}"
    order = _order(user, "private", "home", BACK, "10.00", "2.00", idempotency_key=f"key-{user}")
    first, again = (client.place_order(order).order for _ in range(2))
    assert first is not None
    assert first == again
    asked = pb.GetOrderRequest(order_id=first.id)
    for stranger in (client_of(system, kind, "strangers"), client_of(system, kind, user_id="another")):
        _refused(Code.NOT_FOUND, "not_found", stranger.get_order, asked)
    assert client_of(system, kind, user_id=user).get_order(asked).order == first
    reader = client_of(system, kind, scopes=["betting:read"])
    _refused(Code.PERMISSION_DENIED, "insufficient_scope", reader.place_order, order)
    without_token = OrderServiceClientSync(
        system.stack.api_url, interceptors=[Headers("x", TYPES[kind])], **KINDS[kind]
    )
    with pytest.raises(ConnectError) as raised:  # raised by API Gateway, without details
        without_token.get_order(asked)
    assert raised.value.code is Code.UNAUTHENTICATED
    invalid = _order(user, "private", "home", BACK, "1.001", "2.00")
    problem = _refused(Code.INVALID_ARGUMENT, "invalid_request", client.place_order, invalid)
    assert [error.field for error in problem.errors] == ["stake"]


def _order(
    user: str, market: str, selection: str, side: pb.Side, stake: str, odds: str, idempotency_key: str = ""
) -> pb.PlaceOrderRequest:
    return pb.PlaceOrderRequest(
        user_id=user,
        market_id=market,
        selection_id=selection,
        side=side,
        stake=stake,
        odds=odds,
        idempotency_key=idempotency_key or uuid.uuid4().hex,
    )


def _place(client: OrderServiceClientSync, *order: Any) -> Any:
    return client.place_order(_order(*order))


def _position(client: OrderServiceClientSync, user: str, market: str, **query: Any) -> Any:
    items = client.list_open_positions(pb.ListOpenPositionsRequest(user_id=user, **query)).items
    return next(position for position in items if position.market_id == market)


def _selection(position: Any, selection: str) -> Any:
    return next(each for each in position.selections if each.selection_id == selection)


def _totals(client: OrderServiceClientSync, user: str) -> pb.Metrics:
    totals = client.get_performance_metrics(pb.GetPerformanceMetricsRequest(user_id=user)).metrics
    assert totals is not None
    return totals


def _until_settled(client: OrderServiceClientSync, market: str) -> Any:
    return demo.poll(
        lambda: client.get_market_settlement(pb.GetMarketSettlementRequest(market_id=market)).settlement,
        lambda settlement: settlement is not None and settlement.status == pb.MarketStatus.SETTLED,
        f"the market {market} was not settled",
        TIMEOUT_SECONDS,
    )


def _refused(code: Code, reason: str, call: Any, request: Any) -> pb.Problem:
    with pytest.raises(ConnectError) as raised:
        call(request)
    assert raised.value.code is code, raised.value.message
    (detail,) = raised.value.details
    problem = detail.value(pb.Problem)
    assert problem is not None
    assert problem.type == f"urn:trimtab:problem:{reason}"
    return problem
