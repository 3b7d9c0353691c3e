"""The newest quote of a symbol and its splits, as the market context stores them and others read them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, plain, to_places

Item = Mapping[str, Any]


class Split(Struct, frozen=True):
    """From this instant on, every `old` units of a symbol are `new` units."""

    effective_at: datetime
    new: Decimal
    old: Decimal

    def unit_price(self, price: Decimal) -> Decimal:
        """What one unit is worth by a price of before it."""
        return CONTEXT.divide(CONTEXT.multiply(price, self.old), self.new)

    def of(self, quantity: Decimal) -> Decimal:
        """What the quantity has become, 9 places."""
        return to_places(CONTEXT.divide(CONTEXT.multiply(quantity, self.new), self.old), QUANTITY_PLACES)


class Quote(Struct, frozen=True):
    """What is known of a symbol now: price and when it was true (None before the first quote), splits by time."""

    symbol: str
    price: Decimal | None = None
    as_of: datetime | None = None
    source: str | None = None
    splits: tuple[Split, ...] = ()
    version: int = 0


def quote_key(symbol: str) -> dict[str, str]:
    """Where the table `market` keeps it."""
    return {"pk": f"ASSET#{symbol}", "sk": "QUOTE"}


def to_item(quote: Quote) -> dict[str, Any]:
    """The quote as plain values."""
    return {
        **quote_key(quote.symbol),
        "price": None if quote.price is None else plain(quote.price),
        "as_of": quote.as_of and format_time(quote.as_of),
        "source": quote.source,
        "splits": ",".join(f"{format_time(it.effective_at)}|{plain(it.new)}|{plain(it.old)}" for it in quote.splits)
        or None,
        "version": quote.version,
    }


def from_item(item: Item) -> Quote:
    """The quote in plain values."""
    rows = [row.split("|") for row in item.get("splits", "").split(",") if row]
    return Quote(
        symbol=item["pk"].removeprefix("ASSET#"),
        price=Decimal(item["price"]) if "price" in item else None,
        as_of=parse_time(item["as_of"]) if "as_of" in item else None,
        source=item.get("source"),
        splits=tuple(Split(parse_time(at), Decimal(new), Decimal(old)) for at, new, old in rows),
        version=item["version"],
    )
