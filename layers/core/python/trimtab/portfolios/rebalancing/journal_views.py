"""Views of an execution in answers: enough to prove that each order took effect once."""

from datetime import datetime
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time, from_epoch_milliseconds
from trimtab.kernel.money import QUANTITY_PLACES, plain, to_places
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.orders import Order


class BrokerOrderView(Model):
    """An order at the broker: size and prices, the number of submissions under one client order id, and the fills.

    `reverses` is the client order id of the order that this order reverses. `is_posted`: the fill is a trade of the
    portfolio, with the client order id as its `ref_id`. `refusal` is `temporary` or `permanent` where the broker
    refused the order. `sent_at` is the start of the order's wave, `filled_at` the time at which the last fill was seen.
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
    is_posted: bool
    refusal: str | None
    sent_at: datetime | None
    filled_at: datetime | None


class SkippedOrderView(Model):
    """A change towards the target for which no order was planned, with the reason."""

    symbol: str
    side: str
    notional: str
    reason: str


class ExecutionView(Model):
    """The journal of an execution.

    `wave` is 1 for sells, 2 for the buys that the sells pay for, 3 to 5 for reversals and from 11 on for top-ups.
    `fence` counts the workers with the lease, `resumes` the expired leases that a worker took over. The execution
    continues at `next_poll_at`; `waits_for` says why: `halted`, `market_closed` or `message_rate`. At `deadline` the
    execution ends.
    """

    orders: list[BrokerOrderView]
    skipped: list[SkippedOrderView]
    wave: int
    fence: int
    resumes: int
    reversal_waves: int
    is_cancelled: bool
    deadline: datetime
    next_poll_at: datetime | None
    waits_for: str | None


def execution_view(execution: Execution) -> dict[str, Any]:
    """Return the members of an `ExecutionView`."""
    return {
        "orders": [_order_view(execution, order) for order in execution.orders],
        "skipped": [
            {"symbol": leg.symbol, "side": leg.side.value, "notional": plain(leg.notional), "reason": leg.reason}
            for leg in execution.skipped
        ],
        "wave": execution.wave,
        "fence": execution.fence,
        "resumes": execution.resumes,
        "reversal_waves": execution.reversals,
        "is_cancelled": execution.is_cancelled,
        "deadline": format_time(execution.deadline),
        "next_poll_at": execution.wake_at and format_time(execution.wake_at),
        "waits_for": execution.waits_for,
    }


def _order_view(execution: Execution, order: Order) -> dict[str, Any]:
    sent_at = execution.sent_at(order)
    return {
        "client_order_id": order.client_order_id,
        "broker_id": order.broker_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "wave": order.wave,
        "quantity": f"{to_places(order.quantity, QUANTITY_PLACES):f}",
        "price": plain(order.price),
        "limit_price": None if order.limit_price is None else plain(order.limit_price),
        "status": order.status.value,
        "attempts": order.attempts,
        "filled_quantity": f"{to_places(order.filled, QUANTITY_PLACES):f}",
        "filled_amount": f"{order.amount:.2f}",
        "fees": f"{order.fees:.2f}",
        "reason": order.reason,
        "reverses": order.reverses,
        "is_posted": order.is_posted,
        "refusal": order.refusal and order.refusal.value,
        "sent_at": sent_at and format_time(sent_at),
        "filled_at": None if order.filled_at is None else format_time(from_epoch_milliseconds(order.filled_at)),
    }
