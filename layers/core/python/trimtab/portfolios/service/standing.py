"""Where a portfolio stands now: its value at the newest quotes, its weights, and how far each is from its band."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trimtab.contracts.quotes import Quote
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, to_money, to_places
from trimtab.portfolios.domain import plan
from trimtab.portfolios.domain.planning import targets, tolerance_of
from trimtab.portfolios.domain.portfolio import Portfolio
from trimtab.portfolios.domain.valuation import Valuation, value
from trimtab.portfolios.service.holdings import Holdings


@dataclass(frozen=True, slots=True)
class LegStanding:
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


@dataclass(frozen=True, slots=True)
class Standing:
    """A portfolio at the newest quotes.

    `value` (money) counts what is priced; `values` has what each holding is worth, None where it has no quote. `as_of`
    is the time of the oldest quote in it, None where no quote is. Legs are there only where there is a target and every
    holding has its price; `drift` is half of the sum of their distances, percent.
    """

    portfolio: Portfolio
    value: Decimal
    cash: Decimal
    values: Mapping[str, Decimal | None]
    as_of: datetime | None
    weights: Mapping[str, Decimal]
    legs: tuple[LegStanding, ...] = ()
    drift: Decimal | None = None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What is held and has no quote."""
        return tuple(symbol for symbol, worth in self.values.items() if worth is None)


@dataclass(frozen=True, slots=True)
class Standings:
    """Portfolios as they stand now."""

    holdings: Holdings

    def of(self, portfolio: Portfolio) -> Standing:
        """The standing, from one read of the quotes."""
        held = {it.holding.symbol: it for it in self.holdings.positions(portfolio) if it.holding.quantity}
        priced = {symbol: it.quote for symbol, it in held.items() if it.quote and it.quote.price}
        valued = value(
            {symbol: held[symbol].holding.quantity for symbol in priced},
            {symbol: quote.price for symbol, quote in priced.items() if quote.price},
            max(portfolio.cash or ZERO, ZERO),
        )
        legs = _legs(portfolio, valued) if portfolio.allocation and valued.total and len(priced) == len(held) else ()
        drift = sum((abs(leg.drift) for leg in legs), ZERO) / 2 if legs else None
        return Standing(
            portfolio,
            to_money(valued.total),
            to_money(valued.cash),
            {symbol: it.market_value for symbol, it in held.items()},
            _oldest(priced),
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


def _oldest(quotes: Mapping[str, Quote]) -> datetime | None:
    return min((quote.as_of for quote in quotes.values() if quote.as_of), default=None)
