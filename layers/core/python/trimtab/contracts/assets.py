"""The reference data of assets: the read model that the market context stores and other contexts read."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.money import CONTEXT, HUNDRED, QUANTITY_PLACES, plain

MAX_JUMP_PERCENT = Decimal(40)
"""The largest plausible change between two prices, in percent, for assets without a limit of their own."""
_OFF = "off"
"""The stored limit of an asset without a limit: an absent attribute means the default."""


class Sector(StrEnum):
    """The sectors of the Global Industry Classification Standard (GICS)."""

    ENERGY = "energy"
    MATERIALS = "materials"
    INDUSTRIALS = "industrials"
    CONSUMER_DISCRETIONARY = "consumer_discretionary"
    CONSUMER_STAPLES = "consumer_staples"
    HEALTH_CARE = "health_care"
    FINANCIALS = "financials"
    INFORMATION_TECHNOLOGY = "information_technology"
    COMMUNICATION_SERVICES = "communication_services"
    UTILITIES = "utilities"
    REAL_ESTATE = "real_estate"

    @property
    def code(self) -> int:
        """The code of the sector in the standard: 10 for energy, 60 for real estate."""
        return _CODES[self]

    @property
    def label(self) -> str:
        """The name of the sector for people: `Health Care`."""
        return self.value.replace("_", " ").title()


_CODES = {sector: 10 + 5 * place for place, sector in enumerate(Sector)}


class QuoteUnit(StrEnum):
    """The units in which prices of an asset are quoted: money for one unit, or percent of the nominal value.

    A bond is held in units of nominal value: 10,000 of nominal value at 98.5 percent are worth 9,850.
    """

    MONEY = "money"
    PERCENT = "percent"

    @property
    def stored(self) -> str | None:
        """The stored value: None for money, which is left out."""
        return None if self is QuoteUnit.MONEY else self.value

    def unit_price(self, price: Decimal) -> Decimal:
        """Return the price of one unit in money.

        >>> QuoteUnit.PERCENT.unit_price(Decimal("98.5"))
        Decimal('0.985')
        """
        return CONTEXT.divide(price, HUNDRED) if self is QuoteUnit.PERCENT else price


class AssetRecord(Record, frozen=True):
    """The reference data of an asset. `sector` is None for assets without a sector, such as a fund of the whole market.

    Daily bars are ingested for `active` assets only. Orders are sent for assets that are `active` and not `halted`.
    `max_jump_percent` is the largest plausible change between two prices of the asset; None accepts every change.
    `quote_unit` is the unit of all quotes and bars of the asset. Quantities have up to `quantity_places` decimals.
    """

    symbol: str
    name: str
    asset_class: str
    sector: Sector | None
    currency: str
    exchange: str
    active: bool
    halted: bool = False
    max_jump_percent: Decimal | None = MAX_JUMP_PERCENT
    quote_unit: QuoteUnit = QuoteUnit.MONEY
    quantity_places: int = QUANTITY_PLACES

    def to_item(self) -> dict[str, Any]:
        """Return the asset as plain values, with the keys of the table `market`."""
        limit = self.max_jump_percent
        changed_limit = None if limit == MAX_JUMP_PERCENT else _OFF if limit is None else plain(limit)
        return {
            **to_attributes(self),
            "halted": self.halted or None,
            "max_jump_percent": changed_limit,
            "quote_unit": self.quote_unit.stored,
            "quantity_places": None if self.quantity_places == QUANTITY_PLACES else self.quantity_places,
            **asset_key(self.symbol),
            "by_sector_pk": sector_partition(self.sector),
            "by_sector_sk": self.symbol,
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "AssetRecord":
        """Return the asset of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                limit = item.get("max_jump_percent", MAX_JUMP_PERCENT)
                members = {"sector": None, **item, "max_jump_percent": None if limit == _OFF else limit}
                return from_attributes(members, cls)
            case version:
                raise UnknownForm("asset", version)


def asset_key(symbol: str) -> dict[str, str]:
    """Return the key of an asset in the table `market`."""
    return {"pk": f"ASSET#{symbol}", "sk": "META"}


def sector_partition(sector: Sector | None) -> str:
    """Return the partition of the index `by_sector` with the assets of a sector, or with the assets of no sector."""
    return f"SECTOR#{sector or 'none'}"
