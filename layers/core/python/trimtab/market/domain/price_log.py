"""The price log: an audit record of each price that was held, released or withdrawn."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from trimtab.contracts.events import PLATFORM, Event
from trimtab.contracts.quotes import AcceptedPrice, HeldPrice, HoldReason, Quote, quote_key
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import to_attributes
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain

_REASONS = {
    HoldReason.PRICE_JUMP: "no split explains the change",
    HoldReason.SPLIT_CONTRADICTED: "the price contradicts a split",
}


class PriceAction(StrEnum):
    """The actions on a price that the log records."""

    HELD = "held"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


class PriceLogEntry(Record, frozen=True):
    """An action on a price: who acted, when and why. The entry carries the events of the action to the stream.

    `quote_version` is the version of the quote that the action wrote.
    """

    symbol: str
    action: PriceAction
    price: AcceptedPrice
    quote_version: int
    actor: str
    logged_at: datetime
    reason: str | None = None

    def to_item(self) -> dict[str, Any]:
        """Return the entry as plain values, with the keys of the table `market`; entries sort by quote version."""
        return {
            **to_attributes(self),
            "pk": quote_key(self.symbol)["pk"],
            "sk": f"PRICE_LOG#{self.quote_version:012d}",
            "tenant_id": PLATFORM,
            "updated_at": format_time(self.logged_at),
            **self.record_attributes(),
        }


def log_entry(
    action: PriceAction, price: AcceptedPrice, quote: Quote, *, actor: str, now: datetime, reason: str | None = None
) -> PriceLogEntry:
    """Return the entry for an action that writes the quote, with its event, such as `price.held`."""
    data = {
        "symbol": quote.symbol,
        "price": plain(price.price),
        "as_of": format_time(price.as_of),
        "source": price.source,
        "actor": actor,
        "reason": reason,
    }
    events = (Event(f"price.{action}", data),)
    return PriceLogEntry(quote.symbol, action, price, quote.version, actor, now, reason, events=events)


def held_entry(quote: Quote, held: HeldPrice, now: datetime) -> PriceLogEntry:
    """Return the entry for the first held price of an episode, with an alert."""
    price = AcceptedPrice(held.price, held.as_of, held.source)
    entry = log_entry(PriceAction.HELD, price, quote, actor=held.source, now=now, reason=held.reason)
    return replace(entry, events=(*entry.events, _alert(quote.symbol, held)))


def _alert(symbol: str, held: HeldPrice) -> Event:
    text = (
        f"{plain(held.price)} of {held.source} is {plain(held.change_percent)} % away from {plain(held.expected)}, and "
        f"{_REASONS[held.reason]}. The price is not used, and {symbol} is not traded, until the price is released "
        f"(POST /quotes/{symbol}/release) or withdrawn (DELETE /quotes/{symbol})."
    )
    data = {
        "rule": "price_held",
        "title": f"Price of {symbol} held: {plain(held.price)} after {plain(held.expected)}",
        "text": text,
        "portfolio_id": None,
        "user_id": None,
        "episode": f"price-{symbol}-{format_time(held.held_at)}",
        "details": {"symbol": symbol, "price": plain(held.price), "reason": held.reason.value},
    }
    return Event("alert.raised", data)
