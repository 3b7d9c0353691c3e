"""Views of an execution in answers: enough to prove that each order took effect once."""

from datetime import datetime
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time, from_epoch_milliseconds
from trimtab.kernel.currencies import money_text
from trimtab.kernel.money import QUANTITY_PLACES, plain, to_places
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.orders import Order


class BrokerOrderView(Model):
    """An order at the broker: size and prices, submissions and fills."""

    client_order_id: str
    """The id that Trimtab derives and sends to the broker; a resend has the same id. Example:
    `5f3d0c1e-5c1f-5a9e-9c39-6a7f1f5b7d10`"""
    broker_id: str | None
    """The id that the broker gave the order; null before its answer. Example: `61e69015-8549-4bfd-b9c3-01e75843f47d`"""
    symbol: str
    side: str
    """`BUY` or `SELL`. Example: `SELL`"""
    wave: int
    """The wave in which the order is sent: 1 for sells, 2 for the buys that they pay for, 3 to 5 for reversals, from 11
    on for top-ups. Example: `1`"""
    quantity: str
    """The size of the order in units, with 9 decimals. Example: `2.500000000`"""
    price: str
    """The planning price of one unit in money. Example: `150.25`"""
    limit_price: str | None
    """The worst price of a fill, of one unit in money; null for a reversal, which has no limit. Example: `148.75`"""
    status: str
    """`PLANNED` (not sent), `SENT` (arrival unknown), `OPEN` (at the broker), `FILLED`, `ENDED` (over with less than
    all filled) or `SKIPPED` (never sent). Example: `FILLED`"""
    attempts: int
    """The number of submissions under the same client order id. Example: `1`"""
    filled_quantity: str
    """The filled quantity in units, with 9 decimals. Example: `2.500000000`"""
    filled_amount: str
    """The gross value of the fill in money, without fees. Example: `375.60`"""
    fees: str
    """The fees of the fill in money. Example: `1.00`"""
    reason: str | None
    """The reason of the end, as a code or in the broker's words; null where there is none. Example: `limit_not_met`"""
    reverses: str | None
    """The client order id of the order that this order reverses; null for other orders. Example:
    `5f3d0c1e-5c1f-5a9e-9c39-6a7f1f5b7d10`"""
    is_posted: bool
    """True once the fill is a trade of the portfolio, with the client order id as its `ref_id`. Example: `true`"""
    refusal: str | None
    """`temporary` or `permanent` where the broker refused the order; null otherwise. Example: `permanent`"""
    sent_at: datetime | None
    """The start of the order's wave (UTC); null before."""
    filled_at: datetime | None
    """The time at which the last fill was seen (UTC); null without a fill."""
    ended_at: datetime | None
    """The time at which the end of an order without a fill was seen (UTC); null for other orders."""


class SkippedOrderView(Model):
    """A change towards the target for which no order was planned."""

    symbol: str
    side: str
    """`BUY` or `SELL`. Example: `BUY`"""
    notional: str
    """The value of the change in money. Example: `0.40`"""
    reason: str
    """The reason as a code for programs. Example: `no_cash`"""


class ExecutionView(Model):
    """The journal of an execution."""

    orders: list[BrokerOrderView]
    """The orders, those of all waves."""
    skipped: list[SkippedOrderView]
    """The changes towards the target without an order."""
    wave: int
    """The present wave, 0 before the first: 1 for sells, 2 for the buys that they pay for, 3 to 5 for reversals, from
    11 on for top-ups. Example: `2`"""
    fence: int
    """The fencing token: the number of workers that took the lease. Example: `1`"""
    resumes: int
    """The number of expired leases that another worker took over. Example: `0`"""
    reversal_waves: int
    """The number of waves of reversals. Example: `0`"""
    is_cancelled: bool
    """True once a person has cancelled the rebalance. Example: `false`"""
    deadline: datetime
    """The time at which the execution ends (UTC), whatever is filled."""
    next_poll_at: datetime | None
    """The time of the next step (UTC); null once the execution is over."""
    waits_for: str | None
    """The reason of a wait: `halted`, `market_closed` or `message_rate`; null where the execution does not wait.
    Example: `market_closed`"""


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
        "filled_amount": money_text(order.amount, execution.currency),
        "fees": money_text(order.fees, execution.currency),
        "reason": order.reason,
        "reverses": order.reverses,
        "is_posted": order.is_posted,
        "refusal": order.refusal and order.refusal.value,
        "sent_at": sent_at and format_time(sent_at),
        "filled_at": _time_text(order.filled_at),
        "ended_at": _time_text(order.ended_at),
    }


def _time_text(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_time(from_epoch_milliseconds(milliseconds))
