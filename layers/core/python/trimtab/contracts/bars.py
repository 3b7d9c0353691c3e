"""Daily bars: the read model that the market context stores and other contexts read."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, from_attributes, to_attributes

BAR_PREFIX = "BAR#"
NUMBERS = ("open", "high", "low", "close", "volume", "vwap", "pre_market", "after_hours", "dividend")
"""The numeric members of a bar; the last four may be None."""


class Bar(Struct, frozen=True):
    """The prices of one unit of an asset on a trading day, unadjusted: splits are stored with the quote.

    `volume` is in units. `pre_market` and `after_hours` are prices outside the session, None if the source has none.
    `dividend` is the cash dividend of one unit with this ex-day. `revision` counts from 1; a correction by the source
    is the next revision. Prices and dividend are in `quote_unit`.
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
    dividend: Decimal | None = None
    quote_unit: QuoteUnit = QuoteUnit.MONEY

    @property
    def unit_close(self) -> Decimal:
        """The close of one unit in money."""
        return self.quote_unit.unit_price(self.close)

    def to_item(self) -> dict[str, Any]:
        """Return the bar as plain values, with the keys of the table `market`."""
        return {**to_attributes(self), "quote_unit": self.quote_unit.stored, **bar_key(self.symbol, self.day), FORM: 1}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Bar":
        """Return the bar of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return from_attributes({"vwap": None, "pre_market": None, "after_hours": None, **item}, cls)
            case version:
                raise UnknownForm("bar", version)


def bar_key(symbol: str, day: date) -> dict[str, str]:
    """Return the key of a bar in the table `market`; the sort keys of a symbol sort by day."""
    return {"pk": f"ASSET#{symbol}", "sk": f"{BAR_PREFIX}{day.isoformat()}"}
