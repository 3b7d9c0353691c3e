"""Valuation of a portfolio at given prices: its value, and the weights with cash as an asset."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from msgspec import Struct

from trimtab.kernel.currencies import USD
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion
from trimtab.portfolios.rebalancing.drift import CASH, Weights

EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
"""Wide enough for every product of a quantity, a price and a percent: sums of values are exact and compare exactly."""


class Valuation(Struct, frozen=True):
    """A portfolio at one set of prices. Mappings are by symbol; quantities are above zero.

    `values` are unrounded money, with cash under `CASH`. `weights` are percents of 4 places that sum to exactly 100,
    empty where the portfolio is worth nothing or less.
    """

    quantities: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    cash: Decimal
    values: Mapping[str, Decimal]
    total: Decimal
    weights: Weights
    currency: str = USD


def value(
    quantities: Mapping[str, Decimal], prices: Mapping[str, Decimal], cash: Decimal, currency: str = USD
) -> Valuation:
    """Return the valuation of quantities (by symbol) and cash at these prices; a quantity of zero needs no price.

    Prices and cash are in `currency`.

    Cash may be negative, after fees that nobody planned: then the weight of cash is negative, and the others sum to
    more than 100. Raises `ValueError` where a price is missing or not above zero, or where a quantity is negative.

    >>> value({"A": Decimal(3)}, {"A": Decimal(20)}, Decimal(40)).weights
    {'A': Decimal('60.0000'), '$cash': Decimal('40.0000')}
    >>> value({"A": Decimal(3)}, {"A": Decimal(40)}, Decimal(-20)).weights
    {'A': Decimal('120.0000'), '$cash': Decimal('-20.0000')}
    """
    held = {symbol: quantity for symbol, quantity in quantities.items() if quantity}
    if any(quantity < 0 for quantity in held.values()):
        raise ValueError("quantities must not be negative")
    if any(prices.get(symbol, ZERO) <= 0 for symbol in held):
        raise ValueError("every holding needs a price above zero")
    with localcontext(EXACT):
        values = {symbol: quantity * prices[symbol] for symbol, quantity in held.items()} | {CASH: cash}
        total = sum(values.values(), ZERO)
        weights = apportion(HUNDRED, values, PERCENT_PLACES) if total > 0 else {}
    return Valuation(held, prices, cash, values, total, weights, currency)
