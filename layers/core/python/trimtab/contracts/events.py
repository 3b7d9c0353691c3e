"""Domain events: facts produced by a write, published after the write with ids derived from the item."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from pydantic import Field

from trimtab.contracts.fields import Model
from trimtab.contracts.stored_form import UnknownForm, pack, unpack
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time

SOURCE = "trimtab"
PLATFORM = "platform"
"""The tenant of data and events that belong to the whole platform."""


class Event(Struct, frozen=True):
    """A domain event as an item carries it: a type (a past participle) and plain JSON data."""

    type: str
    data: Mapping[str, Any]


class _PackedEvents(Struct, frozen=True):
    v: int
    events: tuple[Event, ...] = ()


def pack_events(events: Sequence[Event]) -> str | None:
    """Return the events of a write as the text stored in the item, None for no events.

    None removes the attribute, and with it the events of the write before.
    """
    return pack(_PackedEvents(1, tuple(events))) if events else None


def unpack_events(text: str) -> tuple[Event, ...]:
    """Return the events in the text of an item; raises `UnknownForm` for an unknown version."""
    packed = unpack(text, _PackedEvents)
    match packed.v:
        case 1:
            return packed.events
    raise UnknownForm("packed events", packed.v)


class PortfolioData(Model):
    """The portfolio that was created, updated, closed or resolved."""

    portfolio_id: str
    user_id: str
    name: str


class RebalanceData(Model):
    """The outcome of a rebalance. The transactions are at /portfolios/{portfolio_id}/rebalances/{rebalance_id}."""

    rebalance_id: str
    portfolio_id: str
    user_id: str
    request_id: str
    status: str
    reason_code: str


class StaleData(PortfolioData):
    """A portfolio that became STALE: the reason, the rebalance that led to it, and what an operator has to do."""

    reason: str
    rebalance_id: str
    remedy: str


class BackingOffData(PortfolioData):
    """A portfolio whose automatic rebalances wait until a time (UTC), because a rebalance was rolled back.

    One event for each episode: later rollbacks before the next completed rebalance only lengthen the pause.
    """

    reason_code: str
    rebalance_id: str
    until: datetime
    remedy: str


class QuarantineData(PortfolioData):
    """A symbol that the portfolio does not trade until a time (UTC), because the broker refused an order permanently.

    `restriction` names the sides: `no_buy`, `no_sell` or `frozen`.
    """

    symbol: str
    restriction: str
    reason: str
    rebalance_id: str
    until: datetime
    remedy: str


class HaltedData(Model):
    """An automatic halt of all orders of the event's tenant: the control, its count and window, and what to do."""

    control: str
    count: int
    window_seconds: int
    reason: str
    remedy: str


class ReleasedSymbolData(PortfolioData):
    """A symbol whose quarantine a person lifted: the person (`by`), and the person's reason."""

    symbol: str
    by: str
    reason: str


class StuckData(Model):
    """A rebalance request that is undecided after three resends. An operator has to investigate."""

    rebalance_id: str
    portfolio_id: str


class StuckJobData(Model):
    """A recalculation that is unfinished after three resends. An operator has to investigate."""

    job_id: str
    portfolio_id: str


class TradeData(Model):
    """The state of a trade after the event; `revision` counts the corrections.

    `affects_from` is the earliest time at which the trade changes the portfolio. A correction may move the execution
    to another time: then the earlier of the two times.
    """

    portfolio_id: str
    user_id: str
    ref_id: str
    side: str
    symbol: str
    quantity: str
    amount: str
    status: str
    executed_at: str
    affects_from: str
    revision: int


class CashData(Model):
    """A deposit into a portfolio or a withdrawal from the portfolio, with the time of execution."""

    portfolio_id: str
    user_id: str
    ref_id: str
    type: str
    amount: str
    executed_at: str


class CorrectedCashData(CashData):
    """A cash entry after a correction; balances changed from `affects_from` on. A void entry changes no balance."""

    affects_from: str
    is_void: bool
    revision: int


class RecountedCashData(PortfolioData):
    """Another rule of cash: balances changed from the earliest entry (`affects_from`) on."""

    cash_tracking: str
    affects_from: str


class AlertData(Model):
    """An alert for people: the rule that raised it, a title, a text and the details behind both.

    Alerts about the same continuing condition share an `episode`. An alert about the whole platform has neither
    portfolio nor user, and the tenant `platform`.
    """

    rule: str
    title: str
    text: str
    portfolio_id: str | None = None
    user_id: str | None = None
    episode: str
    details: Mapping[str, str] = Field(default_factory=dict)


