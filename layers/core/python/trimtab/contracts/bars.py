"""The daily bars of an asset, as the market context stores them and others read them."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.kernel.money import plain

Item = Mapping[str, Any]
FORM = "BAR#"


class Bar(Struct, frozen=True):
    """What one unit cost on a trading day, as it was traded: splits are not worked into it, they stand with the quote.

    `volume` is in units. `pre_market` and `after_hours` are the prices before the session opened and after it closed,
    None where the source does not tell. `revision` counts from 1: a bar that the source corrected is a new one.
    """

    symbol: str
    day: date
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    vwap: Decimal | None
    pre_market: Decimal | None
    after_hours: Decimal | None
    source: str
    revision: int


NUMBERS = ("open", "high", "low", "close", "volume", "vwap", "pre_market", "after_hours")
"""The members that are numbers; the last three may be None."""


def bar_key(symbol: str, day: date) -> dict[str, str]:
    """Where the table `market` keeps it; the sort keys of a symbol's bars sort as their days do."""
    return {"pk": f"ASSET#{symbol}", "sk": f"{FORM}{day.isoformat()}"}


def to_item(bar: Bar) -> dict[str, Any]:
    """The bar as plain values."""
    numbers = {name: getattr(bar, name) for name in NUMBERS}
    return {
        **bar_key(bar.symbol, bar.day),
        **{name: None if number is None else plain(number) for name, number in numbers.items()},
        "source": bar.source,
        "revision": bar.revision,
    }


def from_item(item: Item) -> Bar:
    """The bar in plain values."""
    return Bar(
        symbol=item["pk"].removeprefix("ASSET#"),
        day=date.fromisoformat(item["sk"].removeprefix(FORM)),
        open=Decimal(item["open"]),
        high=Decimal(item["high"]),
        low=Decimal(item["low"]),
        close=Decimal(item["close"]),
        volume=Decimal(item["volume"]),
        vwap=_optional(item, "vwap"),
        pre_market=_optional(item, "pre_market"),
        after_hours=_optional(item, "after_hours"),
        source=item["source"],
        revision=item["revision"],
    )


def _optional(item: Item, name: str) -> Decimal | None:
    return Decimal(item[name]) if name in item else None
