"""Routes for betting: orders, positions, totals, and the settlement of markets."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.betting import wiring
from trimtab.betting.adapters.store import OrderFilter
from trimtab.betting.domain.market_states import MarketAction
from trimtab.betting.domain.orders import BetStatus
from trimtab.betting.domain.positions import MAX_WINNERS
from trimtab.betting.schemas import (
    insights,
    market_requests,
    markets,
    position_views,
    requests,
    settled_orders,
    views,
)
from trimtab.betting.service.settlements import MarketSettlement
from trimtab.contracts.fields import Identifier, WholeParameter
from trimtab.kernel.clock import utc_now
from trimtab.runtime.http.app import Api
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import Cursor, IdempotencyKey, Limit
from trimtab.runtime.http.responses import json_response, relative_location, with_links
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger

app = Api(auth=lambda: wiring.settings().auth)

READ, WRITE = "betting:read", "betting:write"
order_route = partial(route, tag="Orders")
position_route = partial(route, tag="Positions")
market_route = partial(route, tag="Markets")

OrderId = Annotated[Identifier, Path(description="The `id` of an order.")]
UserId = Annotated[Identifier, Path(description="The id of the user.")]
MarketId = Annotated[Identifier, Path(description="The id of the market.")]
Action = Annotated[MarketAction, Path(description="`suspend`, `reopen` or `close`.")]
UserFilter = Annotated[Identifier | None, Query(alias="user_id", description="Only orders of this user.")]
MarketFilter = Annotated[Identifier | None, Query(alias="market_id", description="Only orders in this market.")]
StatusFilter = Annotated[BetStatus | None, Query(alias="status", description="Only orders of this status.")]
Winners = Annotated[WholeParameter, Query(ge=1, le=MAX_WINNERS, description="How many selections of a market win.")]
LayOdds = Annotated[
    requests.Odds | None,
    Query(description="Odds for the cash-out value; default: those nearest to the average odds of the open orders."),
]


@app.post("/orders", **order_route("Place an order", WRITE, position_views.PlacedView, HTTPStatus.CREATED))
def place_order(body: requests.PlaceOrder, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Place an order. Requests with the same `Idempotency-Key` place one order."""
    placed = wiring.place_order(app.caller, body.to_domain(), idempotency_key or app.request_id)
    view = position_views.placed_view(placed, wiring.settings().odds_ladder, retry_safe=idempotency_key is not None)
    headers = {"Location": relative_location(app, f"orders/{placed.order.order_id}")}
    return json_response(view, HTTPStatus.CREATED, headers)


@app.get("/orders", **order_route("List orders", READ, views.OrderPage))
def list_orders(
    user_id: UserFilter = None,
    market_id: MarketFilter = None,
    status: StatusFilter = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Any]:
    """List the orders of a user, of a market or of a user in a market, newest first.

    A page may have fewer than `limit` items although more follow: read pages until `next_cursor` is null.
    """
    return json_response(wiring.list_orders(app.caller, OrderFilter(user_id, market_id, status), limit, cursor))


