"""Exposure: what part of a portfolio is in which sector. It needs values of today and no history."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion, to_money

UNKNOWN = "Unknown"
"""The sector of what nobody has given one."""
CASH_SECTOR = "Cash"


class Position(Struct, frozen=True):
    """A holding and its value in money; None where nobody knows a price."""

    symbol: str
    value: Decimal | None


class Sector(Struct, frozen=True):
    """A sector's value in money, its weight in percent (4 places) and its symbols by name."""

    name: str
    value: Decimal
    weight: Decimal
    symbols: tuple[str, ...]


class Exposure(Struct, frozen=True):
    """The sectors of a portfolio, the largest first, and its value in money.

    Weights sum to exactly 100; all are zero where the portfolio is not worth more than nothing. `unvalued` names the
    holdings without a value: they are in their sector and count as nothing.
    """

    value: Decimal
    sectors: tuple[Sector, ...]
    unvalued: tuple[str, ...]


def exposure(positions: Iterable[Position], cash: Decimal, sectors: Mapping[str, str | None]) -> Exposure:
    """By sector: cash, where there is any, is in `Cash`; a symbol whose sector is missing or blank in `Unknown`."""
    values: dict[str, Decimal] = {}
    symbols: dict[str, list[str]] = {}
    unvalued = []
    for it in positions:
        name = " ".join((sectors.get(it.symbol) or "").split()) or UNKNOWN
        values[name] = values.get(name, ZERO) + (it.value or ZERO)
        symbols.setdefault(name, []).append(it.symbol)
        if it.value is None:
            unvalued.append(it.symbol)
    if cash:
        values[CASH_SECTOR] = values.get(CASH_SECTOR, ZERO) + cash
    total = sum(values.values(), ZERO)
    weights = apportion(HUNDRED, values, PERCENT_PLACES) if total > 0 else {}
    found = [
        Sector(name, to_money(value), weights.get(name, ZERO), tuple(sorted(symbols.get(name, ()))))
        for name, value in sorted(values.items(), key=lambda it: (-it[1], it[0]))
    ]
    return Exposure(to_money(total), tuple(found), tuple(sorted(unvalued)))
