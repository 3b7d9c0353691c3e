"""Quotes and splits: the read model that the market context stores and other contexts read."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, count_decimals, to_places

UNNAMED = "unnamed"
"""The source of a quote that names no source."""


class Split(Struct, frozen=True, omit_defaults=True):
    """A split: from `effective_at` on, every `old` units of a symbol become `new` units.

    `revision` counts from 1; an amendment or a withdrawal is the next revision. A withdrawn split stays with the symbol
    as a split of 1 for 1, so that holdings that include an earlier revision are recomputed.

    >>> from datetime import UTC
    >>> split = Split(datetime(2026, 6, 1, tzinfo=UTC), new=Decimal(4), old=Decimal(1))
    >>> split.of(Decimal(10)), split.unit_price(Decimal(200))
    (Decimal('40.000000000'), Decimal('50'))
    """

    effective_at: datetime
    new: Decimal
    old: Decimal
    revision: int = 1

    @property
    def is_withdrawn(self) -> bool:
        """True for a split that was withdrawn and changes nothing."""
        return self.new == self.old

    def unit_price(self, price: Decimal) -> Decimal:
        """Return a price before the split in terms of one unit after the split."""
        return CONTEXT.divide(CONTEXT.multiply(price, self.old), self.new)

    def of(self, quantity: Decimal) -> Decimal:
        """Return a quantity before the split in units after the split, rounded to its decimals, at least to 9."""
        places = max(QUANTITY_PLACES, count_decimals(quantity))
        return to_places(CONTEXT.divide(CONTEXT.multiply(quantity, self.new), self.old), places)


class HoldReason(StrEnum):
    """The reasons for holding a price."""

    PRICE_JUMP = "price_jump"
    SPLIT_CONTRADICTED = "split_contradicted"


class AcceptedPrice(Struct, frozen=True):
    """A price that was accepted as the quote of a symbol at some time."""

    price: Decimal
    as_of: datetime
    source: str


class HeldPrice(Struct, frozen=True):
    """An implausible price that is not used until a person or other market data confirm the price.

    `expected` is the accepted price that the held price was compared with, per unit after all splits;
    `change_percent` is the distance from `expected` in percent. `held_at` is the time at which the episode began.
    """

    price: Decimal
    as_of: datetime
    source: str
    reason: HoldReason
    expected: Decimal
    change_percent: Decimal
    held_at: datetime

    def as_accepted(self) -> AcceptedPrice:
        """Return the price as if the price were accepted."""
        return AcceptedPrice(self.price, self.as_of, self.source)


class AcceptedRange(Struct, frozen=True):
    """The prices that are plausible without a further look at the market, for quotes before the time `until`.

    Both bounds are sortable texts (`sortable_price`), so that the condition of a write compares them.
    """

    low: str
    high: str
    until: datetime


class Quote(Record, frozen=True):
    """The newest accepted price of a symbol and its time (both None before the first quote), and all splits.

    `splits` are ordered by time, the withdrawn ones included. `stored_at` is the time at which Trimtab stored the
    price, on Trimtab's own clock.
    `held` is a later price that is not used because it is implausible; while a price is held, no order is sent for the
    symbol. `previous` is the accepted price before the quote. `withdrawn` is the newest price that was withdrawn or
    corrected, and is not accepted again. `accepted_range` is None if the next price has to be judged in full. Prices
    are in `quote_unit`.
    """

    symbol: str
    price: Decimal | None = None
    as_of: datetime | None = None
    source: str | None = None
    splits: tuple[Split, ...] = ()
    stored_at: datetime | None = None
    held: HeldPrice | None = None
    previous: AcceptedPrice | None = None
    withdrawn: AcceptedPrice | None = None
    accepted_range: AcceptedRange | None = None
    quote_unit: QuoteUnit = QuoteUnit.MONEY

    @property
    def is_in_percent(self) -> bool:
        """True where prices are percent of the nominal value, which no order can be planned at."""
        return self.quote_unit is QuoteUnit.PERCENT

    @property
    def is_in_new_units(self) -> bool:
        """True for the first price after a split, and while no price was accepted since a change of the splits."""
        if self.as_of is None or self.accepted_range is None:
            return True
        before = self.previous.as_of if self.previous else self.as_of
        return any(before < split.effective_at <= self.as_of for split in self.splits)

    @property
    def accepted(self) -> AcceptedPrice | None:
        """The accepted price, None before the first quote."""
        if self.price is None or self.as_of is None:
            return None
        return AcceptedPrice(self.price, self.as_of, self.source or UNNAMED)

    def to_item(self) -> dict[str, Any]:
        """Return the quote as plain values, with the keys of the table `market`."""
        return {
            **to_attributes(self),
            "quote_unit": self.quote_unit.stored,
            **quote_key(self.symbol),
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Quote":
        """Return the quote of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return from_attributes(item, cls)
            case version:
                raise UnknownForm("quote", version)


class StoredPrice(Struct, frozen=True):
    """The valid price of one unit, and the version of the quote in which the price is stored.

    `is_in_new_units` is True for the first price after a split and after a change of the splits: every watch of the
    symbol has to be evaluated again, because bounds and quantities were those of other units.
    """

    price: Decimal
    version: int
    is_in_new_units: bool = False


def quote_key(symbol: str) -> dict[str, str]:
    """Return the key of the quote of a symbol in the table `market`."""
    return {"pk": f"ASSET#{symbol}", "sk": "QUOTE"}
