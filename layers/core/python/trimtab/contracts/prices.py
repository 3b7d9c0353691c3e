"""The price rule of every reader: the newest accepted price of a symbol, quote or close, in present units.

Orders are not planned by this rule: they need a fresh quote.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.sessions import session_close


class AssetPrice(Struct, frozen=True):
    """The price of one unit in money, the time of the price (UTC), and the source of the quote or bar.

    `close_day` is set where the price is the close of a day.
    """

    value: Decimal
    at: datetime
    source: str | None = None
    close_day: date | None = None

    def adjust_for_splits(self, splits: Sequence[Split], now: datetime) -> "AssetPrice":
        """Return the price of one unit at `now`: the splits between the time of the price and `now` are applied.

        >>> from datetime import UTC
        >>> january = lambda day: datetime(2026, 1, day, tzinfo=UTC)
        >>> four_for_one = Split(january(6), Decimal(4), Decimal(1))
        >>> AssetPrice(Decimal(100), january(5)).adjust_for_splits([four_for_one], january(7)).value
        Decimal('25')
        """
        value = self.value
        for split in splits:
            if self.at < split.effective_at <= now:
                value = split.unit_price(value)
        return replace(self, value=value)


def quote_price(quote: Quote | None) -> AssetPrice | None:
    """Return the accepted price of a quote, None before the first; a held price is not used."""
    if quote is None or quote.price is None or quote.as_of is None:
        return None
    return AssetPrice(quote.quote_unit.unit_price(quote.price), quote.as_of, quote.source)


def close_price(bar: Bar, exchange: str | None) -> AssetPrice:
    """Return the close of a bar at the end of its session on the exchange.

    >>> bar = Bar("AAPL", date(2026, 12, 24), *[Decimal(100)] * 5, None, None, None, "file", 1)
    >>> close_price(bar, "XNAS").at.isoformat()  # an early close
    '2026-12-24T18:00:00+00:00'
    """
    return AssetPrice(bar.unit_close, session_close(exchange, bar.day), bar.source, bar.day)


def newest_price(quote: Quote | None, close: AssetPrice | None, now: datetime) -> AssetPrice | None:
    """Return the newer of quote and close per unit at `now`, the quote if both have the same time; None without either.

    >>> from datetime import UTC
    >>> january = lambda day, hour=0: datetime(2026, 1, day, hour, tzinfo=UTC)
    >>> four_for_one = Split(january(7, 15), Decimal(4), Decimal(1))
    >>> quote = Quote("AAPL", Decimal(100), january(5, 20), "feed", (four_for_one,))
    >>> newest_price(quote, None, january(7, 14)).value, newest_price(quote, None, january(7, 16)).value
    (Decimal('100'), Decimal('25'))
    """
    prices = [price for price in (quote_price(quote), close) if price is not None]
    if not prices:
        return None
    newest = max(prices, key=lambda price: price.at)
    return newest.adjust_for_splits(quote.splits if quote else (), now)
