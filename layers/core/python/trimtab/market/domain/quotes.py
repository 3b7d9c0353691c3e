"""Quotes and splits of symbols: the newest quote wins, and a day has at most one split."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import PLATFORM, Event
from trimtab.contracts.quotes import Quote, Split, quote_key
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import to_attributes
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import plain

MAX_CLOCK_LEAD = timedelta(minutes=5)
MAX_SPLITS = 200


class NewQuote(Struct, frozen=True):
    """The price of one unit of a symbol at a time."""

    symbol: str
    price: Decimal
    as_of: datetime
    source: str | None


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


def is_in_future(quote: NewQuote, now: datetime) -> bool:
    """Return True if the quote is more than 5 minutes in the future, beyond any error of a clock."""
    return quote.as_of > now + MAX_CLOCK_LEAD


def require_not_in_future(quotes: Sequence[NewQuote], now: datetime) -> None:
    """Raise `Unprocessable` if a quote is more than 5 minutes in the future."""
    ahead = [quote.symbol for quote in quotes if is_in_future(quote, now)]
    if ahead:
        raise Unprocessable("as_of_in_future", f"`as_of` of {ahead[0]} is more than 5 minutes in the future.")


def newest_by_symbol(quotes: Sequence[NewQuote]) -> list[NewQuote]:
    """Return the newest quote of each symbol, sorted by symbol; of two quotes of the same time, the first."""
    newest: dict[str, NewQuote] = {}
    for quote in quotes:
        if quote.symbol not in newest or quote.as_of > newest[quote.symbol].as_of:
            newest[quote.symbol] = quote
    return [newest[symbol] for symbol in sorted(newest)]


def add_split(quote: Quote, split: Split) -> Quote:
    """Return the quote with the split added in order of time, or the same quote if the split is known.

    Raises `Conflict` if the day has a different split, `Unprocessable` above 200 splits.
    """
    same_day = [known for known in quote.splits if known.effective_at == split.effective_at]
    if same_day == [split]:
        return quote
    if same_day:
        raise Conflict("split_exists", "The symbol has a different split on the same day.")
    if len(quote.splits) >= MAX_SPLITS:
        raise Unprocessable("too_many_splits", f"A symbol has at most {MAX_SPLITS} splits.")
    splits = sorted((*quote.splits, split), key=lambda known: known.effective_at)
    return replace(quote, splits=tuple(splits), version=quote.version + 1)
