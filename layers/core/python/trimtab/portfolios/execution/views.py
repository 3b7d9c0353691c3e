"""What answers show of an execution: enough to prove that each order took effect once."""

from datetime import datetime
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import QUANTITY_PLACES, plain, to_places
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.orders import Order


class OrderView(Model):
    """An order: what was asked for under which client order id, how often it was sent, and what came of it.

    `reverses` names the order that it takes back. `is_booked`: its fill is a trade of the portfolio, whose `ref_id` is
    the client order id.
    """

    client_order_id: str
    broker_id: str | None
    symbol: str
    side: str
    wave: int
    quantity: str
    price: str
    limit_price: str | None
    status: str
    attempts: int
    filled_quantity: str
    filled_amount: str
    fees: str
    reason: str | None
    reverses: str | None
    is_booked: bool


class SkippedView(Model):
    """A move that would lead closer to the target and was not planned."""

    symbol: str
    side: str
    notional: str
    reason: str


class ExecutionView(Model):
    """The journal of an execution. `fence` counts the workers that held it, `resumes` those whose lease had expired."""

    orders: list[OrderView]
    skipped: list[SkippedView]
    wave: int
    fence: int
    resumes: int
    reversal_waves: int
    is_cancelled: bool
    deadline: datetime
    next_look_at: datetime | None


def execution_view(it: Execution) -> dict[str, Any]:
    """See `ExecutionView`."""
    return {
        "orders": [_order_view(each) for each in it.orders],
        "skipped": [
            {"symbol": leg.symbol, "side": leg.side.value, "notional": plain(leg.notional), "reason": leg.reason}
            for leg in it.skipped
        ],
        "wave": it.wave,
        "fence": it.fence,
        "resumes": it.resumes,
        "reversal_waves": it.reversals,
        "is_cancelled": it.is_cancelled,
        "deadline": format_time(it.deadline),
        "next_look_at": it.wake_at and format_time(it.wake_at),
    }


def _order_view(it: Order) -> dict[str, Any]:
    return {
        "client_order_id": it.client_order_id,
        "broker_id": it.broker_id,
        "symbol": it.symbol,
        "side": it.side.value,
        "wave": it.wave,
        "quantity": f"{to_places(it.quantity, QUANTITY_PLACES):f}",
        "price": plain(it.price),
        "limit_price": None if it.limit_price is None else plain(it.limit_price),
        "status": it.status.value,
        "attempts": it.attempts,
        "filled_quantity": f"{to_places(it.filled, QUANTITY_PLACES):f}",
        "filled_amount": f"{it.amount:.2f}",
        "fees": f"{it.fees:.2f}",
        "reason": it.reason,
        "reverses": it.reverses,
        "is_booked": it.is_booked,
    }