class BarsData(Model):
    """A day whose bars were ingested: `stored` counts the bars, `changed` the bars that replaced an earlier revision.

    After a backfill of many days, `day` is the first of these days.
    """

    day: str
    stored: int
    changed: int


class SplitData(Model):
    """A split that was entered, amended or withdrawn: from the day on, every `per` units become `ratio` units.

    `actor` is the person or the provider that acted; `reason` is null for an entered split.
    """

    symbol: str
    effective_on: str
    ratio: str
    per: str
    actor: str
    reason: str | None


class PriceData(Model):
    """A price that was held as implausible, released or withdrawn; `actor` is the person or the source that acted."""

    symbol: str
    price: str
    as_of: str
    source: str
    actor: str
    reason: str | None


class OrderData(Model):
    """The state of a betting order after the event; money and odds are texts with 2 decimals.

    `exposure` is the maximum loss; `pnl` is the profit or loss: payout - exposure - commission.
    """

    id: str
    user_id: str
    market_id: str
    selection_id: str
    side: Literal["BACK", "LAY"]
    stake: str
    odds: str
    status: str
    payout: str | None
    settled_at: str | None
    exposure: str
    pnl: str | None


class PositionData(Model):
    """The position of a user in one selection after the event.

    `exposure`, `if_win` and `if_lose` cover open orders, `pnl` settled orders. `side` is null if the result of the
    selection does not change the profit. `market_commission` is the commission on the whole market, over all
    selections of the user, and not part of any `pnl`: count the commission once a market.
    """

    user_id: str
    market_id: str
    selection_id: str
    side: Literal["BACK", "LAY"] | None
    exposure: str
    pnl: str
    if_win: str
    if_lose: str
    market_commission: str


DATA: Mapping[str, type[Model]] = {
    "alert.raised": AlertData,
    "bars.ingested": BarsData,
    "split.entered": SplitData,
    "split.amended": SplitData,
    "split.withdrawn": SplitData,
    "price.held": PriceData,
    "price.released": PriceData,
    "price.withdrawn": PriceData,
    "portfolio.created": PortfolioData,
    "portfolio.updated": PortfolioData,
    "portfolio.closed": PortfolioData,
    "portfolio.stale": StaleData,
    "portfolio.backing_off": BackingOffData,
    "portfolio.resolved": PortfolioData,
    "orders.halted": HaltedData,
    "symbol.quarantined": QuarantineData,
    "symbol.released": ReleasedSymbolData,
    "rebalance.completed": RebalanceData,
    "rebalance.rejected": RebalanceData,
    "rebalance.cancelled": RebalanceData,
    "rebalance.rolled_back": RebalanceData,
    "rebalance.stuck": StuckData,
    "recalculation.stuck": StuckJobData,
    "trade.recorded": TradeData,
    "trade.corrected": TradeData,
    "order.placed": OrderData,
    "order.settled": OrderData,
    "order.cancelled": OrderData,
    "position.updated": PositionData,
    "cash.recorded": CashData,
    "cash.corrected": CorrectedCashData,
    "cash.recounted": RecountedCashData,
}
"""The model of the data of every published event, by event type."""


class CloudEvent(Model):
    """CloudEvents 1.0 in JSON; `tenantid` is an extension attribute. Delivery is at least once; deduplicate by `id`."""

    specversion: Literal["1.0"]
    id: str
    source: Literal["trimtab"]
    type: str
    time: datetime
    datacontenttype: Literal["application/json"]
    tenantid: str
    data: Mapping[str, Any] = Field(default_factory=dict)


def event_id(key: str, version: int, position: int) -> str:
    """Return the id of an event, derived from the item's key, the version written, and the position in the write."""
    return ids.derive_id(key, version, position)


def cloud_event(event: Event, *, id: str, tenant_id: str, time: datetime) -> dict[str, Any]:
    """Return the event as a CloudEvent."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": event.type,
        "time": format_time(time),
        "datacontenttype": "application/json",
        "tenantid": tenant_id,
        "data": dict(event.data),
    }


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every event by type: the envelope together with the data."""
    written = {}
    for type, data in DATA.items():
        schema = CloudEvent.model_json_schema()
        schema["title"] = type
        schema["properties"]["type"] = {"const": type}
        schema["properties"]["data"] = data.model_json_schema()
        schema["required"] = [*schema["required"], "data"]
        written[type] = schema
    return written
