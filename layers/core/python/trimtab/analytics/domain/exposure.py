"""Sector exposure: the share of a portfolio in each sector. Computed from current values only."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion

UNKNOWN = "Unknown"
"""The sector of an asset without a sector."""
CASH_SECTOR = "Cash"


class HoldingValue(Struct, frozen=True):
    """A holding and its value in money; None where no price is known."""

    symbol: str
    value: Decimal | None


class SectorWeight(Struct, frozen=True):
    """A sector's value in money, its weight in percent (4 places) and its symbols in alphabetical order."""

    name: str
    value: Decimal
    weight: Decimal
    symbols: tuple[str, ...]


class SectorExposure(Struct, frozen=True):
    """The sectors of a portfolio, largest first, and the total value in money.

    Weights sum to exactly 100; all are zero where the total is not above zero. `unpriced` names the holdings without a
    value: each is listed in its sector and counts as zero.
    """

    value: Decimal
    sectors: tuple[SectorWeight, ...]
    unpriced: tuple[str, ...]


def compute_sector_exposure(
    holdings: Iterable[HoldingValue], cash: Decimal, sectors: Mapping[str, str | None]
) -> SectorExposure:
    """Return the exposure by sector; `sectors` maps symbols to sector names.

    A missing or blank sector name counts as `Unknown`; cash other than zero is the sector `Cash`.

    >>> held = [HoldingValue("AAPL", Decimal(60)), HoldingValue("XOM", Decimal(20))]
    >>> found = compute_sector_exposure(held, Decimal(20), {"AAPL": "Technology"})
    >>> [(sector.name, str(sector.weight)) for sector in found.sectors]
    [('Technology', '60.0000'), ('Cash', '20.0000'), ('Unknown', '20.0000')]
    """
    values: dict[str, Decimal] = {}
    symbols: dict[str, list[str]] = {}
    unpriced = []
    for holding in holdings:
        name = " ".join((sectors.get(holding.symbol) or "").split()) or UNKNOWN
        values[name] = values.get(name, ZERO) + (holding.value or ZERO)
        symbols.setdefault(name, []).append(holding.symbol)
        if holding.value is None:
            unpriced.append(holding.symbol)
    if cash:
        values[CASH_SECTOR] = values.get(CASH_SECTOR, ZERO) + cash
    total = sum(values.values(), ZERO)
    weights = apportion(HUNDRED, values, PERCENT_PLACES) if total > 0 else {}
    found = [
        SectorWeight(name, value, weights.get(name, ZERO), tuple(sorted(symbols.get(name, ()))))
        for name, value in sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))
    ]
    return SectorExposure(total, tuple(found), tuple(sorted(unpriced)))
