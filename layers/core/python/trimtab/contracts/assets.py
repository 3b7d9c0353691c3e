"""What the platform knows of an asset, as the market context stores it and others read it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

Item = Mapping[str, Any]


class Sector(StrEnum):
    """The sectors of the Global Industry Classification Standard; `code` is the standard's own number."""

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
        """The number of the sector: 10 for energy, 60 for real estate."""
        return _CODES[self]

    @property
    def label(self) -> str:
        """As people write it."""
        return self.value.replace("_", " ").title()


_CODES = {sector: 10 + 5 * place for place, sector in enumerate(Sector)}


class AssetRecord(Struct, frozen=True):
    """An asset by its symbol. `sector` is None for what has none, as a fund of the whole market; an asset that is not
    `active` gets no bars any more."""

    symbol: str
    name: str
    asset_class: str
    sector: Sector | None
    currency: str
    exchange: str
    active: bool
    version: int


def asset_key(symbol: str) -> dict[str, str]:
    """Where the table `market` keeps it."""
    return {"pk": f"ASSET#{symbol}", "sk": "META"}


def sector_partition(sector: Sector | None) -> str:
    """The partition of the index `by_sector` that holds the sector's assets, or those without one."""
    return f"SECTOR#{sector or 'none'}"


def to_item(asset: AssetRecord) -> dict[str, Any]:
    """The asset as plain values."""
    return {
        **asset_key(asset.symbol),
        "by_sector_pk": sector_partition(asset.sector),
        "by_sector_sk": asset.symbol,
        "name": asset.name,
        "asset_class": asset.asset_class,
        "sector": asset.sector and asset.sector.value,
        "currency": asset.currency,
        "exchange": asset.exchange,
        "active": asset.active,
        "version": asset.version,
    }


def from_item(item: Item) -> AssetRecord:
    """The asset in plain values."""
    return AssetRecord(
        symbol=item["pk"].removeprefix("ASSET#"),
        name=item["name"],
        asset_class=item["asset_class"],
        sector=Sector(item["sector"]) if "sector" in item else None,
        currency=item["currency"],
        exchange=item["exchange"],
        active=item["active"],
        version=item["version"],
    )