@app.get("/orders/open/<user_id>", **order_route("List a user's open orders", READ, views.OrderPage))
def list_open_orders(user_id: UserId, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List the open orders of a user, newest first."""
    return json_response(wiring.list_orders(app.caller, OrderFilter(user_id, None, BetStatus.OPEN), limit, cursor))


@app.get("/orders/<order_id>", **order_route("Read an order", READ, views.OrderView))
def get_order(order_id: OrderId) -> Response[Any]:
    """Read an order."""
    return json_response(views.order_view(wiring.orders().get(app.caller, order_id)))


@app.post("/orders/<order_id>/cancel", **order_route("Cancel an order", WRITE, views.OrderView))
def cancel_order(order_id: OrderId) -> Response[Any]:
    """Cancel an open order. A repeated request returns the cancelled order."""
    return json_response(views.order_view(wiring.orders().cancel(app.caller, order_id)))


@app.post("/orders/<order_id>/settle", **order_route("Settle an order", WRITE, settled_orders.SettledOrderView))
def settle_order(order_id: OrderId, body: requests.SettleOrder) -> Response[Any]:
    """Settle an open order by the result of its selection. Only a correction settles the order again.

    `won` and `result` are those of the selection; `order_result` of the response is that of the order.
    """
    order = wiring.settle_order(app.caller, order_id, body)
    position, totals = wiring.standing_of_user(app.caller, order)
    return json_response(settled_orders.settled_order_view(order, position, totals, wiring.settings().odds_ladder))


@app.post("/orders/<order_id>/resettle", **order_route("Correct an order", WRITE, settled_orders.SettledOrderView))
def resettle_order(order_id: OrderId, body: requests.ResettleOrder) -> Response[Any]:
    """Settle a settled order again, with a reason. The settlement before stays in `resettlements`."""
    order = wiring.resettle_order(app.caller, order_id, body)
    position, totals = wiring.standing_of_user(app.caller, order)
    return json_response(settled_orders.settled_order_view(order, position, totals, wiring.settings().odds_ladder))


@app.get("/positions/<user_id>", **position_route("Read positions", READ, position_views.PositionList))
def list_positions(
    user_id: UserId, winners: Winners = 1, lay_odds: LayOdds = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[Any]:
    """Read the positions of a user. Each market has figures by selection, in total, and in the worst case."""
    page = wiring.list_positions(app.caller, user_id, limit, cursor, winners=winners, lay_odds=lay_odds)
    return json_response(page)


@app.get("/metrics/<user_id>", **position_route("Read metrics", READ, position_views.UserMetricsView))
def read_metrics(user_id: UserId, market_id: MarketFilter = None) -> Response[Any]:
    """Read the totals over the orders of a user, or over the orders in one market."""
    totals = wiring.positions().get_totals(app.caller, user_id, market_id)
    return json_response(position_views.user_metrics_view(user_id, market_id, totals))


@app.post(
    "/markets/<market_id>/settle",
    **market_route("Settle a market", WRITE, markets.MarketSettlementView, HTTPStatus.ACCEPTED),
)
def settle_market(market_id: MarketId, body: market_requests.SettleMarket) -> Response[Any]:
    """Close a market and settle its open orders. Workers settle the orders after the response."""
    return _answer_settlement(wiring.settle_market(app.caller, market_id, body), HTTPStatus.ACCEPTED)


@app.get(
    "/markets/<market_id>/settlement",
    **market_route("Read the settlement of a market", READ, markets.MarketSettlementView),
)
def read_settlement(market_id: MarketId) -> Response[Any]:
    """Read the progress of the settlement of a market; 404 while the market is open."""
    return _answer_settlement(wiring.settlements().get(app.caller, market_id), HTTPStatus.OK)


@app.post(
    "/markets/<market_id>/resettle",
    **market_route("Correct a market", WRITE, markets.MarketSettlementView, HTTPStatus.ACCEPTED),
)
def resettle_market(market_id: MarketId, body: market_requests.ResettleMarket) -> Response[Any]:
    """Correct the results of a settled market, with a reason. Workers settle its orders again after the response."""
    return _answer_settlement(wiring.resettle_market(app.caller, market_id, body), HTTPStatus.ACCEPTED)


@app.get("/markets/<market_id>", **market_route("Read a market", READ, markets.MarketView))
def read_market(market_id: MarketId) -> Response[Any]:
    """Read the status of a market. A market that was never suspended, closed or settled is open."""
    return json_response(markets.market_view(wiring.market_states().get(app.caller, market_id)))


@app.post("/markets/<market_id>/<action>", **market_route("Change a market", WRITE, markets.MarketView))
def change_market(market_id: MarketId, action: Action) -> Response[Any]:
    """Suspend, reopen or close a market. A repeated request changes nothing.

    In a suspended or closed market no order is placed, and users cannot cancel. A closed market waits for its
    settlement, and can be reopened before.
    """
    return json_response(markets.market_view(wiring.market_states().change(app.caller, market_id, action)))


@app.post("/insights", **market_route("Store an insight", WRITE, insights.StoredInsightView))
def store_insight(body: requests.StoreInsight, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Store a provider's estimate for a selection. The newest counts, so that a repeat changes nothing."""
    insight = body.to_domain(utc_now())
    bind_key(app, idempotency_key, wiring.settings().betting_table)
    is_newest = wiring.insights().receive(app.caller, insight)
    count("InsightsKept" if is_newest else "InsightsDropped")
    return json_response(insights.stored_insight_view(insight, is_newest=is_newest))


def _answer_settlement(settlement: MarketSettlement, status: HTTPStatus) -> Response[Any]:
    view = with_links(app, markets.market_settlement_view(settlement))
    headers = {"Location": view["links"]["self"]}
    return json_response(view, status, headers if settlement.is_done else {**headers, "Retry-After": "1"})


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a request in the event format of API Gateway's proxy integration."""
    count("BettingRequests")
    return app.resolve(event, context)
