"""Splits: a day has at most one split of a symbol, and the prices around the split have to follow the split."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import PLATFORM, Event
from trimtab.contracts.quotes import Quote, Split, quote_key
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import to_attributes
from trimtab.kernel import sessions
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Unprocessable, not_found
from trimtab.kernel.money import plain
from trimtab.market.domain.plausibility import PriceLimits, PricePoint, find_implausibility, newest

MAX_SPLITS = 200
SPLIT_WINDOW = timedelta(days=14)
"""The time before and after a split from which prices are compared: at most ten sessions."""


class SplitAction(StrEnum):
    """The actions on a split that the split log records."""

    ENTERED = "entered"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"


class SplitLogEntry(Record, frozen=True):
    """An action on a split: who acted, when and why. The entry carries the event of the action to the stream.

    `split` is the entered or amended split, or the split that was withdrawn; `quote_version` is the version of the
    quote that the action wrote.
    """

    symbol: str
    action: SplitAction
    split: Split
    quote_version: int
    actor: str
    logged_at: datetime
    reason: str | None = None

    def to_item(self) -> dict[str, Any]:
        """Return the entry as plain values, with the keys of the table `market`; entries sort by quote version."""
        return {
            **to_attributes(self),
            "pk": quote_key(self.symbol)["pk"],
            "sk": f"SPLIT_LOG#{self.quote_version:012d}",
            "tenant_id": PLATFORM,
            "updated_at": format_time(self.logged_at),
            **self.record_attributes(),
        }


class SplitChange(Struct, frozen=True):
    """A change of the splits of a symbol: the action, the split concerned, and the quote before and after.

    Nothing has changed where `after` is `before`.
    """

    action: SplitAction
    split: Split
    before: Quote
    after: Quote

    def log_entry(self, actor: str, reason: str | None, now: datetime) -> SplitLogEntry:
        """Return the entry of the split log, with its event, such as `split.entered`."""
        data = {
            "symbol": self.after.symbol,
            "effective_on": self.split.effective_at.date().isoformat(),
            "ratio": plain(self.split.new),
            "per": plain(self.split.old),
            "actor": actor,
            "reason": reason,
        }
        events = (Event(f"split.{self.action}", data),)
        symbol, version = self.after.symbol, self.after.version
        return SplitLogEntry(symbol, self.action, self.split, version, actor, now, reason, events=events)


def split_of_day(day: date, new: Decimal, old: Decimal, exchange: str | None) -> Split:
    """Return the split that takes effect at the opening of the first session on or after a day of the exchange."""
    return Split(sessions.session_open(exchange, day), new, old)


def split_days(day: date, exchange: str | None) -> list[date]:
    """Return the days on which a split that was entered for a day may be stored: the day and its first session."""
    return list(dict.fromkeys((day, sessions.session_open(exchange, day).date())))


def require_followed(change: SplitChange, points: Sequence[PricePoint], limits: PriceLimits) -> None:
    """Raise `Unprocessable` if the first price after the split contradicts the last price before the split.

    `points` are accepted prices in any order. Without a price on both sides the split is not checked: the first price
    after the split is checked instead.
    """
    split = change.split
    start, end = split.effective_at - SPLIT_WINDOW, split.effective_at + SPLIT_WINDOW
    before = newest(*(point for point in points if start <= point.at < split.effective_at))
    later = [point for point in points if split.effective_at <= point.at <= end]
    if before is None or not later:
        return
    after = min(later, key=lambda point: point.at)
    fault = find_implausibility(after, before, change.after.splits, limits.max_jump_percent)
    if fault is not None:
        raise Unprocessable(
            "split_contradicted",
            f"The price {plain(after.price)} of {format_time(after.at)} does not follow the split: after "
            f"{plain(before.price)} of {format_time(before.at)} it should be about {plain(fault.expected)}. Check the "
            "ratio and the day.",
        )


def add_split(quote: Quote, split: Split) -> SplitChange:
    """Return the change that adds a split, without an effect if the split is known.

    A withdrawn split of the day is replaced. Raises `Conflict` if the day has a different split, `Unprocessable` for a
    split that changes nothing and above 200 splits.
    """
    _require_effect(split)
    known = _split_on(quote, split.effective_at.date())
    if known is not None and (known.new, known.old) == (split.new, split.old):
        return SplitChange(SplitAction.ENTERED, known, quote, quote)
    if known is not None and not known.is_withdrawn:
        raise Conflict("split_exists", "The symbol has a different split on the same day. Amend or withdraw it.")
    if known is None and len(quote.splits) >= MAX_SPLITS:
        raise Unprocessable("too_many_splits", f"A symbol has at most {MAX_SPLITS} splits.")
    entered = replace(split, revision=known.revision + 1) if known else split
    return SplitChange(SplitAction.ENTERED, entered, quote, _with_split(quote, entered))


def is_withdrawn(quote: Quote, split: Split) -> bool:
    """Return True if the day of the split has a withdrawn split."""
    known = _split_on(quote, split.effective_at.date())
    return known is not None and known.is_withdrawn


def amend_split(quote: Quote, days: Collection[date], new: Decimal, old: Decimal) -> SplitChange:
    """Return the change that amends the ratio of the split on one of the days, without an effect for the same ratio.

    Raises `NotFound` if there is no such split, and `Unprocessable` for a ratio that changes nothing.
    """
    known = _find_split(quote, days)
    if (known.new, known.old) == (new, old):
        return SplitChange(SplitAction.AMENDED, known, quote, quote)
    amended = Split(known.effective_at, new, old, known.revision + 1)
    _require_effect(amended)
    return SplitChange(SplitAction.AMENDED, amended, quote, _with_split(quote, amended))


def withdraw_split(quote: Quote, days: Collection[date]) -> SplitChange:
    """Return the change that withdraws the split on one of the days; raises `NotFound` if there is no such split."""
    known = _find_split(quote, days)
    withdrawn = Split(known.effective_at, Decimal(1), Decimal(1), known.revision + 1)
    return SplitChange(SplitAction.WITHDRAWN, known, quote, _with_split(quote, withdrawn))


def _require_effect(split: Split) -> None:
    if split.new == split.old:
        raise Unprocessable("no_split", "A split of equal numbers changes nothing. `ratio` must differ from `per`.")


def _find_split(quote: Quote, days: Collection[date]) -> Split:
    found = [split for day in days if (split := _split_on(quote, day)) and not split.is_withdrawn]
    if not found:
        raise not_found(f"split of {quote.symbol} on that day")
    return found[0]


def _split_on(quote: Quote, day: date) -> Split | None:
    return next((split for split in quote.splits if split.effective_at.date() == day), None)


def _with_split(quote: Quote, split: Split) -> Quote:
    """Return the quote with the split in place of another revision; the next price is judged in full."""
    others = [known for known in quote.splits if known.effective_at.date() != split.effective_at.date()]
    splits = sorted((*others, split), key=lambda known: known.effective_at)
    return replace(quote, splits=tuple(splits), accepted_range=None, version=quote.version + 1)
