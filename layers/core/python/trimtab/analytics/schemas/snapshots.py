"""Answers about a portfolio at the newest prices: sectors and drift."""

from datetime import date, datetime
from typing import Any

from trimtab.analytics.schemas.figures import money
from trimtab.analytics.service.analysis import SectorBreakdown
from trimtab.contracts.fields import Model
from trimtab.contracts.portfolios import PortfolioSnapshot
from trimtab.kernel.clock import format_time

SNAPSHOT_BASIS = "quantity_now_times_the_newer_of_quote_and_last_close"


class SectorView(Model):
    """A sector of a portfolio."""

    name: str
    """The name of the sector for people; `Unknown` for assets without a sector, `Cash` for cash. Example: `Health
    Care`"""
    value: str
    """The value in money. Example: `2400.00`"""
    weight: str
    """The part of the portfolio's value in percent, with 4 decimals. Example: `24.0000`"""
    symbols: list[str]
    """The symbols of the sector."""


class CloseView(Model):
    """A symbol valued at the close of a day, for lack of a newer quote."""

    symbol: str
    day: date
    """The day of the close. Example: `2026-11-20`"""


class SectorsView(Model):
    """A portfolio by sector."""

    portfolio_id: str
    currency: str
    value: str
    method: str
    basis: str
    observations: int
    as_of: datetime | None
    age_days: int | None
    valued_at_close: list[CloseView]
    other_currency: list[str]
    """The holdings quoted in another currency than the portfolio's; values are not converted."""
    sectors: list[SectorView]
    """The sectors, largest first."""
    unpriced: list[str]


class DriftView(Model):
    """An asset of a portfolio against its target."""

    asset: str
    """The symbol of the asset. Example: `AAPL`"""
    weight: str
    """The present weight in percent, with 4 decimals. Example: `31.2500`"""
    target: str
    """The target weight in percent. Example: `30.0000`"""
    drift: str
    """Weight less target in percentage points. Example: `1.2500`"""
    lower: str
    """The lower edge of the band in percent. Example: `25.0000`"""
    upper: str
    """The upper edge of the band in percent. Example: `35.0000`"""
    distance: str
    """The distance to the nearer edge of the band in percentage points, below zero outside the band. Example:
    `3.7500`"""
    value: str
    """The value of the asset in money. Example: `3125.00`"""


class DriftsView(Model):
    """A portfolio against its target, at the newer of quote and last close of each holding."""

    portfolio_id: str
    currency: str
    value: str
    """The value of the portfolio in money, cash included. Example: `10000.00`"""
    method: str
    basis: str
    observations: int
    """The number of holdings with a price. Example: `3`"""
    as_of: datetime | None
    """The time of the oldest price (UTC); null where no holding has a price."""
    age_days: int | None
    """The age of the oldest price in days; null where no holding has a price. Example: `0`"""
    valued_at_close: list[CloseView]
    """The holdings valued at a close for lack of a newer quote, with the day of the close."""
    drift: str | None
    """Half the sum of the absolute drifts in percent; null without a target, or where a holding has no price. Example:
    `1.2500`"""
    reason: str | None
    """The cause of a missing drift as a code: `no_target`, `no_price` or `nothing_held`; null with a drift. Example:
    `no_target`"""
    assets: list[DriftView]
    """The assets of target and holdings; empty without a drift."""
    unpriced: list[str]


def sectors_view(sectors: SectorBreakdown) -> dict[str, Any]:
    """Return the members of a `SectorsView`."""
    exposure, snapshot = sectors.exposure, sectors.snapshot
    currency = snapshot.portfolio.currency
    rows = [
        {
            "name": sector.name,
            "value": money(sector.value, currency),
            "weight": f"{sector.weight:f}",
            "symbols": list(sector.symbols),
        }
        for sector in exposure.sectors
    ]
    return {
        **_shared_members(snapshot, "value_of_the_holdings_by_sector_and_cash"),
        "value": money(exposure.value, currency),
        "other_currency": list(sectors.other_currency),
        "sectors": rows,
        "unpriced": list(exposure.unpriced),
    }


def drifts_view(snapshot: PortfolioSnapshot) -> dict[str, Any]:
    """Return the members of a `DriftsView`."""
    rows = [
        {
            "asset": leg.asset,
            **{name: f"{getattr(leg, name):f}" for name in ("weight", "target", "drift", "lower", "upper", "distance")},
            "value": money(leg.value, snapshot.portfolio.currency),
        }
        for leg in snapshot.legs
    ]
    return {
        **_shared_members(snapshot, "half_of_the_sum_of_all_distances_from_target"),
        "drift": None if snapshot.drift is None else f"{snapshot.drift:f}",
        "reason": snapshot.reason,
        "assets": rows,
        "unpriced": list(snapshot.unpriced),
    }


def _shared_members(snapshot: PortfolioSnapshot, method: str) -> dict[str, Any]:
    closes = [(symbol, price.close_day) for symbol, price in sorted(snapshot.prices.items()) if price.close_day]
    return {
        "portfolio_id": snapshot.portfolio.portfolio_id,
        "currency": snapshot.portfolio.currency,
        "value": money(snapshot.value, snapshot.portfolio.currency),
        "method": method,
        "basis": SNAPSHOT_BASIS,
        "observations": len(snapshot.prices),
        "as_of": snapshot.as_of and format_time(snapshot.as_of),
        "age_days": snapshot.age_days,
        "valued_at_close": [{"symbol": symbol, "day": day.isoformat()} for symbol, day in closes],
    }
