"""Portfolios as other contexts read them: identity and state, the ledger over time, the snapshot at the newest prices.

The portfolios context produces these values; nothing here is stored.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from trimtab.contracts.prices import AssetPrice
from trimtab.kernel.money import ZERO


class PortfolioStatus(StrEnum):
    """ACTIVE; CLOSED: readable, and ACTIVE again once the portfolio is created again; STALE: holdings are uncertain.

    A STALE portfolio is readable and refuses trades and rebalances until an operator has resolved the holdings.
    """

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"
    STALE = "STALE"


class PortfolioSummary(Struct, frozen=True):
    """Identity, owner and state of a portfolio.

    `cash` is money in `currency`, None where cash is not tracked. `version` counts the writes to the portfolio.
    """

    tenant_id: str
    portfolio_id: str
    user_id: str
    name: str
    currency: str
    cash: Decimal | None
    status: PortfolioStatus
    version: int
    created_at: datetime


class LedgerTrade(Struct, frozen=True):
    """An executed trade, or a movement of units without a trade.

    `quantity` is in shares, above zero where units come in and below zero where units go out; zero for a return of
    capital. `amount` is the gross money, or the stated cost of units that come in without a trade; zero without either.
    `proceeds` is the money received (above zero) or paid (below zero), fees included; zero where no cash moves.
    `moves_cash` is False where the trade was paid from outside, by the portfolio's rule of cash. `is_transfer` is True
    where the owner moved the units from or to another account. `fees` are money, part of `proceeds`.
    """

    ref_id: str
    symbol: str
    quantity: Decimal
    amount: Decimal
    proceeds: Decimal
    executed_at: datetime
    moves_cash: bool
    is_transfer: bool = False
    fees: Decimal = ZERO


class CashMovement(Struct, frozen=True):
    """Tracked cash that came in (`amount` above zero) or went out (below zero), in money.

    Deposits, withdrawals and the opening cash are external; dividends, interest, fees and taxes are not, and are told
    apart by `type`, which is empty for the opening cash.
    """

    at: datetime
    amount: Decimal
    is_external: bool
    type: str = ""


class SnapshotLeg(Struct, frozen=True):
    """One asset of a snapshot: weight, target and both edges of the band in percent; value in money."""

    asset: str
    weight: Decimal
    target: Decimal
    lower: Decimal
    upper: Decimal
    value: Decimal

    @property
    def drift(self) -> Decimal:
        """Weight less target, in percentage points."""
        return self.weight - self.target

    @property
    def distance(self) -> Decimal:
        """Percentage points to the nearer edge of the band; below zero outside the band."""
        return min(self.upper - self.weight, self.weight - self.lower)


class NoDriftReason(StrEnum):
    """The reason why a snapshot has no drift."""

    NO_TARGET = "no_target"
    NO_PRICE = "no_price"
    NOTHING_HELD = "nothing_held"


class PortfolioSnapshot(Struct, frozen=True):
    """A portfolio at the newest known prices.

    `value` and `cash` are money; `value` is the sum of cash and of the values of the priced holdings. `quantities`,
    `prices` and `values` are keyed by symbol; a holding without a known price has no entry in `prices` and None in
    `values`. `as_of` is the time of the oldest price and `age_days` the age of that price in days; both are None where
    no holding is priced. `legs` and `drift` (half the sum of the absolute drifts, in percent) exist only where the
    portfolio has a target and every holding has a price; otherwise `reason` is set.
    """

    portfolio: PortfolioSummary
    value: Decimal
    cash: Decimal
    quantities: Mapping[str, Decimal]
    prices: Mapping[str, AssetPrice]
    values: Mapping[str, Decimal | None]
    as_of: datetime | None
    age_days: int | None
    legs: tuple[SnapshotLeg, ...] = ()
    drift: Decimal | None = None
    reason: NoDriftReason | None = None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Symbols of the holdings without a known price."""
        return tuple(symbol for symbol, value in self.values.items() if value is None)
