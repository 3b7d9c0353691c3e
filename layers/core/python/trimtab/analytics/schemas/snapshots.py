"""Answers about a portfolio at the newest prices: sectors and drift."""

from datetime import date, datetime
from typing import Any

from trimtab.analytics.service.analysis import SectorBreakdown
from trimtab.contracts.fields import Model
from trimtab.contracts.portfolios import PortfolioSnapshot
from trimtab.kernel.clock import format_time

SNAPSHOT_BASIS = "quantity_now_times_the_newer_of_quote_and_last_close"


class SectorView(Model):
    """A sector: value in money, weight in percent, symbols. `Unknown` holds the assets without a sector."""

    name: str
    value: str
    weight: str
    symbols: list[str]


class CloseView(Model):
    """A symbol valued at the close of a day, for lack of a newer quote."""

    symbol: str
    day: date


class SectorsView(Model):
    """A portfolio by sector, largest first.

    `as_of` is the time of the oldest price and `age_days` its age. Holdings are valued at their newest quote, except
    for `valued_at_close` (at a close); `unpriced` names holdings without any price, which count as zero. `observations`
    is the number of priced holdings.
    `other_currency` names holdings quoted in another currency: values are not converted.
    """

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
    sectors: list[SectorView]
    unpriced: list[str]


class DriftView(Model):
    """An asset's weight, target, drift and band edges in percent, and its value in money.

    `distance` is the distance to the nearer edge of the band in percentage points, below zero outside the band.
    """

    asset: str
    weight: str
    target: str
    drift: str
    lower: str
    upper: str
    distance: str
    value: str


class DriftsView(Model):
    """A portfolio against its target, at the newer of quote and last close of each holding.

    `as_of` is the time of the oldest price and `age_days` its age. `valued_at_close` names the holdings valued at a
    close, whose time is the end of its session; the others are valued at their newest quote. `observations` is the
    number of priced holdings. `drift` is half the sum of the absolute drifts in percent. Without a target, or where a
    holding has no price (`unpriced`), `drift` is null, `assets` is empty and `reason` is a code for the cause.
    """

    portfolio_id: str
    currency: str
    value: str
    method: str
    basis: str
    observations: int
    as_of: datetime | None
    age_days: int | None
    valued_at_close: list[CloseView]
    drift: str | None
    reason: str | None
    assets: list[DriftView]
    unpriced: list[str]


def sectors_view(sectors: SectorBreakdown) -> dict[str, Any]:
    """Return the members of a `SectorsView`."""
    exposure, snapshot = sectors.exposure, sectors.snapshot
    rows = [
        {
            "name": sector.name,
            "value": f"{sector.value:.2f}",
            "weight": f"{sector.weight:f}",
            "symbols": list(sector.symbols),
        }
        for sector in exposure.sectors
    ]
    return {
        **_shared_members(snapshot, "value_of_the_holdings_by_sector_and_cash"),
        "value": f"{exposure.value:.2f}",
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
            "value": f"{leg.value:.2f}",
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
        "value": f"{snapshot.value:.2f}",
        "method": method,
        "basis": SNAPSHOT_BASIS,
        "observations": len(snapshot.prices),
        "as_of": snapshot.as_of and format_time(snapshot.as_of),
        "age_days": snapshot.age_days,
        "valued_at_close": [{"symbol": symbol, "day": day.isoformat()} for symbol, day in closes],
    }
