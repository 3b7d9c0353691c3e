"""Domain events: facts that a write produced, published after it with ids that follow from it."""

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
"""The tenant of what concerns everybody."""


class Event(Struct, frozen=True):
    """What happened, as its item carries it: a type (a past participle) and plain JSON data."""

    type: str
    data: Mapping[str, Any]


class _PackedEvents(Struct, frozen=True):
    v: int
    events: tuple[Event, ...] = ()


def pack_events(events: Sequence[Event]) -> str | None:
    """Return the events of a write as the text that its item carries to the stream, None for no events.

    None removes the attribute, and with it the events of the write before.
    """
    return pack(_PackedEvents(1, tuple(events))) if events else None


def unpack_events(text: str) -> tuple[Event, ...]:
    """Return the events that an item carries."""
    packed = unpack(text, _PackedEvents)
    match packed.v:
        case 1:
            return packed.events
    raise UnknownForm("packed events", packed.v)


class PortfolioData(Model):
    """The portfolio that was created, updated or closed."""

    portfolio_id: str
    user_id: str
    name: str


class RebalanceData(Model):
    """The outcome of a rebalance: read the transactions at /portfolios/{portfolio_id}/rebalances/{rebalance_id}."""

    rebalance_id: str
    portfolio_id: str
    user_id: str
    request_id: str
    status: str
    rule: str


class StaleData(PortfolioData):
    """The portfolio that is STALE from now on, and why: an operator has to resolve it."""

    reason: str


class StuckData(Model):
    """A request that was sent again three times and is still not decided: somebody has to look."""

    rebalance_id: str
    portfolio_id: str


class StuckJobData(Model):
    """A recalculation that was asked for three times more and is still not done: somebody has to look."""

    job_id: str
    portfolio_id: str


class TradeData(Model):
    """A trade as it stands since this event; `revision` counts its corrections.

    `affects_from` is the earliest time at which the portfolio is another one by it: a correction may have moved it.
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
    """Cash that came into a portfolio or went out of it, and when that was."""

    portfolio_id: str
    user_id: str
    ref_id: str
    type: str
    amount: str
    executed_at: str


class AlertData(Model):
    """What a rule noticed, for people to read: a title, a text, the facts behind them.

    `episode` is the same for as long as the same thing is wrong. An alert that concerns the whole platform has neither
    portfolio nor user, and the tenant `platform`.
    """

    rule: str
    title: str
    text: str
    portfolio_id: str | None = None
    user_id: str | None = None
    episode: str
    facts: Mapping[str, str] = Field(default_factory=dict)


class BarsData(Model):
    """The day whose bars are stored, all that came; `stored` counts them, `changed` those that replaced others.

    After a backfill it is the first of many days that are new.
    """

    day: str
    stored: int
    changed: int


class SplitData(Model):
    """A split as it was entered: from the day on, every `per` units of the symbol are `ratio` units."""

    symbol: str
    effective_on: str
    ratio: str
    per: str


class OrderData(Model):
    """A betting order as it stands since this event: money and odds with 2 places, as texts.

    `exposure` is what it can lose, `pnl` what it earned: payout - exposure - commission.
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
    """A user's bets on one selection as they stand since this event: `exposure`, `if_win` and `if_lose` of the open
    ones, `pnl` of the settled; `side` is null where the result does not matter to them.

    `market_commission` is what was taken with the whole market, beside every `pnl`: of all selections together, so it
    counts once a market.
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
    "portfolio.created": PortfolioData,
    "portfolio.updated": PortfolioData,
    "portfolio.closed": PortfolioData,
    "portfolio.stale": StaleData,
    "portfolio.resolved": PortfolioData,
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
}
"""The data of every type of event that is published."""


class CloudEvent(Model):
    """CloudEvents 1.0 in JSON; `tenantid` is an extension attribute. Deliveries repeat; the id tells them."""

    specversion: Literal["1.0"]
    id: str
    source: Literal["trimtab"]
    type: str
    time: datetime
    datacontenttype: Literal["application/json"]
    tenantid: str
    data: Mapping[str, Any] = Field(default_factory=dict)


def event_id(key: str, version: int, position: int) -> str:
    """The id of the event at `position` among those that `version` of the item at `key` produced."""
    return ids.derive_id(key, version, position)


def cloud_event(event: Event, *, id: str, tenant_id: str, time: datetime) -> dict[str, Any]:
    """The event as a `CloudEvent`."""
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
    """The JSON Schema of every event, by its type: the envelope with the data of that type."""
    written = {}
    for type, data in DATA.items():
        schema = CloudEvent.model_json_schema()
        schema["title"] = type
        schema["properties"]["type"] = {"const": type}
        schema["properties"]["data"] = data.model_json_schema()
        schema["required"] = [*schema["required"], "data"]
        written[type] = schema
    return written
