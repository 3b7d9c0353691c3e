"""Where a portfolio stands now: its value at the newest prices, its weights, and how far each is from its band."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, to_money, to_places
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader, MarketPrice
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing import drift as plan
from trimtab.portfolios.rebalancing.drift import targets, tolerance_of
from trimtab.portfolios.rebalancing.valuation import Valuation, value


class LegStanding(Struct, frozen=True):
    """An asset's weight, its target and the edges of its band, in percents; money where it is worth something.

    `distance` is how many points it may still move to the nearer edge; below zero, how far it is outside.
    """

    asset: str
    weight: Decimal
    target: Decimal
    lower: Decimal
    upper: Decimal
    value: Decimal

    @property
    def drift(self) -> Decimal:
        """How far the weight is above its target; negative below it."""
        return self.weight - self.target

    @property
    def distance(self) -> Decimal:
        """Points to the nearer edge of the band."""
        return min(self.upper - self.weight, self.weight - self.lower)


class Standing(Struct, frozen=True):
    """A portfolio at the newest prices.

    `value` (money) counts what is priced; `values` has what each holding is worth, None where nobody knows a price of
    it. `as_of` is the time of the oldest price in it and `age_days` how many days ago that was, None where no price
    is. Legs are there only where there is a target and every holding has its price; `drift` is half of the sum of
    their distances, percent; where there is none, `reason` (one word a program can read) says why.
    """

    portfolio: Portfolio
    value: Decimal
    cash: Decimal
    quantities: Mapping[str, Decimal]
    prices: Mapping[str, MarketPrice]
    values: Mapping[str, Decimal | None]
    as_of: datetime | None
    age_days: int | None
    weights: Mapping[str, Decimal]
    legs: tuple[LegStanding, ...] = ()
    drift: Decimal | None = None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What is held and has no price."""
        return tuple(symbol for symbol, worth in self.values.items() if worth is None)

    @property
    def reason(self) -> str | None:
        """Why there is no drift."""
        if self.legs:
            return None
        if not self.portfolio.allocation:
            return "no_target"
        return "no_price" if self.unpriced else "nothing_held"


class Standings(Struct, frozen=True):
    """Portfolios as they stand now."""

    holdings: HoldingsReader

    def of(self, portfolio: Portfolio) -> Standing:
        """The standing, from one read of the quotes, and of the closes that are newer."""
        held = [quoted for quoted in self.holdings.read_holdings(portfolio) if quoted.holding.quantity]
        quantities = {quoted.holding.symbol: quoted.holding.quantity for quoted in held}
        prices = self.holdings.read_prices(held)
        valued = value(
            {symbol: quantities[symbol] for symbol in prices},
            {symbol: price.value for symbol, price in prices.items()},
            max(portfolio.cash or ZERO, ZERO),
        )
        legs = _legs(portfolio, valued) if portfolio.allocation and valued.total and len(prices) == len(held) else ()
        drift = sum((abs(leg.drift) for leg in legs), ZERO) / 2 if legs else None
        as_of = min((price.at for price in prices.values()), default=None)
        return Standing(
            portfolio,
            to_money(valued.total),
            to_money(valued.cash),
            quantities,
            prices,
            {symbol: to_money(valued.values[symbol]) if symbol in prices else None for symbol in quantities},
            as_of,
            None if as_of is None else (self.holdings.clock().date() - as_of.date()).days,
            valued.weights,
            legs,
            drift if drift is None else to_places(drift, PERCENT_PLACES),
        )


def _legs(portfolio: Portfolio, valued: Valuation) -> tuple[LegStanding, ...]:
    tolerance = tolerance_of(portfolio.policy)
    found = []
    for leg in plan.legs(valued.weights, targets(portfolio.allocation, portfolio.policy)):
        around = to_places(tolerance(leg), PERCENT_PLACES)
        edges = max(leg.target - around, ZERO), min(leg.target + around, HUNDRED)
        found.append(
            LegStanding(leg.asset, leg.drifted, leg.target, *edges, to_money(valued.values.get(leg.asset, ZERO)))
        )
    return tuple(found)
