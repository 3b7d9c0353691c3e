"""Routes of the earlier betting service, served by the services of betting orders and positions."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from trimtab.betting import wiring
from trimtab.betting.adapters.store import OrderFilter
from trimtab.betting.domain.orders import BetStatus
from trimtab.compat import bets
from trimtab.compat.api import CompatApi, error_text, number_response
from trimtab.compat.lists import MAX_LISTED, PAGE_SIZE, BoundedList, T, read_list
from trimtab.contracts.fields import Identifier
from trimtab.kernel.errors import Unprocessable
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import IdempotencyKey

app = CompatApi(auth=lambda: wiring.settings().auth, error_form=error_text)
READ, WRITE = "betting:read", "betting:write"
compat_route = partial(route, tag="Compatibility")

OrderId = Annotated[Identifier, Path(description="The `id` of an order.")]
UserId = Annotated[Identifier, Path(description="The id of the user.")]


@app.post("/api/v1/orders", **compat_route("Place a bet", WRITE, status=HTTPStatus.CREATED))
def place_bet(body: bets.PlaceBet, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Place a bet. Requests with the same `Idempotency-Key` place one bet."""
    placed = wiring.place_order(app.caller, body.to_domain(), idempotency_key or app.request_id)
    order = placed.order
    answer = {
        "Order": bets.order_answer(order),
        "Position": bets.position_answer(placed.position, order.selection_id, order.side),
        "Insight": bets.insight_answer(order.insight),
    }
    return number_response(answer, HTTPStatus.CREATED)


@app.post("/api/v1/orders/<order_id>/settle", **compat_route("Settle a bet", WRITE))
def settle_bet(order_id: OrderId, body: bets.SettleBet) -> Response[Any]:
    """Settle an open bet by its own result. The first settlement is final."""
    side = wiring.orders().get(app.caller, order_id).side
    order = wiring.settle_order(app.caller, order_id, body.to_settlement(side))
    position, totals = wiring.standing_of_user(app.caller, order)
    answer = {
        "Order": bets.order_answer(order),
        "Position": bets.position_answer(position, order.selection_id, order.side),
        "Metrics": bets.metrics_answer(totals),
    }
    return number_response(answer)


@app.get("/api/v1/orders/open/<user_id>", **compat_route("List open bets", READ))
def list_open_bets(user_id: UserId) -> Response[Any]:
    """List the open bets of a user, newest first; 422 above 1,000 bets."""
    wanted = OrderFilter(user_id, None, BetStatus.OPEN)
    found = read_list(lambda after: wiring.orders().list(app.caller, wanted, limit=PAGE_SIZE, after=after))
    return number_response([bets.order_answer(order) for order in _whole(found)])


@app.get("/api/v1/positions/<user_id>", **compat_route("List positions", READ))
def list_positions(user_id: UserId) -> Response[Any]:
    """List the positions of a user, one for each selection, by market; 422 above 1,000 markets."""
    found = read_list(lambda after: wiring.positions().list(app.caller, user_id, limit=PAGE_SIZE, after=after))
    answers = [
        bets.position_answer(position, selection_id)
        for position in _whole(found)
        for selection_id in sorted(position.selections)
    ]
    return number_response(answers)


@app.get("/api/v1/metrics/<user_id>", **compat_route("Read totals", READ))
def read_metrics(user_id: UserId) -> Response[Any]:
    """Read the totals over the bets of a user."""
    return number_response(bets.metrics_answer(wiring.positions().get_totals(app.caller, user_id)))


def _whole(found: BoundedList[T]) -> list[T]:
    if not found.is_whole:
        raise Unprocessable(
            "too_many_items",
            f"The list has more than {MAX_LISTED} entries. Read Trimtab's own list, which has cursors.",
        )
    return found.items
