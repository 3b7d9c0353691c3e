"""View of a rebalance's timeline: entries with times and links."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trimtab.contracts.fields import Model
from trimtab.contracts.traces import unpack_trace
from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.rebalancing.timeline import Entry, Step, timeline


class TimelineEntryView(Model):
    """A step of a rebalance, with its time."""

    at: datetime
    """The time (UTC), to milliseconds; for a quote the time of the price."""
    step: Step
    """`quote` (newest price of the check), `request`, `check` (decided), `status`, `order_sent`, `order_filled`,
    `order_ended` (over with less than all filled), `posting` (a fill became a trade), `event` (published from the same
    write) or `resolution` (by an operator)."""
    subject: str
    """The symbol of a quote, an order or a posting; the status; the type of the event; the cause of a request or a
    check. Example: `AAPL`"""
    id: str | None
    """The `request_id`, the `client_order_id`, the `ref_id` of the trade, or the id of the event; null where there is
    none, and for an event whose rebalance was written again later. Example: `5f3d0c1e-5c1f-5a9e-9c39-6a7f1f5b7d10`"""
    details: dict[str, str]
    """Quantities, prices, money and reasons as texts by name."""
    links: dict[str, str]
    """Addresses relative to the URL of the request (RFC 3986), by name: `rebalance`, `quote`, `trade`, `events`
    or `portfolio`."""


class TimelineView(Model):
    """The timeline of a rebalance: from the quote or the request to the last posting and event."""

    rebalance_id: str
    portfolio_id: str
    status: str
    """The present status of the rebalance. Example: `COMPLETED`"""
    trace_id: str | None
    """The trace of the rebalance (W3C Trace Context), which log lines, messages and events carry; null for a rebalance
    of an earlier release. Example: `4bf92f3577b34da6a3ce929d0e0e4736`"""
    entries: list[TimelineEntryView]
    """The entries, oldest first."""
    links: dict[str, str]
    """Addresses relative to the URL of the request (RFC 3986): `self`, `rebalance` and `portfolio`."""


def timeline_view(rebalance: Rebalance, fills: Mapping[str, Trade]) -> dict[str, Any]:
    """Return the members of a `TimelineView`, with links as paths of the API."""
    portfolio = f"/portfolios/{rebalance.portfolio_id}"
    home, trace = f"{portfolio}/rebalances/{rebalance.rebalance_id}", unpack_trace(rebalance.trace)
    return {
        "rebalance_id": rebalance.rebalance_id,
        "portfolio_id": rebalance.portfolio_id,
        "status": rebalance.status.value,
        "trace_id": trace.trace_id if trace else None,
        "entries": [_entry_view(entry, portfolio, home) for entry in timeline(rebalance, fills)],
        "links": {"self": f"{home}/timeline", "rebalance": home, "portfolio": portfolio},
    }


def _entry_view(entry: Entry, portfolio: str, home: str) -> dict[str, Any]:
    return {
        "at": format_time(entry.at),
        "step": entry.step.value,
        "subject": entry.subject,
        "id": entry.id,
        "details": dict(entry.details),
        "links": _links(entry, portfolio, home),
    }


def _links(entry: Entry, portfolio: str, home: str) -> dict[str, str]:
    match entry.step:
        case Step.QUOTE:
            return {"quote": f"/quotes/{entry.subject}"}
        case Step.POSTING:
            return {"trade": f"{portfolio}/trades/{entry.id}"}
        case Step.EVENT:
            return {"events": "/events"}
        case Step.RESOLUTION:
            return {"portfolio": portfolio}
    return {"rebalance": home}
