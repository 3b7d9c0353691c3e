"""The RPCs of betting: the operations of the REST routes over Connect."""

from typing import Any

from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.request import RequestContext

from functions.betting_rpc import requests
from functions.betting_rpc.codec import StrictCodec
from functions.betting_rpc.context import caller, request_id
from functions.betting_rpc.conversion import read_request, write_response
from functions.betting_rpc.gateway import ConnectGateway
from functions.betting_rpc.generated import orders_pb as pb
from functions.betting_rpc.generated.orders_connect import OrderServiceSync, OrderServiceWSGIApplication
from functions.betting_rpc.interceptors import AuthInterceptor, ErrorInterceptor
from trimtab.betting import wiring
from trimtab.betting.adapters.store import OrderFilter
from trimtab.betting.domain.orders import BetStatus
from trimtab.betting.schemas import position_views, views
from trimtab.betting.schemas.markets import market_settlement_view
from trimtab.betting.schemas.settled_orders import settled_order_view
from trimtab.betting.service.settlements import MarketSettlement
from trimtab.kernel import strict_json
from trimtab.runtime.http.parameters import one_request_id
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger

READ, WRITE = "betting:read", "betting:write"
SCOPES = {
    "PlaceOrder": WRITE,
    "GetOrder": READ,
    "ListOrders": READ,
    "ListOpenOrders": READ,
    "CancelOrder": WRITE,
    "SettleOrder": WRITE,
    "ListOpenPositions": READ,
    "GetPerformanceMetrics": READ,
    "SettleMarket": WRITE,
    "GetMarketSettlement": READ,
}
Context = RequestContext[Any, Any]


class OrderService(OrderServiceSync):
    """Each method reads its request, calls the service of the REST route, and answers with the view of the route."""

    def place_order(self, request: pb.PlaceOrderRequest, ctx: Context) -> pb.PlaceOrderResponse:
        """See `POST /orders`; the idempotency key is in the message or in the header."""
        header = ctx.request_headers.get("idempotency-key")
        request.idempotency_key = one_request_id(header, request.idempotency_key) or ""
        call = read_request(requests.PlaceOrderCall, request)
        placed = wiring.place_order(caller(), call.to_domain(), call.idempotency_key or request_id())
        view = position_views.placed_view(placed, wiring.settings().odds_ladder, retry_safe=bool(call.idempotency_key))
        return write_response(pb.PlaceOrderResponse, view)

    def get_order(self, request: pb.GetOrderRequest, ctx: Context) -> pb.GetOrderResponse:
        """See `GET /orders/{order_id}`."""
        order = wiring.orders().get(caller(), read_request(requests.OrderCall, request).order_id)
        return write_response(pb.GetOrderResponse, {"order": views.order_view(order)})

    def list_orders(self, request: pb.ListOrdersRequest, ctx: Context) -> pb.ListOrdersResponse:
        """See `GET /orders`."""
        call = read_request(requests.ListOrdersCall, request)
        wanted = OrderFilter(call.user_id, call.market_id, call.status)
        return write_response(pb.ListOrdersResponse, wiring.list_orders(caller(), wanted, call.limit, call.cursor))

    def list_open_orders(self, request: pb.ListOpenOrdersRequest, ctx: Context) -> pb.ListOpenOrdersResponse:
        """See `GET /orders/open/{user_id}`."""
        call = read_request(requests.ListOpenOrdersCall, request)
        wanted = OrderFilter(call.user_id, None, BetStatus.OPEN)
        return write_response(pb.ListOpenOrdersResponse, wiring.list_orders(caller(), wanted, call.limit, call.cursor))

    def cancel_order(self, request: pb.CancelOrderRequest, ctx: Context) -> pb.CancelOrderResponse:
        """See `POST /orders/{order_id}/cancel`."""
        order = wiring.orders().cancel(caller(), read_request(requests.OrderCall, request).order_id)
        return write_response(pb.CancelOrderResponse, {"order": views.order_view(order)})

    def settle_order(self, request: pb.SettleOrderRequest, ctx: Context) -> pb.SettleOrderResponse:
        """See `POST /orders/{order_id}/settle`."""
        call = read_request(requests.SettleOrderCall, request)
        order = wiring.settle_order(caller(), call.order_id, call)
        position, totals = wiring.standing_of_user(caller(), order)
        view = settled_order_view(order, position, totals, wiring.settings().odds_ladder)
        members = {name: view[name] for name in ("selection_won", "order_result", "position")}
        answer = {"order": views.order_view(order), **members, "metrics": position_views.metrics_view(totals)}
        return write_response(pb.SettleOrderResponse, answer)

    def list_open_positions(self, request: pb.ListOpenPositionsRequest, ctx: Context) -> pb.ListOpenPositionsResponse:
        """See `GET /positions/{user_id}`; by default without the markets in which no order is open."""
        call = read_request(requests.ListPositionsCall, request)
        page = wiring.list_positions(
            caller(),
            call.user_id,
            call.limit,
            call.cursor,
            winners=call.winners,
            lay_odds=call.lay_odds,
            include_settled=call.include_settled,
        )
        return write_response(pb.ListOpenPositionsResponse, page)

    def get_performance_metrics(
        self, request: pb.GetPerformanceMetricsRequest, ctx: Context
    ) -> pb.GetPerformanceMetricsResponse:
        """See `GET /metrics/{user_id}`."""
        call = read_request(requests.GetMetricsCall, request)
        totals = position_views.metrics_view(wiring.positions().get_totals(caller(), call.user_id, call.market_id))
        view = {"user_id": call.user_id, "market_id": call.market_id, "metrics": totals}
        return write_response(pb.GetPerformanceMetricsResponse, view)

    def settle_market(self, request: pb.SettleMarketRequest, ctx: Context) -> pb.SettleMarketResponse:
        """See `POST /markets/{market_id}/settle`."""
        call = read_request(requests.SettleMarketCall, request)
        settlement = wiring.settle_market(caller(), call.market_id, call)
        return write_response(pb.SettleMarketResponse, _settlement_view(settlement))

    def get_market_settlement(
        self, request: pb.GetMarketSettlementRequest, ctx: Context
    ) -> pb.GetMarketSettlementResponse:
        """See `GET /markets/{market_id}/settlement`."""
        settlement = wiring.settlements().get(caller(), read_request(requests.MarketCall, request).market_id)
        return write_response(pb.GetMarketSettlementResponse, _settlement_view(settlement))


def _settlement_view(settlement: MarketSettlement) -> views.Answer:
    view = market_settlement_view(settlement)
    results = [{"selection_id": each, **result} for each, result in view["results"].items()]
    kept = {name: value for name, value in view.items() if name not in {"links", "replaced"}}
    return {"settlement": {**kept, "results": results}}


service = OrderServiceWSGIApplication(
    OrderService(),
    interceptors=[AuthInterceptor(auth=lambda: wiring.settings().auth, scopes=SCOPES), ErrorInterceptor()],
    read_max_bytes=strict_json.MAX_BYTES,
    codecs=[StrictCodec(proto_binary_codec()), StrictCodec(proto_json_codec(ignore_unknown_fields=False))],
)
app = ConnectGateway(service, service.path)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle an event of API Gateway's proxy integration."""
    count("BettingRpcs")
    return app.resolve(event, context)
