"""Splits: a day has at most one split of a symbol, and the prices around a split have to follow it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from trimtab.contracts.events import PLATFORM, Event
from trimtab.contracts.quotes import Quote, Split, quote_key
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import to_attributes
from trimtab.kernel import sessions
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import plain
from trimtab.market.domain.plausibility import PriceLimits, PricePoint, find_implausibility, newest

MAX_SPLITS = 200
SPLIT_WINDOW = timedelta(days=14)
"""The time before and after a split from which prices are compared: at most ten sessions."""


class EnteredSplit(Record, frozen=True):
    """The record that a split was entered. The item carries the event `split.entered` to the stream."""

    symbol: str
    split: Split
    entered_at: datetime

    def to_item(self) -> dict[str, Any]:
        """Return the record as plain values, with the keys of the table `market`."""
        day = self.split.effective_at.date().isoformat()
        return {
            **to_attributes(self.split),
            "pk": quote_key(self.symbol)["pk"],
            "sk": f"SPLIT#{day}",
            "symbol": self.symbol,
            "tenant_id": PLATFORM,
            "updated_at": format_time(self.entered_at),
            **self.record_attributes(),
        }


def entered_split(symbol: str, split: Split, now: datetime) -> EnteredSplit:
    """Return the record of a split that is entered now, with the event `split.entered`."""
    data = {
        "symbol": symbol,
        "effective_on": split.effective_at.date().isoformat(),
        "ratio": plain(split.new),
        "per": plain(split.old),
    }
    return EnteredSplit(symbol, split, now, events=(Event("split.entered", data),))


def split_of_day(day: date, new: Decimal, old: Decimal, exchange: str | None) -> Split:
    """Return the split that takes effect at the opening of the first session on or after a day of the exchange."""
    return Split(sessions.session_open(exchange, day), new, old)


def require_followed(split: Split, quote: Quote, points: Sequence[PricePoint], limits: PriceLimits) -> None:
    """Raise `Unprocessable` if the first price after the split contradicts the last price before the split.

    `points` are accepted prices in any order. Without a price on both sides the split is not checked: the first price
    after the split is checked instead.
    """
    start, end = split.effective_at - SPLIT_WINDOW, split.effective_at + SPLIT_WINDOW
    before = newest(*(point for point in points if start <= point.at < split.effective_at))
    later = [point for point in points if split.effective_at <= point.at <= end]
    if before is None or not later:
        return
    after = min(later, key=lambda point: point.at)
    fault = find_implausibility(after, before, (*quote.splits, split), limits.max_jump_percent)
    if fault is not None:
        raise Unprocessable(
            "split_contradicted",
            f"The price {plain(after.price)} of {format_time(after.at)} does not follow the split: after "
            f"{plain(before.price)} of {format_time(before.at)} it should be about {plain(fault.expected)}. Check the "
            "ratio and the day.",
        )


def add_split(quote: Quote, split: Split) -> Quote:
    """Return the quote with the split added in order of time, or the same quote if the split is known.

    Raises `Conflict` if the day has a different split, `Unprocessable` above 200 splits.
    """
    same_day = [known for known in quote.splits if known.effective_at.date() == split.effective_at.date()]
    if any((known.new, known.old) == (split.new, split.old) for known in same_day):
        return quote
    if same_day:
        raise Conflict("split_exists", "The symbol has a different split on the same day.")
    if len(quote.splits) >= MAX_SPLITS:
        raise Unprocessable("too_many_splits", f"A symbol has at most {MAX_SPLITS} splits.")
    splits = sorted((*quote.splits, split), key=lambda known: known.effective_at)
    return replace(quote, splits=tuple(splits), accepted_range=None, version=quote.version + 1)
