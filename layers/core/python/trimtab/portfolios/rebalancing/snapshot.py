"""Portfolio snapshot: value at the newest prices, weights, and the distance of each weight from its band."""

from decimal import Decimal

from msgspec import Struct

from trimtab.contracts.portfolios import (
    NoDriftReason,
    PortfolioSnapshot,
    PortfolioSummary,
    SnapshotLeg,
)
from trimtab.kernel.currencies import round_money
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, to_places
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader, value_holdings
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.summary import summarise
from trimtab.portfolios.rebalancing.drift import compare_weights, policy_tolerance, target_weights
from trimtab.portfolios.rebalancing.valuation import Valuation, value


class PortfolioReader(Struct, frozen=True):
    """Reader of portfolios for other contexts."""

    store: PortfolioStore
    holdings: HoldingsReader

    def summary(self, tenant_id: str, portfolio_id: str) -> PortfolioSummary | None:
        """Return the summary of a portfolio; None where there is no such portfolio."""
        portfolio = self.store.portfolio(tenant_id, portfolio_id)
        return summarise(portfolio) if portfolio else None

    def snapshot(self, tenant_id: str, portfolio_id: str) -> PortfolioSnapshot | None:
        """Return the snapshot of a portfolio, from one read of the quotes and of newer closes."""
        portfolio = self.store.portfolio(tenant_id, portfolio_id)
        return take_snapshot(portfolio, self.holdings) if portfolio else None


def take_snapshot(portfolio: Portfolio, holdings: HoldingsReader) -> PortfolioSnapshot:
    """Return the snapshot of a portfolio at the newest prices."""
    held = [priced for priced in holdings.read_holdings(portfolio) if priced.holding.quantity]
    quantities = {priced.holding.symbol: priced.holding.quantity for priced in held}
    prices = {priced.holding.symbol: priced.price for priced in held if priced.price is not None}
    market = value_holdings(held, portfolio.cash)
    valued = value(
        {symbol: quantities[symbol] for symbol in prices},
        {symbol: price.value for symbol, price in prices.items()},
        portfolio.cash or ZERO,
        portfolio.currency,
    )
    is_priced = len(prices) == len(held)
    legs = _legs(portfolio, valued) if portfolio.allocation and valued.weights and is_priced else ()
    drift = to_places(sum((abs(leg.drift) for leg in legs), ZERO) / 2, PERCENT_PLACES)
    return PortfolioSnapshot(
        portfolio=summarise(portfolio),
        value=market.value,
        cash=portfolio.cash or ZERO,
        quantities=quantities,
        prices=prices,
        values={priced.holding.symbol: priced.market_value for priced in held},
        as_of=market.as_of,
        age_days=None if market.as_of is None else (holdings.clock().date() - market.as_of.date()).days,
        legs=legs,
        drift=drift if legs else None,
        reason=None if legs else _no_drift_reason(portfolio, is_priced),
    )


def _no_drift_reason(portfolio: Portfolio, is_priced: bool) -> NoDriftReason:
    if not portfolio.allocation:
        return NoDriftReason.NO_TARGET
    return NoDriftReason.NOTHING_HELD if is_priced else NoDriftReason.NO_PRICE


def _legs(portfolio: Portfolio, valued: Valuation) -> tuple[SnapshotLeg, ...]:
    tolerance = policy_tolerance(portfolio.policy)
    found = []
    for leg in compare_weights(valued.weights, target_weights(portfolio.allocation, portfolio.policy)):
        width = to_places(tolerance(leg), PERCENT_PLACES)
        edges = max(leg.target - width, ZERO), min(leg.target + width, HUNDRED)
        held: Decimal = round_money(valued.values.get(leg.asset, ZERO), portfolio.currency)
        found.append(SnapshotLeg(leg.asset, leg.weight, leg.target, *edges, held))
    return tuple(found)
