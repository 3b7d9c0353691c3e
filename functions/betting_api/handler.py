"""The routes of betting: orders, positions, sums, and the settlement of markets."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.betting import wiring
from trimtab.betting.domain.orders import OrderStatus
from trimtab.betting.domain.positions import MAX_WINNERS
from trimtab.betting.schemas import requests, views
from trimtab.betting.service.ports import OrderFilter
from trimtab.betting.service.settlements import Settling
from trimtab.betting.wiring import accounts, orders, settings, settlements
from trimtab.contracts.fields import Identifier, Whole
from trimtab.runtime.http.app import Api
from trimtab.runtime.http.cursors import decode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import Cursor, IdempotencyKey, Limit
from trimtab.runtime.http.responses import json_response, page_response, relative_location
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger

app = Api(auth=lambda: settings().auth)

READ, WRITE = "betting:read", "betting:write"
order_route = partial(route, tag="Orders")
account_route = partial(route, tag="Positions")
market_route = partial(route, tag="Markets")

OrderId = Annotated[Identifier, Path(description="The `id` of an order.")]
UserId = Annotated[Identifier, Path(description="The user.")]
MarketId = Annotated[Identifier, Path(description="The market.")]
OfUser = Annotated[Identifier | None, Query(alias="user_id", description="Only this user's.")]
OfMarket = Annotated[Identifier | None, Query(alias="market_id", description="Only those in this market.")]
OfStatus = Annotated[OrderStatus | None, Query(alias="status", description="Only orders of this status.")]
Winners = Annotated[Whole, Query(ge=1, le=MAX_WINNERS, description="How many selections of a market can win.")]
LayOdds = Annotated[requests.Odds | None, Query(description="The odds of the cash-out; without them, the bets' own.")]


@app.post("/orders", **order_route("Place an order", WRITE, views.PlacedView, HTTPStatus.CREATED))
def place_order(body: requests.PlaceOrder, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Place an order; the same request under the same Idempotency-Key is the same order."""
    placed = wiring.place(app.caller, body.to_domain(), idempotency_key or app.request_id)
    view = views.placed_view(placed, retry_safe=idempotency_key is not None)
    return json_response(
        view, HTTPStatus.CREATED, {"Location": relative_location(app, f"orders/{placed.order.order_id}")}
    )


@app.get("/orders", **order_route("List orders", READ, views.OrderPage))
def list_orders(
    user_id: OfUser = None,
    market_id: OfMarket = None,
    status: OfStatus = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Any]:
    """List the orders of a user, of a market or of a user in a market, newest first; a page may be short and not the
    last."""
    return _orders(OrderFilter(user_id or app.caller.user_id, market_id, status), limit, cursor)


@app.get("/orders/open/<user_id>", **order_route("List a user's open orders", READ, views.OrderPage))
def list_open_orders(user_id: UserId, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List the user's open orders, newest first."""
    return _orders(OrderFilter(user_id, None, OrderStatus.OPEN), limit, cursor)


def _orders(wanted: OrderFilter, limit: int, cursor: str | None) -> Response[Any]:
    query = (app.caller.tenant_id, "orders", repr(wanted))
    page = orders().list(app.caller, wanted, limit=limit, after=decode_cursor(cursor, *query))
    return page_response([views.order_view(it) for it in page.items], page.next_position, *query)


@app.get("/orders/<order_id>", **order_route("Read an order", READ, views.OrderView))
def get_order(order_id: OrderId) -> Response[Any]:
    """Read an order."""
    return json_response(views.order_view(orders().get(app.caller, order_id)))


@app.post("/orders/<order_id>/cancel", **order_route("Cancel an order", WRITE, views.OrderView))
def cancel_order(order_id: OrderId) -> Response[Any]:
    """Take an open order back."""
    return json_response(views.order_view(orders().cancel(app.caller, order_id)))


@app.post("/orders/<order_id>/settle", **order_route("Settle an order", WRITE, views.OrderView))
def settle_order(order_id: OrderId, body: requests.SettleOrder) -> Response[Any]:
    """Settle an open order by what became of its selection; the first settlement is for good."""
    return json_response(views.order_view(wiring.settle(app.caller, order_id, body)))


@app.get("/positions/<user_id>", **account_route("Read positions", READ, views.PositionList))
def list_positions(
    user_id: UserId, winners: Winners = 1, lay_odds: LayOdds = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[Any]:
    """Read what the user's orders come to, market by market: by selection, summed up, and in the worst case."""
    query = (app.caller.tenant_id, "positions", user_id)
    page = accounts().positions(app.caller, user_id, limit=limit, after=decode_cursor(cursor, *query))
    return page_response([views.position_view(it, winners, lay_odds) for it in page.items], page.next_position, *query)


@app.get("/metrics/<user_id>", **account_route("Read metrics", READ, views.UserMetricsView))
def read_metrics(user_id: UserId, market_id: OfMarket = None) -> Response[Any]:
    """Read the sums over the user's orders, or over those in one market."""
    sums = accounts().sums(app.caller, user_id, market_id)
    return json_response(views.user_metrics_view(user_id, market_id, sums))


@app.post(
    "/markets/<market_id>/settle",
    **market_route("Settle a market", WRITE, views.MarketSettlementView, HTTPStatus.ACCEPTED),
)
def settle_market(market_id: MarketId, body: requests.SettleMarket) -> Response[Any]:
    """Close a market and settle every open order in it; a worker does the latter."""
    return _settling(wiring.settle_market(app.caller, market_id, body), HTTPStatus.ACCEPTED)


@app.get(
    "/markets/<market_id>/settlement",
    **market_route("Read the settlement of a market", READ, views.MarketSettlementView),
)
def read_settlement(market_id: MarketId) -> Response[Any]:
    """Read how far the settlement of a market is; 404 while the market is open."""
    return _settling(settlements().status(app.caller, market_id), HTTPStatus.OK)


def _settling(settling: Settling, status: HTTPStatus) -> Response[Any]:
    view = views.settling_view(settling)
    headers = {"Location": relative_location(app, view["links"]["self"])}
    return json_response(view, status, headers if settling.is_done else {**headers, "Retry-After": "1"})


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The gateway's proxy integration."""
    count("BettingRequests")
    return app.resolve(event, context)
