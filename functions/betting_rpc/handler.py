"""The RPCs of betting: the REST routes' operations over Connect."""

from typing import Any

from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.request import RequestContext

from functions.betting_rpc import requests
from functions.betting_rpc.codec import Answer, read, written
from functions.betting_rpc.gate import Admission, Gate, Strict, Telling, caller, request_id
from functions.betting_rpc.generated import orders_pb as pb
from functions.betting_rpc.generated.orders_connect import OrderServiceSync, OrderServiceWSGIApplication
from trimtab.betting import wiring
from trimtab.betting.domain.orders import OrderStatus
from trimtab.betting.schemas import views
from trimtab.betting.service.ports import OrderFilter
from trimtab.betting.service.settlements import Settling
from trimtab.betting.wiring import accounts, orders, settings, settlements
from trimtab.kernel import strict_json
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
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
    """Each method reads its request, calls the service that the REST route calls, and writes the same view."""

    def place_order(self, request: pb.PlaceOrderRequest, ctx: Context) -> pb.PlaceOrderResponse:
        """See `POST /orders`; the key may stand in the message or in the header."""
        in_header = ctx.request_headers.get("idempotency-key")
        request.idempotency_key = one_request_id(in_header, request.idempotency_key) or ""
        asked = read(requests.Placing, request)
        placed = wiring.place(caller(), asked.to_domain(), asked.idempotency_key or request_id())
        return written(pb.PlaceOrderResponse, views.placed_view(placed, retry_safe=bool(asked.idempotency_key)))

    def get_order(self, request: pb.GetOrderRequest, ctx: Context) -> pb.GetOrderResponse:
        """See `GET /orders/{order_id}`."""
        found = orders().get(caller(), read(requests.OfOrder, request).order_id)
        return written(pb.GetOrderResponse, {"order": views.order_view(found)})

    def list_orders(self, request: pb.ListOrdersRequest, ctx: Context) -> pb.ListOrdersResponse:
        """See `GET /orders`."""
        asked = read(requests.Listing, request)
        wanted = OrderFilter(asked.user_id or caller().user_id, asked.market_id, asked.status)
        return written(pb.ListOrdersResponse, _orders(wanted, asked))

    def list_open_orders(self, request: pb.ListOpenOrdersRequest, ctx: Context) -> pb.ListOpenOrdersResponse:
        """See `GET /orders/open/{user_id}`."""
        asked = read(requests.OpenOrders, request)
        return written(pb.ListOpenOrdersResponse, _orders(OrderFilter(asked.user_id, None, OrderStatus.OPEN), asked))

    def cancel_order(self, request: pb.CancelOrderRequest, ctx: Context) -> pb.CancelOrderResponse:
        """See `POST /orders/{order_id}/cancel`."""
        cancelled = orders().cancel(caller(), read(requests.OfOrder, request).order_id)
        return written(pb.CancelOrderResponse, {"order": views.order_view(cancelled)})

    def settle_order(self, request: pb.SettleOrderRequest, ctx: Context) -> pb.SettleOrderResponse:
        """See `POST /orders/{order_id}/settle`."""
        asked = read(requests.Settling, request)
        settled = wiring.settle(caller(), asked.order_id, asked)
        return written(pb.SettleOrderResponse, {"order": views.order_view(settled)})

    def list_open_positions(self, request: pb.ListOpenPositionsRequest, ctx: Context) -> pb.ListOpenPositionsResponse:
        """See `GET /positions/{user_id}`; markets in which nothing is open are left out unless they are asked for."""
        asked = read(requests.Positions, request)
        query = (caller().tenant_id, "positions", asked.user_id)
        after = decode_cursor(asked.cursor, *query)
        page = accounts().positions(caller(), asked.user_id, limit=asked.limit, after=after)
        wanted = [it for it in page.items if it.tally.orders_open or asked.include_settled]
        items = [views.position_view(it, asked.winners, asked.lay_odds) for it in wanted]
        return written(pb.ListOpenPositionsResponse, _page(items, page.next_position, *query))

    def get_performance_metrics(
        self, request: pb.GetPerformanceMetricsRequest, ctx: Context
    ) -> pb.GetPerformanceMetricsResponse:
        """See `GET /metrics/{user_id}`."""
        asked = read(requests.Sums, request)
        sums = views.metrics_view(accounts().sums(caller(), asked.user_id, asked.market_id))
        view = {"user_id": asked.user_id, "market_id": asked.market_id, "metrics": sums}
        return written(pb.GetPerformanceMetricsResponse, view)

    def settle_market(self, request: pb.SettleMarketRequest, ctx: Context) -> pb.SettleMarketResponse:
        """See `POST /markets/{market_id}/settle`."""
        asked = read(requests.Closing, request)
        settling = wiring.settle_market(caller(), asked.market_id, asked)
        return written(pb.SettleMarketResponse, _settlement(settling))

    def get_market_settlement(
        self, request: pb.GetMarketSettlementRequest, ctx: Context
    ) -> pb.GetMarketSettlementResponse:
        """See `GET /markets/{market_id}/settlement`."""
        settling = settlements().status(caller(), read(requests.OfMarket, request).market_id)
        return written(pb.GetMarketSettlementResponse, _settlement(settling))


def _orders(wanted: OrderFilter, asked: requests.Page) -> Answer:
    query = (caller().tenant_id, "orders", repr(wanted))
    page = orders().list(caller(), wanted, limit=asked.limit, after=decode_cursor(asked.cursor, *query))
    return _page([views.order_view(it) for it in page.items], page.next_position, *query)


def _page(items: list[Answer], next_position: Any, *query: str) -> Answer:
    return {"items": items, "next_cursor": encode_cursor(next_position, *query)}


def _settlement(settling: Settling) -> Answer:
    view = views.settling_view(settling)
    return {"settlement": {name: value for name, value in view.items() if name != "links"}}


service = OrderServiceWSGIApplication(
    OrderService(),
    interceptors=[Admission(auth=lambda: settings().auth, scopes=SCOPES), Telling()],
    read_max_bytes=strict_json.MAX_BYTES,
    codecs=[Strict(proto_binary_codec()), Strict(proto_json_codec(ignore_unknown_fields=False))],
)
app = Gate(service, service.path)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The gateway's proxy integration."""
    count("BettingRpcs")
    return app.resolve(event, context)
