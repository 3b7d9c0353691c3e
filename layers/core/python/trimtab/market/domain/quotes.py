"""Quotes as sources report them: the newest quote of a symbol wins."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.contracts.quotes import UNNAMED
from trimtab.kernel.errors import Unprocessable

MAX_CLOCK_LEAD = timedelta(minutes=5)


class NewQuote(Struct, frozen=True):
    """The price of one unit of a symbol at a time, as a source reports it."""

    symbol: str
    price: Decimal
    as_of: datetime
    source: str = UNNAMED


def is_in_future(quote: NewQuote, now: datetime) -> bool:
    """Return True if the quote is more than 5 minutes in the future, beyond any error of a clock."""
    return quote.as_of > now + MAX_CLOCK_LEAD


def require_not_in_future(quotes: Sequence[NewQuote], now: datetime) -> None:
    """Raise `Unprocessable` if a quote is more than 5 minutes in the future."""
    ahead = [quote.symbol for quote in quotes if is_in_future(quote, now)]
    if ahead:
        raise Unprocessable("as_of_in_future", f"`as_of` of {ahead[0]} is more than 5 minutes in the future.")


def newest_by_symbol(quotes: Sequence[NewQuote]) -> list[NewQuote]:
    """Return the newest quote of each symbol, sorted by symbol.

    Of two quotes of the same time the later one counts if both are from the same source, else the first.
    """
    newest: dict[str, NewQuote] = {}
    for quote in quotes:
        known = newest.get(quote.symbol)
        is_correction = known is not None and (known.as_of, known.source) == (quote.as_of, quote.source)
        if known is None or quote.as_of > known.as_of or is_correction:
            newest[quote.symbol] = quote
    return [newest[symbol] for symbol in sorted(newest)]
