"""Timeline of a rebalance: the quote, the check, the plan, each order, each posting and each event, by time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.contracts.events import event_id
from trimtab.kernel.clock import from_epoch_milliseconds, parse_time, to_epoch_milliseconds
from trimtab.kernel.money import plain
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing.model import EVENT_TYPES, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus

QUOTE = "quote"
"""Detail of a plan: the newest quote that the check has valued the portfolio with."""
_REQUESTED_BY = frozenset({Trigger.REPORT, Trigger.MANUAL, Trigger.WITHDRAWAL})


class Step(StrEnum):
    """Kind of an entry; entries with the same time are in this order, but a status after the start of the orders, and
    its event, are last."""

    QUOTE = "quote"
    REQUEST = "request"
    CHECK = "check"
    STATUS = "status"
    ORDER_SENT = "order_sent"
    ORDER_FILLED = "order_filled"
    ORDER_ENDED = "order_ended"
    POSTING = "posting"
    EVENT = "event"
    RESOLUTION = "resolution"


_RANK = {step: rank for rank, step in enumerate(Step)}
_STARTS = frozenset({RebalanceStatus.PLANNED, RebalanceStatus.EXECUTING})
_TRADE_RECORDED = "trade.recorded"


class Entry(Struct, frozen=True):
    """Entry of a timeline: a subject (symbol, status, type of an event, cause), and its id in other responses."""

    at: datetime
    step: Step
    subject: str
    id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


def posted_orders(rebalance: Rebalance) -> Sequence[str]:
    """Return the client order ids of the orders whose fills are trades."""
    orders = rebalance.execution.orders if rebalance.execution else ()
    return [order.client_order_id for order in orders if order.is_posted and order.filled]


def timeline(rebalance: Rebalance, fills: Mapping[str, Trade]) -> Sequence[Entry]:
    """Return the entries of a rebalance, oldest first; `fills` has its trades by client order id.

    Times are cut to milliseconds, the precision of the journal: writes of one transaction have the same time.
    """
    orders = rebalance.execution.orders if rebalance.execution else ()
    entries = [
        *_decision(rebalance),
        *_statuses(rebalance),
        *(entry for order in orders for entry in _order(rebalance, order)),
        *(entry for fill in fills.values() for entry in _posting(fill)),
        *_resolution(rebalance),
    ]
    cut = [replace(entry, at=from_epoch_milliseconds(to_epoch_milliseconds(entry.at))) for entry in entries]
    return sorted(cut, key=lambda entry: (entry.at, _follows_orders(entry), _RANK[entry.step]))


def _follows_orders(entry: Entry) -> bool:
    is_later_status = entry.step is Step.STATUS and entry.subject not in _STARTS
    return is_later_status or (entry.step is Step.EVENT and entry.subject != _TRADE_RECORDED)


def _decision(rebalance: Rebalance) -> Iterator[Entry]:
    reason = rebalance.reason
    quote = reason.details.get(QUOTE) if reason else None
    if quote:
        yield Entry(parse_time(quote["as_of"]), Step.QUOTE, quote["symbol"], details={"price": quote["price"]})
    if rebalance.trigger in _REQUESTED_BY:
        yield Entry(rebalance.created_at, Step.REQUEST, rebalance.trigger.value, rebalance.request_id)
    if rebalance.status is not RebalanceStatus.REQUESTED:
        yield Entry(_decided_at(rebalance), Step.CHECK, rebalance.trigger.value)


def _decided_at(rebalance: Rebalance) -> datetime:
    """Return the time of the plan, or of the outcome of a rebalance without orders."""
    first = min(rebalance.history.values(), default=None)
    return rebalance.updated_at if first is None else from_epoch_milliseconds(first)


def _statuses(rebalance: Rebalance) -> Iterator[Entry]:
    """Yield each status since the decision, and the event of the same write."""
    times = {status: from_epoch_milliseconds(at) for status, at in rebalance.history.items()}
    if not times and rebalance.status is not RebalanceStatus.REQUESTED:
        times = {rebalance.status: rebalance.updated_at}
    for status, at in times.items():
        yield Entry(at, Step.STATUS, status.value)
        if status in EVENT_TYPES:
            yield Entry(at, Step.EVENT, EVENT_TYPES[status], _event_of(rebalance, status, at))


def _event_of(rebalance: Rebalance, status: RebalanceStatus, at: datetime) -> str | None:
    """Return the id of the event of the newest write; None where a later write has raised the version."""
    if status is not rebalance.status or at != rebalance.updated_at:
        return None
    item = rebalance.to_item()
    return event_id(f"{item['pk']}|{item['sk']}", rebalance.version, 0)


def _order(rebalance: Rebalance, order: Order) -> Iterator[Entry]:
    sent_at = rebalance.execution.sent_at(order) if rebalance.execution else None
    names = {"side": order.side.value}
    if sent_at is not None:
        size = {"quantity": plain(order.quantity), "attempts": str(order.attempts), "wave": str(order.wave)}
        yield Entry(sent_at, Step.ORDER_SENT, order.symbol, order.client_order_id, {**names, **size})
    filled = {"filled_quantity": plain(order.filled), "filled_amount": plain(order.amount), "fees": plain(order.fees)}
    reason = {"reason": order.reason} if order.reason else {}
    if order.filled_at is not None:
        step = Step.ORDER_FILLED if order.status is OrderStatus.FILLED else Step.ORDER_ENDED
        details = {**names, **filled, **reason}
        yield Entry(from_epoch_milliseconds(order.filled_at), step, order.symbol, order.client_order_id, details)
    if order.ended_at is not None:
        at = from_epoch_milliseconds(order.ended_at)
        yield Entry(at, Step.ORDER_ENDED, order.symbol, order.client_order_id, {**names, **reason})


def _posting(fill: Trade) -> Iterator[Entry]:
    details = {"side": fill.side.value, "quantity": plain(fill.quantity), "amount": plain(fill.amount)}
    yield Entry(fill.created_at, Step.POSTING, fill.symbol, fill.ref_id, details)
    item = fill.to_item()
    yield Entry(fill.created_at, Step.EVENT, _TRADE_RECORDED, event_id(f"{item['pk']}|{item['sk']}", 1, 0))


def _resolution(rebalance: Rebalance) -> Iterator[Entry]:
    record: Mapping[str, Any] = rebalance.resolution or {}
    if "at" in record:
        yield Entry(parse_time(record["at"]), Step.RESOLUTION, "portfolio", details={"by": str(record.get("by", ""))})
