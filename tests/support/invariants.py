"""Invariants of every portfolio once all queues are empty, computed independently of the code under test."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.support.many_portfolios import ManyPortfolios
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.portfolios.balancing.order_planner import OrderPlan, plan_orders
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Band, BandType
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.valuation import value

REASONS = {"nothing_to_trade", "awaiting_quote"}
"""Rules by which a portfolio may stand out of its band."""


def is_within(portfolio: Portfolio, prices: Mapping[str, Decimal]) -> bool:
    """Return whether every weight is within its band and the drift below its limit, in exact fractions."""
    policy = portfolio.policy
    values = {name: Fraction(holding.quantity) * Fraction(prices[name]) for name, holding in portfolio.holdings.items()}
    total = sum(values.values()) + Fraction(portfolio.cash or 0)
    invested = 1 - Fraction(policy.cash_target) / 100
    targets = {name: Fraction(weight) * invested for name, weight in portfolio.allocation.items()}
    drifts = {name: values.get(name, 0) * 100 / total - targets.get(name, 0) for name in {*values, *targets}}
    of_cash = Fraction(portfolio.cash or 0) * 100 / total - Fraction(policy.cash_target)
    rounding = Fraction(1, 5_000)  # weights and targets have 4 places
    inside = (
        abs(each) <= _tolerance(policy.price_band, targets.get(name, 0)) + rounding for name, each in drifts.items()
    )
    for_cash = max(_tolerance(policy.price_band, policy.cash_target), Fraction(policy.cash_buffer) + 1)
    if not all(inside) or abs(of_cash) > for_cash + rounding:
        return False
    drift = (sum(map(abs, drifts.values())) + abs(of_cash)) / 2
    return policy.total_drift is None or drift <= Fraction(policy.total_drift) + rounding


def _tolerance(band: Band, target: Fraction | Decimal | int) -> Fraction:
    share = Fraction(target) * Fraction(band.value) / 100
    return {
        BandType.ABSOLUTE: Fraction(band.value),
        BandType.RELATIVE: share,
        BandType.HYBRID: max(share, Fraction(band.points)),
    }[band.type]


def worth(portfolio: Portfolio, prices: Mapping[str, Decimal]) -> Decimal:
    """Return the value of the portfolio."""
    return sum(
        (each.quantity * prices[name] for name, each in portfolio.holdings.items()), portfolio.cash or Decimal(0)
    )


def count_by_reason(market: ManyPortfolios, before: list[Portfolio], orders: int) -> dict[str, int]:
    """Count the portfolios after a wave of price changes: within their band, or outside for a recorded reason."""
    stands: dict[str, int] = {}
    lost = Decimal(0)
    for number, was in enumerate(before):
        portfolio = market.portfolio(number)
        assert (portfolio.status, portfolio.lock, portfolio.watch_state.cause) == (PortfolioStatus.ACTIVE, None, None)
        assert portfolio.watch_state.epoch_started == portfolio.watch_state.epoch_done
        assert portfolio.cash is not None
        assert portfolio.cash >= 0
        assert all(holding.quantity >= 0 for holding in portfolio.holdings.values())
        lost += abs(worth(portfolio, market.prices) - worth(was, market.prices))
        rule = "within_band"
        if not is_within(portfolio, market.prices):
            rule, facts = market.last_check(number)
            assert rule in REASONS, (number, rule)
            assert rule != "awaiting_quote" or is_explained(market.newest(number), market.prices), number
            if rule == "nothing_to_trade":
                assert not plan_at(portfolio, market.prices).cured, number
            else:
                assert all(at == market.prices[name] for name, at in seen(facts, portfolio).items()), number
        stands[rule] = stands.get(rule, 0) + 1
    assert lost <= Decimal("0.005") * orders, "a fill is rounded to the cent, and nothing else is lost or won"
    return stands


def plan_at(portfolio: Portfolio, prices: Mapping[str, Decimal]) -> OrderPlan:
    """Return the plan of the portfolio at these prices."""
    quantities = {name: holding.quantity for name, holding in portfolio.holdings.items() if holding.quantity}
    known = {name: prices[name] for name in {*quantities, *portfolio.allocation}}
    valuation = value(quantities, known, portfolio.cash or Decimal(0))
    return plan_orders(valuation, portfolio.allocation, portfolio.policy, portfolio.policy.mode)


def is_explained(newest: Rebalance | None, prices: Mapping[str, Decimal]) -> bool:
    """Return whether a rebalance that ended out of band names what was not traded and why.

    The rebalance was planned at these prices; a price during the rebalance would have been checked afterwards.
    """
    assert newest is not None
    assert newest.reason is not None
    facts = newest.reason.details
    if any(Decimal(price) != prices[symbol] for symbol, price in facts["prices"].items()):
        return False
    return newest.status is RebalanceStatus.COMPLETED and not facts["within_band_after"] and bool(facts["skipped"])


def seen(facts: dict[str, Any], portfolio: Portfolio) -> dict[str, Decimal]:
    """Return the prices that a check used."""
    return {name: Decimal(price) for name, price in facts["prices"].items() if name in portfolio.holdings}
