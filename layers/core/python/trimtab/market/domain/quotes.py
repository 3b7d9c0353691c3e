"""What the platform knows of symbols: the newest quote wins, a split is entered once for its day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.errors import Conflict, Unprocessable

MAX_CLOCK_LEAD = timedelta(minutes=5)
MAX_SPLITS = 200


class NewQuote(Struct, frozen=True):
    """A price of one unit of the symbol, and when it was true."""

    symbol: str
    price: Decimal
    as_of: datetime
    source: str | None


def is_ahead(quote: NewQuote, now: datetime) -> bool:
    """Whether its time lies more than 5 minutes ahead: no clock is that wrong."""
    return quote.as_of > now + MAX_CLOCK_LEAD


def require_not_ahead(quotes: Sequence[NewQuote], now: datetime) -> None:
    """`Unprocessable` where a quote lies ahead of now."""
    ahead = [quote.symbol for quote in quotes if is_ahead(quote, now)]
    if ahead:
        raise Unprocessable("as_of_in_future", f"The quote of {ahead[0]} lies more than 5 minutes ahead.")


def newest_by_symbol(quotes: Sequence[NewQuote]) -> list[NewQuote]:
    """The newest quote of each symbol, by name; of two of one instant the first."""
    newest: dict[str, NewQuote] = {}
    for quote in quotes:
        if quote.symbol not in newest or quote.as_of > newest[quote.symbol].as_of:
            newest[quote.symbol] = quote
    return [newest[symbol] for symbol in sorted(newest)]


def with_split(quote: Quote, split: Split) -> Quote:
    """With the split among its splits, by time; the same one again changes nothing, another one of its day is 409."""
    same_day = [it for it in quote.splits if it.effective_at == split.effective_at]
    if same_day == [split]:
        return quote
    if same_day:
        raise Conflict("split_exists", "Another split of the symbol is entered for this day.")
    if len(quote.splits) >= MAX_SPLITS:
        raise Unprocessable("too_many_splits", f"A symbol has at most {MAX_SPLITS} splits.")
    splits = sorted((*quote.splits, split), key=lambda it: it.effective_at)
    return replace(quote, splits=tuple(splits), version=quote.version + 1)
